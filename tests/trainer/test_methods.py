"""Methods without training: what the commands promise of them, and that only training data tune them."""

import json
import shutil

import h5py
import numpy as np
import pytest
import torch

from config.load import make_config
from fastmri.masks import evaluation_mask
from main import main
from tests.conftest import write_tiny_volume
from trainer.data import find_volumes
from trainer.distributed import Process
from trainer.evaluation.methods import FALLBACK, weights_of_files
from trainer.evaluation.tuning import tune_weights, tuning_batches

CPU = Process(torch.device("cpu"))
QUICK = ["device=cpu", "data.num_workers=0", "data.scan_cache=null", "classical.iterations=10"]
TUNE = [*QUICK, "classical.tune_slices=2", "masks.accelerations=[4]"]
KEYS = {"schema", "config_sha256", "data", "acquisitions", "masks", "samples", "seed"}
KEYS |= {"rows", "volumes", "missing", "spectra"}


def metrics(folder) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def scores(folder, *, without: tuple[str, ...] = ()) -> list[dict]:
    return [volume for volume in metrics(folder)["volumes"] if volume["method"] not in without]


@pytest.fixture(scope="module")
def tuned(tiny_data, tmp_path_factory):
    """Total variation and the low-pass image at x4, without any checkpoint."""
    out = tmp_path_factory.mktemp("tv")
    overrides = [f"data.path={tiny_data}", *TUNE, "validate.methods=[low_pass]"]
    assert main(["validate", "tv", *overrides, "--out", str(out)]) == 0
    return out


def test_a_method_is_validated_without_a_checkpoint(tuned):
    found = metrics(tuned)
    assert set(found) == KEYS | {"classical"}
    assert [row["method"] for row in found["rows"][:3]] == ["zero_filled", "low_pass", "tv"]
    assert len(found["volumes"]) == 9
    assert all(np.isfinite(volume["psnr"]) for volume in found["volumes"])
    assert {path.name for path in tuned.iterdir()} == {
        "metrics.json",
        "metrics.csv",
        "commands.jsonl",
        "x4.png",
    }


def test_the_weights_that_were_used_are_told_and_repeat_the_result(tuned, tiny_data, tmp_path):
    used = metrics(tuned)["classical"]
    assert used["iterations"] == 10
    assert set(used["tv_weights"]) == {"4"}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "singlecoil_val").symlink_to(tiny_data / "singlecoil_val")  # and no training data
    given = f"classical.tv_weights={{4: {used['tv_weights']['4']}}}"
    overrides = [f"data.path={tmp_path / 'data'}", *TUNE, given, "validate.batch_size=1"]
    assert main(["validate", "tv", *overrides, "--out", str(tmp_path / "o")]) == 0
    for one, two in zip(scores(tuned, without=("low_pass",)), scores(tmp_path / "o"), strict=True):
        assert (one["method"], one["fname"]) == (two["method"], two["fname"])
        assert one["psnr"] == pytest.approx(two["psnr"], rel=1e-6)


def test_methods_beside_a_model_change_nothing_else(tiny_run, tmp_path):
    run = [str(tiny_run), "masks.accelerations=[4]"]
    assert main(["validate", *run, "--out", str(tmp_path / "alone")]) == 0
    weights = ["classical.tv_weights={4: 0.01}", "classical.wavelet_weights={4: 0.01}"]
    methods = "validate.methods=[zero_filled,low_pass,tv,wavelet]"
    arguments = ["validate", *run, methods, *weights, "classical.iterations=5"]
    assert main([*arguments, "--out", str(tmp_path / "both")]) == 0
    of_run = {"step", "amplitude"}
    assert set(metrics(tmp_path / "alone")) == KEYS - {"missing"} | of_run  # no perceptual ones are asked for
    assert scores(tmp_path / "both", without=("low_pass", "tv", "wavelet")) == scores(tmp_path / "alone")
    names = list(dict.fromkeys(volume["method"] for volume in scores(tmp_path / "both")))
    assert names == ["zero_filled", "low_pass", "tv", "wavelet", "model"]
    assert metrics(tmp_path / "both")["classical"]["wavelet_weights"] == {"4": 0.01}


def test_by_default_a_method_has_a_run_directory_of_its_own(tuned, tiny_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["validate", "zero_filled", f"data.path={tiny_data}", *TUNE]) == 0
    found = tmp_path / "runs" / "zero_filled" / "validate"
    assert set(metrics(found)) == KEYS
    assert scores(found) == scores(tuned, without=("tv", "low_pass"))


def test_tuning_never_sees_validation_data(tiny_data, tmp_path):
    own = [f"data.train={tiny_data / 'singlecoil_train'}", *TUNE]
    expected = tune_weights(["tv"], [4], make_config({}, [f"data.path={tiny_data}", *TUNE]), CPU)
    for k in range(2):  # other validation files, and none that can be read
        path = tmp_path / str(k) / "file1000004.h5"
        write_tiny_volume(path, seed=50)
        if k:
            path.write_bytes(b"damaged")
        assert tune_weights(["tv"], [4], make_config({}, [*own, f"data.val={path.parent}"]), CPU) == expected


def test_tuning_slices_are_of_different_training_volumes(tiny_data):
    config = make_config({}, [f"data.path={tiny_data}", *QUICK, "classical.tune_slices=3"])
    volumes = find_volumes(config, "train")
    found = [(batch.fname[0], batch.slice_num[0]) for batch in tuning_batches(volumes, 4, config)]
    assert found == [("file1000001.h5", 0), ("file1000002.h5", 1), ("file1000003.h5", 3)]
    more = make_config({}, [f"data.path={tiny_data}", "classical.tune_slices=50"])
    assert len(tuning_batches(volumes, 4, more)) == 3
    one = make_config({}, [f"data.path={tiny_data}", "classical.tune_slices=1"])
    assert tuning_batches(volumes, 4, one)[0].fname == ["file1000002.h5"]


@pytest.mark.parametrize(
    ("best", "at_end"), [(1e-9, True), (9.0, True), (1e-3, False), (1e-1, False), (1e-4, False)]
)
def test_a_weight_at_an_end_of_what_was_tried_is_told(best, at_end, tiny_data, tmp_path, capsys, monkeypatch):
    """By a score that falls with the distance from the best weight, in decades."""
    monkeypatch.setattr(
        "trainer.evaluation.tuning.mean_psnr", lambda model, batches: -abs(np.log10(model.weight / best))
    )
    overrides = [f"data.path={tiny_data}", *TUNE]
    assert main(["validate", "tv", *overrides, "--out", str(tmp_path)]) == 0
    told, used = capsys.readouterr().err, metrics(tmp_path)["classical"]
    weight = used["tv_weights"]["4"]
    line = f"tv at x4: weight {weight:.3g} is at the end of what was tried; the best may lie beyond"
    assert (line in told) == at_end
    assert used.get("at_end") == ({"tv": [4]} if at_end else None)


@pytest.mark.parametrize(
    ("value", "message"),
    [(0, "no signal in the 1 training slices to tune on"), (np.nan, "file1.h5 slice 1: not finite; `check`")],
)
def test_data_that_nothing_can_be_tuned_on_are_told(value, message, tmp_path):
    path = write_tiny_volume(tmp_path / "file1.h5")
    with h5py.File(path, "r+") as file:
        file["reconstruction_esc"][...] = value
    own = make_config({}, [f"data.train={tmp_path}", *TUNE])
    with pytest.raises(ValueError, match=message):
        tune_weights(["tv"], [4], own, CPU)


def test_weights_of_a_file_are_given_or_tuned_or_the_defaults(tiny_data):
    methods = "validate.methods=[tv,wavelet]"
    given = make_config({}, [methods, "classical.tv_weights={4: 0.1, 16: 0.2}"])
    assert weights_of_files([5, 12], given, CPU) == {
        "tv": {5: 0.1, 12: 0.2},  # of the nearest acceleration
        "wavelet": {5: FALLBACK["wavelet"][4], 12: FALLBACK["wavelet"][16]},
    }
    own = make_config({}, ["validate.methods=[tv]", f"data.path={tiny_data}", *TUNE])
    assert weights_of_files([4], own, CPU) == tune_weights(["tv"], [4], own, CPU)
    assert weights_of_files([4], make_config({}, ["validate.methods=[low_pass]"]), CPU) == {}


@pytest.mark.parametrize("name", ["tv", "wavelet", "low_pass", "zero_filled"])
def test_files_are_reconstructed_without_a_checkpoint(name, tiny_data, tmp_path):
    source = tiny_data / "singlecoil_val" / "file1000004.h5"
    arguments = ["reconstruct", name, str(source), str(tmp_path), "--acceleration", "8", "--slice", "1"]
    assert main([*arguments, *QUICK]) == 0
    with h5py.File(tmp_path / "file1000004.h5") as file, h5py.File(source) as truth:
        image, mask = file["reconstruction"][()], file["mask"][()]
        assert image.shape == (3, 32, 32)
        assert np.array_equal(mask, evaluation_mask("random", "file1000004.h5", 48, 8, 0.04))
        assert 0.2 < image.max() / truth["reconstruction_esc"][()].max() < 5  # the input's own units
        assert (file.attrs["dc_residual"] < 1e-5) == (name == "zero_filled")
    assert (tmp_path / "file1000004_slice1.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["vt"],
            "vt: neither a run or checkpoint, nor a method; those are zero_filled, low_pass, tv, wavelet",
        ),
        (["tv"], "data.path: not set"),
        (["tv", "data.val=DATA/singlecoil_val"], "set classical.tv_weights={...} or data.path"),
        (["wavelet", "data.path=DATA", "data.train=/nowhere"], "/nowhere: no such file or folder"),
        (["tv", "data.path=DATA", "classical.tv_weights={4: 0.1}"], "classical.tv_weights: none for x8, x16"),
        (["tv", "classical.tv_weights={4:0.1}"], "with spaces, and in quotes on a command line"),
        (["tv", "classical.tv_weights={1: 0.1}"], "greater than or equal to 2"),
        (["tv", "validate.methods=[magic]"], "'zero_filled', 'low_pass', 'tv', 'wavelet' or 'donor'"),
    ],
)
def test_what_a_user_can_mend_is_told_in_a_line(arguments, message, tiny_data, tmp_path, capsys):
    arguments = [argument.replace("DATA", str(tiny_data)) for argument in arguments]
    assert main(["validate", *arguments, "data.scan_cache=null", "--out", str(tmp_path / "o")]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert message in error[0]
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["validate", "tv", "--out", "FILE"], "FILE: must be a folder"),
        (["validate", "tv", "--html", "FILE", "--out", "OUT"], "FILE: must be a folder"),
        (["reconstruct", "tv", "SOURCE", "FILE"], "FILE: must be a folder"),
        (["validate", "tv", "validate.methods=[donor]", "--out", "OUT"], "has no other patient beside it"),
    ],
)
def test_what_is_cheap_to_check_is_told_before_weights_are_tuned(
    arguments, message, tmp_path, capsys, monkeypatch
):
    """A file for a folder, and a donor where there is one patient; nothing is left behind."""
    monkeypatch.setattr("trainer.evaluation.methods.tune_weights", lambda *rest: pytest.fail("work was done"))
    source = write_tiny_volume(tmp_path / "data" / "singlecoil_val" / "file1000004.h5")
    (tmp_path / "file").write_text("")
    places = {"FILE": str(tmp_path / "file"), "SOURCE": str(source), "OUT": str(tmp_path / "out")}
    typed = [places.get(argument, argument) for argument in arguments]
    assert main([*typed, f"data.path={tmp_path / 'data'}", *QUICK]) == 2
    assert message.replace("FILE", places["FILE"]) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_method_has_one_sample(tiny_data, tmp_path, capsys):
    source = str(tiny_data / "singlecoil_val" / "file1000004.h5")
    assert main(["reconstruct", "tv", source, str(tmp_path), "--samples", "2"]) == 2
    assert "--samples 2: tv draws no noise" in capsys.readouterr().err


def test_what_exists_is_taken_for_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tv").mkdir()
    assert main(["validate", "tv"]) == 2
    assert "tv: neither a checkpoint nor a run directory" in capsys.readouterr().err


def test_training_slices_without_a_signal_are_left_out(tiny_data, tmp_path):
    shutil.copytree(tiny_data / "singlecoil_train", tmp_path / "train")
    with h5py.File(tmp_path / "train" / "file1000002.h5", "r+") as file:
        file["reconstruction_esc"][1] = 0
    config = make_config({}, [f"data.train={tmp_path / 'train'}", *QUICK, "classical.tune_slices=3"])
    found = tuning_batches(find_volumes(config, "train"), 4, config)
    assert [batch.fname[0] for batch in found] == ["file1000001.h5", "file1000003.h5"]
