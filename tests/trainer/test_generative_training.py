"""Training of the generative models from the command line: resumption, switches, two processes."""

import json
import shutil

import pytest
import torch
import yaml
from loguru import logger

from config.load import load_config
from main import main
from tests.trainer.conftest import SPATIAL, TINY
from tests.trainer.conftest import write_generative as write
from tests.trainer.processes import train_on
from tests.trainer.test_train import STOPPED, equal, stop_after, weights
from trainer.pretrained import resolve_baseline

GLOBAL = {
    "model": {
        "name": "generative_global",
        "token_width": 8,
        "latent": 4,
        "encoder_weights": "none",
        "cascade": {"blocks": 2, "filters": [4, 8]},
    },
    "loss": {"ms_ssim": 0, "l1": 1, "kl": 0.01, "texture": 1},
    "adversarial": {"weight": 0.01, "filters": [4, 8], "loss": "non_saturating", "regularizer": "r1"},
}


pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = ["train.validate_volumes=1", "validate.samples=2"]  # what is not under test, cheaper


@pytest.fixture(scope="module")
def config(generative_config):
    return generative_config


@pytest.fixture(scope="module")
def run(generative_run):
    return generative_run


def test_two_processes_train_to_equal_weights_of_both_networks(config, tmp_path):
    (one, two), _ = train_on(2, config, tmp_path / "run")
    assert equal(one.state, two.state)


# MobileNetV2's weights take seconds to save, often
SELDOM = ["train.validate_every=6", "train.save_every=6"]


@pytest.mark.parametrize(("parts", "options"), [(SPATIAL, QUICK), (GLOBAL, QUICK + SELDOM)])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    parts, options, tiny_data, tiny_run, tmp_path, monkeypatch
):
    baseline = tiny_run if parts is SPATIAL else None
    config = write(tmp_path / "tiny.yaml", tiny_data, parts, baseline)
    whole, stopped = tmp_path / "whole", tmp_path / "parts"
    assert main(["train", str(config), *options, "--out", str(whole)]) == 0
    stop_after(4, monkeypatch)
    assert main(["train", str(config), *options, "--out", str(stopped)]) == STOPPED
    monkeypatch.undo()
    torch.set_num_threads(1)
    assert main(["train", str(config), *options, "--out", str(stopped)]) == 0
    assert equal(weights(whole), weights(stopped))
    one, other = (torch.load(r / "checkpoints" / "last.pt", weights_only=True) for r in (whole, stopped))
    assert equal(one["discriminator"], other["discriminator"])
    assert [one[name] for name in ("betas", "gains", "means")] == [
        other[name] for name in ("betas", "gains", "means")
    ]
    states = [content["discriminator_optimizer"]["state"] for content in (one, other)]
    assert all(equal(states[0][key], states[1][key]) for key in states[0])


def test_a_resumed_run_needs_its_baseline_no_more(config, tiny_run, tiny_data, tmp_path):
    moved = tmp_path / "baseline.pt"
    moved.write_bytes((tiny_run / "checkpoints" / "best.pt").read_bytes())
    own = write(tmp_path / "own.yaml", tiny_data, SPATIAL, moved)
    assert main(["train", str(own), *QUICK, "--out", str(tmp_path / "run")]) == 0
    moved.unlink()
    assert main(["train", str(own), *QUICK, "--out", str(tmp_path / "run")]) == 0
    assert main(["validate", str(tmp_path / "run"), "validate.perceptual=false"]) == 0


ABLATION = ["train.validate_every=6", "train.validate_volumes=1"]


@pytest.fixture(scope="module")
def unswitched(config, tmp_path_factory):
    """Weights of the same command without a switch: validated alike, as betas and gains follow from that."""
    out = tmp_path_factory.mktemp("unswitched") / "run"
    assert main(["train", str(config), *ABLATION, "--out", str(out)]) == 0
    return weights(out, "last")


@pytest.mark.parametrize(
    "override",
    [
        "model.tokens=1",
        "model.attention=false",
        "model.high_pass=0",
        "adversarial.weight=0",
        "loss.std_reward=false",
        "loss.energy_score=0",
        "model.hard_projection=false",
        "adversarial.regularizer=r1",
        "adversarial.regularizer=spectral_norm",
        "adversarial.loss=non_saturating",
    ],
)
def test_every_switch_of_an_ablation_trains_and_changes_the_outcome(config, unswitched, tmp_path, override):
    out = tmp_path / "run"
    assert main(["train", str(config), override, *ABLATION, "--out", str(out)]) == 0
    assert not equal(weights(out, "last"), unswitched)


def test_the_adversarial_term_is_an_option_of_the_baseline_too(tiny_data, tmp_path):
    config = write(
        tmp_path / "tiny.yaml", tiny_data, {"model": TINY["model"], "adversarial": SPATIAL["adversarial"]}
    )
    content = yaml.safe_load(config.read_text())
    del content["validate"]["samples"]
    config.write_text(yaml.safe_dump(content))
    assert main(["train", str(config), "--out", str(tmp_path / "run")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(
        {"adversarial", "discriminator", "penalty"} <= line.keys()
        for line in lines
        if line["kind"] == "train"
    )


def test_a_fresh_run_starts_from_pretrained_weights_and_a_resumed_one_does_not_ask(tiny_data, tmp_path):
    from torchvision.models import mobilenet_v2

    file = tmp_path / "mobilenet.pth"
    state = mobilenet_v2(weights=None).state_dict()
    torch.save(state, file)
    config = write(tmp_path / "tiny.yaml", tiny_data, GLOBAL)
    options = [f"model.encoder_weights={file}", *QUICK, *SELDOM]
    command = ["train", str(config), *options, "--out", str(tmp_path / "run")]
    assert main(command) == 0
    trained = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)["model"]
    name = "features.0.0.weight"
    assert torch.equal(trained[f"proxy.{name}"], state[name])
    assert not torch.equal(trained[f"encoder.{name}"], state[name])
    file.unlink()
    assert main(command) == 0
    assert main(["validate", str(tmp_path / "run"), "validate.perceptual=false"]) == 0


def test_a_folder_of_a_baseline_s_run_is_refused_in_a_line(config, tiny_run, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    assert main(["train", str(config), "--out", str(run)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == ("error: --out: holds a run of adaptive_cs_net, not of generative; train to another --out")


def test_slices_that_a_baseline_sees_are_told_where_others_were_asked_for(config, tiny_run):
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    asked = load_config(config, [f"model.baseline={tiny_run}", "data.adjacent_slices=5"])
    assert resolve_baseline(asked, None).data.adjacent_slices == 3
    assert lines == ["data.adjacent_slices is 3, as its baseline has it\n"]
    resolve_baseline(load_config(config, ["data.adjacent_slices=3"]), None)
    logger.remove(sink)
    assert len(lines) == 1


@pytest.mark.parametrize("baseline", ["/nowhere", "RUN"])
def test_a_wrong_baseline_leaves_no_folder(baseline, config, run, tmp_path):
    baseline = baseline.replace("RUN", str(run))
    assert main(["train", str(config), f"model.baseline={baseline}", "--out", str(tmp_path / "run")]) == 2
    assert not (tmp_path / "run").exists()


def test_a_baseline_by_another_name_of_its_place_resumes(config, run, tiny_run, tmp_path, monkeypatch):
    copy = shutil.copytree(run, tmp_path / "run")
    stored = yaml.safe_load((copy / "config.yaml").read_text())
    monkeypatch.chdir(tiny_run.parent)
    relative = f"model.baseline={tiny_run.name}"
    assert main(["train", str(config), relative, "--out", str(copy)]) == 0
    assert yaml.safe_load((copy / "config.yaml").read_text()) == stored
    again = [f"model.baseline={tiny_run.parent / 'other'}", "--out", str(copy)]
    assert main(["train", str(config), *again]) == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.baseline=null"], "a frozen baseline must come from a run: set model.baseline=RUN"),
        (["model.baseline=RUN"], "run is a run of generative"),
        (["model.baseline=/nowhere"], "/nowhere: neither a checkpoint nor a run directory"),
        (["model.baseline=/nowhere"], "error: model.baseline: /nowhere: neither"),
        (["loss.samples=1"], "std_reward needs samples of at least 2"),
        (["model.name=unet"], "draws no noise"),
        (["model.proxy_weights=/nowhere"], "model.proxy_weights: /nowhere can't be read"),
        (["validate.samples=1"], "validate.samples: training takes at least 2"),
    ],
)
def test_what_a_user_can_mend_is_told(config, run, tmp_path, capsys, overrides, message):
    overrides = [override.replace("RUN", str(run)) for override in overrides]
    assert main(["train", str(config), *overrides, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_texture_is_trained_at_its_full_strength(config, tmp_path, capsys):
    assert main(["train", str(config), "model.amplitude=0.5", "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.startswith("error: model.amplitude: is for validate and reconstruct")
    assert not (tmp_path / "run").exists()
