"""Intervals and bounds hold on other volumes as often as they say, and are told where they belong."""

import json
import shutil

import h5py
import numpy as np
import pytest
from scipy.stats import t as student

from config.load import make_config, plain_config
from fastmri.masks import evaluation_mask
from main import main
from tests.conftest import write_tiny_volume
from trainer import checkpoint
from trainer.evaluation.calibration import Calibrations, calibration_terms, read_calibration
from trainer.evaluation.summary import trust_rows
from trainer.evaluation.trust import Calibration, belief, bounds_held, calibrate, coverage, trust
from trainer.evaluation.undersampling import Sampling
from trainer.evaluation.validate import Run, run_calibration

LEVEL = 0.9
SAMPLES = 8


def made_up(seed: int, honest: float = 1.0):
    """A volume whose truth is one more of its samples; `honest`: what it says of their std."""
    rng = np.random.default_rng(seed)
    center = 1 + rng.random((3, 24, 24))
    spread = 0.05 * rng.lognormal(0, 0.3) * (1 + rng.random((3, 24, 24)))
    center[0, 0, 0], spread[0, 0, 0] = 4, 0  # the maximum, which is known
    draws = center + spread * rng.standard_normal((SAMPLES + 1, 3, 24, 24))
    samples, target = draws[1:], draws[0]
    std = honest * samples.std(0, ddof=1)
    return trust(f"file{seed}.h5", 8, "PD", samples.mean(0), std, target, SAMPLES)


@pytest.mark.parametrize("honest", [1.0, 0.4])
def test_calibrated_intervals_and_bounds_hold_on_other_volumes(honest):
    found = calibrate([made_up(k, honest) for k in range(20)], LEVEL)
    others = [made_up(k, honest) for k in range(100, 160)]
    assert np.mean([coverage(each, found) for each in others]) == pytest.approx(LEVEL, abs=0.06)
    assert np.mean([coverage(each, found) for each in others]) >= LEVEL - 0.02
    assert np.mean([bounds_held(each, found) for each in others]) >= LEVEL - 0.05
    if honest == 1:  # errors over std are Student's; of 20 volumes (sum of losses + 1) / 21 is to be 0.1
        missed = (21 * (1 - LEVEL) - 1) / 20
        expected = student.ppf(1 - missed / 2, SAMPLES - 1) * (1 + 1 / SAMPLES) ** 0.5
        assert found.factor == pytest.approx(expected, rel=0.05)


def test_what_no_interval_holds_is_told():
    with pytest.raises(ValueError, match="x8: no interval holds 90% of the truth on 20 volumes"):
        calibrate([made_up(k, honest=1e-9) for k in range(20)], LEVEL)


def test_overconfidence_is_paid_by_wider_intervals():
    honest, boasting = (calibrate([made_up(k, h) for k in range(20)], LEVEL) for h in (1.0, 0.5))
    assert boasting.factor == pytest.approx(2 * honest.factor, rel=0.05)
    assert boasting.slack == pytest.approx(honest.slack + 20 * np.log10(2), abs=0.3)


def test_samples_of_a_posterior_foretell_their_psnr():
    for seed in range(5):
        found = made_up(seed)
        assert found.foretold.mean() == pytest.approx(found.psnr.mean(), abs=0.3)


def test_air_is_no_part_of_the_body():
    mean = np.zeros((1, 8, 8))
    mean[:, 2:6, 2:6] = 1
    assert belief(mean, np.ones_like(mean), 2).body.sum() == 16


@pytest.fixture(scope="module")
def run(tmp_path_factory, generative_run):
    """Of our own, because its calibration is written into it."""
    return shutil.copytree(generative_run, tmp_path_factory.mktemp("calibrated") / "run")


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held_out")
    for k in range(3):
        write_tiny_volume(folder / f"file{1000101 + k}.h5", slices=2, columns=40, seed=50 + k)
    return folder


def test_calibrate_validate_and_reconstruct(run, held_out, tiny_data, tmp_path, capsys):
    """A level of 0.75 takes three volumes; those that calibrated don't tell how well that works."""
    calibrate_it = ["calibrate", str(run), str(held_out), "data.scan_cache=null", "validate.level=0.75"]
    assert main(calibrate_it) == 0
    stored = json.loads((run / "calibration.json").read_text())
    assert set(stored["accelerations"]) == {"4", "8"}
    assert set(stored["volumes"]) == {path.name for path in held_out.iterdir()}

    assert main(["validate", str(run), "--out", str(tmp_path / "others")]) == 0
    content = json.loads((tmp_path / "others" / "metrics.json").read_text())
    rows, curves = content["trust"], content["reliability"]
    assert {row["samples"] for row in curves} == {4}
    shown = [(row["acceleration"], row["acquisition"]) for row in curves]
    assert shown == [(r, name) for r in (4, 8) for name in ("all", "CORPDFS_FBK", "CORPD_FBK")]
    assert {(row["acceleration"], row["acquisition"]) for row in rows} >= {(4, "all"), (8, "all")}
    for row in rows:
        assert row["level"] == 0.75
        assert 0 <= row["coverage"]["min"] <= row["coverage"]["mean"] <= 1
        assert row["width"] > 0
        assert 0 <= row["psnr_bound_held"] <= 1
    assert "pixels in interval, 75% wanted" in capsys.readouterr().out
    same = [f"data.val={held_out}", "--out", str(tmp_path / "same")]
    assert main(["validate", str(run), *same]) == 0
    assert json.loads((tmp_path / "same" / "metrics.json").read_text())["trust"] == []

    source = tiny_data / "singlecoil_val" / "file1000004.h5"
    ask = ["reconstruct", str(run), str(source), str(tmp_path / "out"), "--acceleration", "4"]
    assert main([*ask, "--samples", "4", "--slice", "1"]) == 0
    least = "PSNR of the mean at least {:.1f} dB, a bound kept by 75% of slices, mean over files"
    with h5py.File(tmp_path / "out" / source.name) as file:
        assert file["psnr_bound"].shape == (3,)
        told = capsys.readouterr().err
        assert f"{source.name} slice 1: {least.format(file['psnr_bound'][1])}" in told
        assert file.attrs["level"] == 0.75
        assert file.attrs["interval_factor"] == stored["accelerations"]["4"]["factor"]
    assert main([*ask[:-1], "8", "--samples", "4"]) == 0
    assert f"{source.name}: PSNR of the mean at least" in capsys.readouterr().err
    assert main([*ask[:-1], "6", "--samples", "4"]) == 0  # which is not calibrated
    told = capsys.readouterr().err
    assert "PSNR of the mean" not in told
    assert f"{source.name}: no interval and no bound at x6, which was not calibrated, as were x4, x8" in told
    with h5py.File(tmp_path / "out" / source.name) as file:
        assert "psnr_bound" not in file
    assert main([*ask, "--samples", "2"]) == 0
    assert "is not used: it is of samples 4, not 2" in capsys.readouterr().err
    with h5py.File(tmp_path / "out" / source.name) as file:
        assert "psnr_bound" not in file


def test_volumes_that_tuned_a_run_are_told(run, tiny_data, tmp_path, capsys):
    """Of three held-out volumes and one that the run's own data hold as well."""
    folder = tmp_path / "volumes"
    for k in range(3):
        write_tiny_volume(folder / f"other{k}.h5", seed=20 + k)
    shutil.copy(tiny_data / "singlecoil_val" / "file1000004.h5", folder)
    asked = ["calibrate", str(run), str(folder), "data.scan_cache=null", "validate.level=0.75"]
    assert main(asked) == 0
    assert "1 of 4 volumes were trained, tuned or chosen by (file1000004.h5)" in capsys.readouterr().err


@pytest.fixture
def calibrated(run, held_out):
    options = ["data.scan_cache=null", "validate.level=0.75", "masks.accelerations=[4]"]
    assert main(["calibrate", str(run), str(held_out), *options]) == 0
    return run


def test_a_file_with_a_mask_of_its_own_is_promised_nothing(calibrated, tiny_data, tmp_path, capsys):
    source = tmp_path / "file1000004.h5"
    shutil.copy(tiny_data / "singlecoil_val" / source.name, source)
    with h5py.File(source, "r+") as file:
        file["mask"] = evaluation_mask("equispaced", source.name, 48, 4, 0.08)
        file.attrs["acceleration"] = 4
    out = tmp_path / "out"
    assert main(["reconstruct", str(calibrated), str(source), str(out), "--samples", "4"]) == 0
    assert "has a mask of its own, for which the calibration promises nothing" in capsys.readouterr().err
    with h5py.File(out / source.name) as file:
        assert "psnr_bound" not in file


def test_a_calibration_is_of_its_weights_and_its_center_fractions(calibrated, tmp_path):
    path = checkpoint.find(calibrated)
    found = checkpoint.load(path)

    def used(found: checkpoint.Checkpoint, *overrides: str) -> bool:
        config = make_config(plain_config(found.config), overrides)
        return run_calibration(Run(path, found, config), 4) is not None

    assert used(found)
    assert used(found, "masks.center_fractions=[0.08, 0.05]")  # x8 is not calibrated
    assert not used(found, "masks.center_fractions=[0.09, 0.04]")
    other = {name: value + 1 for name, value in found.state["ema"].items()}
    assert not used(found._replace(state=found.state | {"ema": other}))
    content = json.loads((calibrated / "calibration.json").read_text())
    del content["weights"]  # as an older program wrote it
    own = tmp_path / "calibration.json"
    own.write_text(json.dumps(content))
    assert read_calibration(tmp_path, calibration_terms(found, found.config, 4)) is None


def test_a_damaged_calibration_is_named(run, tmp_path, capsys):
    own = shutil.copytree(run, tmp_path / "run")
    (own / "calibration.json").write_text("{}")
    assert main(["validate", str(own)]) == 2
    assert "calibration.json: not a calibration of this program (KeyError)" in capsys.readouterr().err


def test_what_can_not_be_calibrated_is_told(run, tiny_run, held_out, capsys):
    assert main(["calibrate", str(run), str(held_out)]) == 2
    assert "a level of 90% takes at least 9 volumes" in capsys.readouterr().err
    for name in ("data #2", "2024", "null"):  # which YAML would take for something else
        assert main(["calibrate", str(run), name]) == 2
        assert f"error: {name}: no such file or folder" in capsys.readouterr().err
    assert main(["calibrate", str(tiny_run), str(held_out)]) == 2
    assert "needs a run that draws noise" in capsys.readouterr().err


def test_air_does_not_count_as_covered():
    target = np.zeros((1, 8, 8))
    target[:, 2:6, 2:6] = 1
    mean = 1.5 * target  # right in air alone
    assert trust("a.h5", 8, "PD", mean, np.full_like(mean, 0.01), target, 4).beyond[0] == 1


def test_what_a_calibration_says_of_other_volumes_is_by_hand():
    others = [made_up(k) for k in range(2)]
    (row, _) = trust_rows(others, Calibrations(0.9, {}, {8: Calibration(3.0, 2.0)}))
    assert row["width"] == pytest.approx(np.mean([6 * each.std for each in others]))
    assert row["psnr_bound"] == pytest.approx(np.mean([each.foretold.mean() - 2 for each in others]))
    assert row["psnr"] == pytest.approx(np.mean([each.psnr.mean() for each in others]))
    assert others[0].std == pytest.approx(0.05 * 1.5 / 4, rel=0.5)


def test_a_promise_is_what_samples_foretell_less_the_slack():
    samples = np.random.default_rng(0).random((4, 3, 8, 8))
    learnt = Calibrations(0.9, {}, {8: Calibration(3.0, 2.0)})
    bounds = learnt.promise("a.h5", samples, Sampling(np.ones(8, bool), 8, 8.0, own=False))
    assert bounds is not None
    foretold = belief(samples.mean(0), samples.std(0, ddof=1), 4).psnr
    assert bounds.psnr == pytest.approx(foretold - 2)
    kept = "kept by 90% of slices, mean over files"
    low, high = bounds.psnr.min(), bounds.psnr.max()
    assert bounds.line() == f"PSNR of the mean at least {low:.1f} to {high:.1f} dB by slice, bounds {kept}"
    assert bounds.line(1) == f"PSNR of the mean at least {bounds.psnr[1]:.1f} dB, a bound {kept}"


def test_units_change_no_belief():
    mean, std = np.random.default_rng(0).random((2, 3, 8, 8))
    std[:, :4] = 0
    one, other = belief(mean, std, 4), belief(1e-4 * mean, 1e-4 * std, 4)
    assert other.psnr == pytest.approx(one.psnr)
    assert other.std == pytest.approx(1e-4 * one.std)
