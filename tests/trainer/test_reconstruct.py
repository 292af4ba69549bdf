"""Reconstruction promises: the contract of its files, on every kind of input."""

import shutil

import h5py
import numpy as np
import pytest
import torch

from fastmri.masks import evaluation_mask
from fastmri.volumes import TARGET
from main import main


@pytest.fixture
def source(tiny_data, tmp_path):
    folder = tmp_path / "input"
    folder.mkdir()
    return shutil.copy(tiny_data / "singlecoil_val" / "file1000004.h5", folder / "file1000004.h5")


def contents(path) -> tuple[dict, dict]:
    with h5py.File(path, "r") as file:
        return {name: file[name][()] for name in file}, dict(file.attrs)


def edit(path, *, keep: tuple[str, ...], attributes: bool = False, **datasets) -> None:
    with h5py.File(path, "r+") as file:
        for name in set(file) - set(keep):
            del file[name]
        for name, value in datasets.items():
            file[name] = value
        if not attributes:
            file.attrs.clear()


def masked(path, columns: np.ndarray) -> np.ndarray:
    with h5py.File(path, "r") as file:
        return file["kspace"][()] * columns


def test_a_fully_sampled_file_is_undersampled_as_asked(tiny_run, source, tmp_path):
    out = tmp_path / "out"
    arguments = ["reconstruct", str(tiny_run), str(source), str(out), "--acceleration", "8", "--slice", "1"]
    assert main(arguments) == 0
    data, attributes = contents(out / "file1000004.h5")
    assert set(data) == {"reconstruction", "mask"}
    assert data["reconstruction"].shape == (3, 32, 32)
    assert data["reconstruction"].dtype == np.float32
    assert data["mask"].dtype == bool
    assert np.array_equal(data["mask"], evaluation_mask("random", "file1000004.h5", 48, 8, 0.04))
    assert attributes["acceleration"] == 8
    assert attributes["achieved_acceleration"] == pytest.approx(44 / data["mask"][2:46].sum())
    assert attributes["dc_residual"] < 1e-5  # hard data consistency
    truth = contents(source)[0][TARGET]
    assert 0.2 < data["reconstruction"].max() / truth.max() < 5  # the input's own units
    assert (out / "file1000004_slice1.png").stat().st_size > 10_000


def test_a_cpu_takes_slices_one_by_one_as_validate_does(tiny_run, source, tmp_path):
    """Its convolutions round differently in another batch."""
    found = []
    for size in (1, 8):
        out, option = tmp_path / f"out{size}", f"validate.batch_size={size}"
        assert main(["reconstruct", str(tiny_run), str(source), str(out), "--acceleration", "8", option]) == 0
        found.append(contents(out / "file1000004.h5")[0]["reconstruction"])
    assert np.array_equal(*found)


def test_a_test_file_keeps_its_own_mask(tiny_run, source, tmp_path, capsys):
    mask = evaluation_mask("equispaced", "other.h5", 48, 4, 0.08)
    edit(source, keep=("ismrmrd_header",), attributes=True, kspace=masked(source, mask), mask=mask)
    with h5py.File(source, "r+") as file:
        file.attrs["acceleration"] = 4
    assert main(["reconstruct", str(tiny_run), str(source), str(tmp_path / "out")]) == 0
    data, attributes = contents(tmp_path / "out" / "file1000004.h5")
    assert np.array_equal(data["mask"], mask)
    assert attributes["achieved_acceleration"] == pytest.approx(44 / mask[2:46].sum())
    assert attributes["acceleration"] == 4  # as the file says
    again = ["reconstruct", str(tiny_run), str(source), str(tmp_path / "out"), "--acceleration", "4"]
    assert main(again) == 2
    assert "is undersampled already" in capsys.readouterr().err


def test_bare_kspace_gives_its_mask_by_its_missing_columns(tiny_run, source, tmp_path):
    mask = evaluation_mask("random", "other.h5", 48, 4, 0.08)
    mask[:2] = mask[46:] = False  # padding
    edit(source, keep=(), kspace=masked(source, mask))
    assert main(["reconstruct", str(tiny_run), str(source), str(tmp_path / "out"), "--slice", "0"]) == 0
    data, _ = contents(tmp_path / "out" / "file1000004.h5")
    assert np.array_equal(data["mask"], mask)
    assert data["reconstruction"].shape == (3, 32, 32)
    assert (tmp_path / "out" / "file1000004_slice0.png").exists()


def test_bare_full_kspace_is_undersampled_and_padding_is_not_taken_for_a_mask(tiny_run, source, tmp_path):
    edit(source, keep=("kspace",))
    assert main(["reconstruct", str(tiny_run), str(source), str(tmp_path / "out")]) == 0
    data, attributes = contents(tmp_path / "out" / "file1000004.h5")
    assert attributes["acceleration"] == 4  # the config's first
    assert np.array_equal(data["mask"], evaluation_mask("random", "file1000004.h5", 48, 4, 0.08))
    assert attributes["achieved_acceleration"] == pytest.approx(44 / data["mask"][2:46].sum())


def test_centre_lines_alone_are_no_full_sampling(tiny_run, source, tmp_path):
    mask = np.zeros(48, bool)
    mask[22:26] = True
    edit(source, keep=(), kspace=masked(source, mask))
    assert main(["reconstruct", str(tiny_run), str(source), str(tmp_path / "out")]) == 0
    data, attributes = contents(tmp_path / "out" / "file1000004.h5")
    assert np.array_equal(data["mask"], mask)
    assert attributes["achieved_acceleration"] == 12


def test_a_mask_that_keeps_all_does_not_forbid_undersampling(tiny_run, source, tmp_path):
    edit(source, keep=("kspace", "ismrmrd_header"), mask=np.ones(48, bool))
    arguments = ["reconstruct", str(tiny_run), str(source), str(tmp_path / "out"), "--acceleration", "8"]
    assert main(arguments) == 0
    assert contents(tmp_path / "out" / "file1000004.h5")[1]["acceleration"] == 8


def test_damaged_files_of_a_folder_are_left_out(tiny_run, source, tmp_path):
    (source.parent / "file1.h5").write_bytes(b"damaged")
    assert main(["reconstruct", str(tiny_run), str(source.parent), str(tmp_path / "out")]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file1000004.h5"]


def test_a_folder_of_which_every_file_is_left_out_ends_with_2(tiny_run, source, tmp_path, capsys):
    with h5py.File(source, "r+") as file:
        file["kspace"][1, 3, 24] = np.inf
    shutil.copy(source, source.parent / "other.h5")
    assert main(["reconstruct", str(tiny_run), str(source.parent), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("left out: ") == 2
    assert f"error: {source.parent}: none of its 2 files can be reconstructed" in error


def test_the_same_file_gives_the_same_picture_with_and_without_its_truth(tiny_run, source, tmp_path):
    assert main(["reconstruct", str(tiny_run), str(source), str(tmp_path / "full")]) == 0
    edit(source, keep=("kspace", "ismrmrd_header"))
    assert main(["reconstruct", str(tiny_run), str(source), str(tmp_path / "bare")]) == 0
    full, bare = (contents(tmp_path / name / "file1000004.h5")[0] for name in ("full", "bare"))
    assert np.array_equal(full["reconstruction"], bare["reconstruction"])


def test_a_folder_gives_a_file_each(tiny_run, tiny_data, tmp_path):
    assert main(["reconstruct", str(tiny_run), str(tiny_data / "singlecoil_val"), str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"file100000{k}.h5" for k in (4, 5, 6)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--slice", "3"], "has slices 0 to 2"),
        (["--samples", "2"], "draws no noise"),
        (["--acceleration", "64"], "acceleration 64 with centre fraction 0.005 at width 48"),
    ],
)
def test_what_a_user_can_mend_is_told(tiny_run, source, tmp_path, capsys, arguments, message):
    assert main(["reconstruct", str(tiny_run), str(source), str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_finite_or_states_no_acceleration_is_told(tiny_run, source, tmp_path, capsys):
    command = ["reconstruct", str(tiny_run), str(source), str(tmp_path / "out")]
    with h5py.File(source, "r+") as file:
        file["mask"] = np.arange(48) % 4 == 0
        file.attrs["acceleration"] = 0
    assert main(command) == 2
    assert "attribute acceleration must be from 1 to 8192, is 0" in capsys.readouterr().err
    with h5py.File(source, "r+") as file:
        file.attrs["acceleration"] = 4
        file["kspace"][1, 3, 24] = np.inf
    assert main(command) == 2
    assert "kspace is NaN or infinite in slice" in capsys.readouterr().err


def test_inputs_are_never_overwritten(tiny_run, source, tmp_path, capsys):
    before = source.read_bytes()
    assert main(["reconstruct", str(tiny_run), str(source), str(source.parent)]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert source.read_bytes() == before


@pytest.mark.parametrize("asked", [["device=cuda"], ["--device", "cuda"]])
def test_a_device_that_is_not_there_is_not_replaced(
    asked, tiny_run, tiny_data, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    source = tiny_data / "singlecoil_val" / "file1000004.h5"
    assert main(["reconstruct", str(tiny_run), str(source), str(tmp_path / "out"), *asked]) == 2
    assert capsys.readouterr().err.startswith("error: device: cuda was asked for")
    assert not (tmp_path / "out").exists()
