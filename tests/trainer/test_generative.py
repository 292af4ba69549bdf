"""The generative models from the command line: measured samples, seeds, resumption, switches."""

import json
from itertools import product

import h5py
import numpy as np
import pytest
import torch

from custom_nn.wavelets import band_count
from fastmri.posterior import law
from main import main
from tests.conftest import write_tiny_volume
from tests.trainer.processes import command, run_on
from trainer import checkpoint
from trainer.data import find_volumes
from trainer.distributed import Process
from trainer.gaps import measure_gaps, tuning_batches
from trainer.spreading import drawing

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def run(generative_run):
    return generative_run


@pytest.fixture(scope="module")
def validated(run, tmp_path_factory):
    """The run's results, and its page."""
    out = tmp_path_factory.mktemp("validated")
    assert main(["validate", str(run), "--out", str(out), "--html", str(out)]) == 0
    return out


@pytest.fixture
def source(tiny_data):
    return tiny_data / "singlecoil_val" / "file1000004.h5"


def contents(path) -> tuple[dict, dict]:
    with h5py.File(path, "r") as file:
        return {name: file[name][()] for name in file}, dict(file.attrs)


def metrics(folder) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_validate_shows_sample_mean_and_baseline_in_one_table(run, tiny_run, tmp_path, capsys):
    assert main(["validate", str(run), "--out", str(tmp_path / "all")]) == 0
    found = metrics(tmp_path / "all")
    assert {row["method"] for row in found["rows"]} == {"zero_filled", "baseline", "sample", "mean_4"}
    for row in found["rows"]:
        assert row["power_ratio"]["mean"] >= 0
        assert abs(row["correlation"]["mean"]) <= 1
        assert row["dc_residual"]["mean"] < 1e-5
    for row in found["posterior"]:
        assert list(row["psnr"]) == ["1", "2", "4"]
        assert row["gap"] == pytest.approx(row["psnr"]["4"] - row["psnr"]["1"])
        assert row["law"] == pytest.approx(law(4))
        assert row["gains"]["2"] == pytest.approx(row["psnr"]["2"] - row["psnr"]["1"])
        assert row["laws"] == {"1": 0, "2": pytest.approx(law(2)), "4": pytest.approx(law(4))}
    printed = capsys.readouterr().out
    assert "correlation" in printed
    for row in found["posterior"]:
        assert f"{row['psnr']['2']:.2f}: {row['gains']['2']:+.2f} (+1.25)" in printed
    # the baseline within is the baseline's own run
    assert main(["validate", str(tiny_run), "--out", str(tmp_path / "baseline")]) == 0
    own = {
        (v["fname"], v["acceleration"]): v
        for v in metrics(tmp_path / "baseline")["volumes"]
        if v["method"] == "model"
    }
    within = [v for v in found["volumes"] if v["method"] == "baseline"]
    assert len(within) == len(own)
    for volume in within:
        assert volume["psnr"] == pytest.approx(own[volume["fname"], volume["acceleration"]]["psnr"], abs=1e-4)


def test_amplitude_0_validates_as_the_baseline_without_retraining(run, tmp_path):
    assert main(["validate", str(run), "model.amplitude=0", "--out", str(tmp_path)]) == 0
    rows = metrics(tmp_path)["rows"]
    scores = {(r["method"], r["acceleration"], r["acquisition"]): r["psnr"]["mean"] for r in rows}
    for (method, *place), value in scores.items():
        if method in ("sample", "mean_4"):
            assert value == pytest.approx(scores["baseline", *place], abs=1e-6)


def test_nothing_but_the_amplitude_can_be_turned(run, tmp_path, capsys):
    assert main(["validate", str(run), "model.tokens=5", "--out", str(tmp_path)]) == 2
    assert (
        "but for a generative run's model.amplitude, and data.adjacent_slices are fixed by the checkpoint"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("override", ["validate.batch_size=1", "validate.batch_size=5", "data.num_workers=1"])
def test_batches_and_workers_change_no_sample(run, validated, tmp_path, override):
    assert main(["validate", str(run), override, "--out", str(tmp_path)]) == 0
    for one, other in zip(metrics(validated)["volumes"], metrics(tmp_path)["volumes"], strict=True):
        assert one["psnr"] == pytest.approx(other["psnr"], abs=1e-4), one


def test_two_processes_draw_the_samples_of_one(run, validated, tmp_path):
    run_on(2, tmp_path / "log", command, "validate", run, "--out", tmp_path, "--html", tmp_path)
    assert metrics(tmp_path) == metrics(validated)
    assert (tmp_path / "index.html").read_bytes() == (validated / "index.html").read_bytes()


def history(run, kind: str) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_betas_follow_the_gap_of_each_acceleration_in_each_band(run):
    found = history(run, "tune")
    assert [line["step"] for line in found] == [2, 4, 6]
    saved = torch.load(run / "checkpoints" / "last.pt", weights_only=True)["betas"]
    ends = set()
    for r, band, (k, part) in product((4, 8), range(band_count(1)), enumerate(("in_phase", "quadrature"))):
        beta = 1.0
        for line in found:
            beta += 0.03 * (law(4) - line[f"gap_x{r}_band{band}_{part}"])
            assert line[f"beta_x{r}_band{band}_{part}"] == pytest.approx(beta)
        assert saved[r][band][k] == pytest.approx(beta)
        ends.add(beta)
    assert len(ends) == 4 * band_count(1)


def test_gains_settle_where_samples_differ_as_a_posteriors_would(run):
    assert [line["step"] for line in history(run, "settle")] == [3, 6]
    found = checkpoint.load(run / "checkpoints" / "last.pt")
    alone = Process(torch.device("cpu"))
    model = checkpoint.load_model(found, found.config, alone.device)
    batches = tuning_batches(
        found.config, find_volumes(found.config, "val")[: found.config.train.validate_volumes], alone
    )

    def off() -> float:
        gaps = measure_gaps(drawing(model, found.config), batches, found.config, alone)
        return sum(abs(float(gap.image) - law(4)) + float(gap.bands.std()) for gap in gaps.values())

    settled = off()
    model.gains = None
    assert settled < 0.15 * off()  # what bounds of gains leave: 0.09


def test_without_the_reward_gains_settle_all_the_same(generative_config, tmp_path):
    """The switch of an ablation takes the reward, and with it its weights' tuning, and nothing else."""
    out = tmp_path / "run"
    options = ["loss.std_reward=false", "train.steps=2", "train.validate_every=2", "train.save_every=2"]
    assert main(["train", str(generative_config), *options, "--out", str(out)]) == 0
    assert [line["step"] for line in history(out, "settle")] == [2]
    assert not history(out, "tune")
    assert all("std" not in line for line in history(out, "train"))


def test_training_moves_the_texture_and_not_the_frozen_baseline(run, tiny_run):
    baseline = torch.load(tiny_run / "checkpoints" / "best.pt", weights_only=True)["ema"]
    trained = torch.load(run / "checkpoints" / "last.pt", weights_only=True)["model"]
    assert all(torch.equal(trained[f"baseline.{name}"], value) for name, value in baseline.items())
    assert trained["decoder.pictures.0.weight"].abs().sum() > 0  # 0 at the start


def test_samples_their_mean_and_spread(run, source, tmp_path):
    drawn = []
    for name, count in (("two", 2), ("three", 3), ("again", 3)):
        arguments = ["reconstruct", str(run), str(source), str(tmp_path / name), "--samples", str(count)]
        assert main([*arguments, "--slice", "1"]) == 0
        drawn.append(contents(tmp_path / name / source.name))
        assert (tmp_path / name / f"{source.stem}_slice1.png").exists()
    (two, _), (three, attributes), (again, _) = drawn
    assert three["samples"].shape == (3, 3, 32, 32)
    assert np.array_equal(three["samples"], again["samples"])  # same seed, same picture
    assert np.array_equal(three["samples"][:2], two["samples"])  # a sample does not depend on the others
    assert not np.allclose(three["samples"][0], three["samples"][1])
    np.testing.assert_allclose(three["reconstruction"], three["samples"].mean(0), rtol=1e-5)
    np.testing.assert_allclose(three["std"], three["samples"].std(0, ddof=1), rtol=1e-4)
    assert attributes["dc_residual"] < 1e-5
    assert attributes["dc_residual_of"] == "the single complex samples, the largest"
    with h5py.File(tmp_path / "three" / source.name) as file:
        assert file["reconstruction"].attrs["of"] == "mean of the samples' magnitudes"
        assert file["std"].attrs["of"] == "the samples' magnitudes"


def test_another_seed_is_another_picture_and_the_amplitude_is_turned(run, source, tmp_path):
    pictures = {}
    for override in ("seed=0", "seed=1", "model.amplitude=0", "model.amplitude=0.5"):
        out = tmp_path / override
        assert main(["reconstruct", str(run), str(source), str(out), override]) == 0
        pictures[override] = contents(out / source.name)[0]["reconstruction"]
    assert not np.allclose(pictures["seed=0"], pictures["seed=1"])
    distance = [
        np.linalg.norm(pictures[k] - pictures["model.amplitude=0"]) for k in ("model.amplitude=0.5", "seed=0")
    ]
    assert 0 < distance[0] < distance[1]


def test_a_validation_tells_which_volumes_gains_were_tuned_by(run, tiny_data, tmp_path, capsys):
    """Three of the run's own data; where none of those is scored, there is nothing to tell."""
    write_tiny_volume(tmp_path / "others" / "file1000004.h5", seed=9)  # of the same name
    for folder, tuned in ((tiny_data / "singlecoil_val", 3), (tmp_path / "others", 0)):
        options = [f"data.val={folder}", "data.scan_cache=null", "validate.samples=1"]
        assert main(["validate", str(run), *options, "--out", str(tmp_path / "o")]) == 0
        content = json.loads((tmp_path / "o" / "metrics.json").read_text())
        told = "by 3 of them betas and gains were tuned" in capsys.readouterr().err
        assert (len(content.get("tuned_by", [])), told) == (tuned, bool(tuned))
