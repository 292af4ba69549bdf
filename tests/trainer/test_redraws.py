"""Samples that are drawn again, from the command line: they keep the promises of those that are not."""

import h5py
import numpy as np
import pytest
import torch

from main import main
from tests.trainer.processes import command, run_on
from tests.trainer.test_generative import metrics
from tests.trainer.test_train import equal

pytestmark = pytest.mark.usefixtures("one_thread")
DENSEST, SPARSE = 4, 8
METHODS = ("zero_filled", "baseline", "mean_4", "sample")


def trained(config, folder, redraws: int):
    options = [f"model.redraws={redraws}", "masks.kind=random_exact"]  # by chance fewer columns are sparse
    assert main(["train", str(config), *options, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def run(generative_config, tmp_path_factory):
    return trained(generative_config, tmp_path_factory.mktemp("again"), 2)


@pytest.fixture(scope="module")
def drawn_once(generative_config, tmp_path_factory):
    return trained(generative_config, tmp_path_factory.mktemp("once"), 0)


@pytest.fixture(scope="module")
def validated(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("validated")
    assert main(["validate", str(run), "--out", str(out)]) == 0
    return out


def checkpoint(run) -> dict:
    return torch.load(run / "checkpoints" / "last.pt", weights_only=True)


def test_training_is_what_it_was_and_what_is_tuned_after_it_is_not(run, drawn_once):
    again, once = checkpoint(run), checkpoint(drawn_once)
    assert equal(again["model"], once["model"])
    assert again["betas"] == once["betas"]
    # of the densest nothing is drawn again, but for what is between both
    near, far = (np.subtract(again["gains"][r], once["gains"][r]) for r in (DENSEST, SPARSE))
    assert abs(near).max() < 0.01 < abs(far).max()


def test_a_finished_run_is_settled_and_validated_anew_for_another_number(generative_config, tmp_path, capsys):
    """And ends as one that was to draw so often from the start."""
    options = ["masks.kind=random_exact", "train.validate_every=6", "train.validate_volumes=1"]
    for redraws, name in ((1, "whole"), (0, "run"), (1, "run")):
        asked = [*options, f"model.redraws={redraws}", "--out", str(tmp_path / name)]
        assert main(["train", str(generative_config), *asked]) == 0
    assert "model.redraws was 0, is 1: gains are settled anew" in capsys.readouterr().err
    whole, anew = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "run")
    for name in ("gains", "means", "betas", "step", "validated", "best", "config"):
        assert anew[name] == whole[name], name
    assert equal(anew["ema"], whole["ema"])
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.pt", weights_only=True)
    assert best["gains"] == whole["gains"]


def test_how_often_is_fixed_by_the_checkpoint(run, tmp_path, capsys):
    assert main(["validate", str(run), "model.redraws=0", "--out", str(tmp_path)]) == 2
    assert "are fixed by the checkpoint" in capsys.readouterr().err


def test_measured_samples_stay_and_sparse_data_alone_are_drawn_again(run, drawn_once, validated, tmp_path):
    assert main(["validate", str(drawn_once), "--out", str(tmp_path)]) == 0
    drawn = zip(metrics(validated)["volumes"], metrics(tmp_path)["volumes"], strict=True)
    changes = {(method, r): 0.0 for method in METHODS for r in (DENSEST, SPARSE)}
    for again, once in drawn:
        assert again["dc_residual"] < 1e-5
        place = again["method"], again["acceleration"]
        changes[place] = max(changes[place], abs(again["psnr"] - once["psnr"]))
    drawn_again = {("sample", SPARSE), ("mean_4", SPARSE)}
    assert all((change > 0.01) == (place in drawn_again) for place, change in changes.items()), changes


@pytest.mark.parametrize("override", ["validate.batch_size=1", "validate.batch_size=5"])
def test_batches_change_no_sample(run, validated, tmp_path, override):
    assert main(["validate", str(run), override, "--out", str(tmp_path)]) == 0
    for one, other in zip(metrics(validated)["volumes"], metrics(tmp_path)["volumes"], strict=True):
        assert one["psnr"] == pytest.approx(other["psnr"], abs=1e-4), one


def test_two_processes_draw_the_samples_of_one(run, validated, tmp_path):
    run_on(2, tmp_path / "log", command, "validate", run, "--out", tmp_path)
    assert metrics(tmp_path) == metrics(validated)


def test_a_sample_does_not_depend_on_how_many_there_are(run, tiny_data, tmp_path):
    source = tiny_data / "singlecoil_val" / "file1000004.h5"
    options = ["--acceleration", str(SPARSE), "--samples"]
    found = []
    for count in (2, 3):
        out = tmp_path / str(count)
        assert main(["reconstruct", str(run), str(source), str(out), *options, str(count)]) == 0
        with h5py.File(out / source.name) as file:
            assert file.attrs["dc_residual"] < 1e-5
            found.append(file["samples"][:])
    two, three = found
    assert np.array_equal(three[:2], two)
    assert abs(three[0] - three[1]).max() > 1e-3 * three.max()
