"""The data check names each kind of damage, and finds nothing in good files."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastmri.check import check_folder, format_report
from fastmri.header import Header, format_header
from tests.conftest import write_tiny_volume

ESC = "reconstruction_esc"


def problems_after(path: Path, damage) -> list[str]:
    """What the check says of a tiny volume (3, 64, 48) in the folder `any` once `damage(file)` was done."""
    write_tiny_volume(path)
    with h5py.File(path, "r+") as file:
        damage(file)
    return [problem.removeprefix(f"{path}: ") for problem in check_folder(path).problems]


def set_sample(name: str, slice_num: int, value: complex):
    def damage(file: h5py.File) -> None:
        file[name][slice_num, 32 if name == "kspace" else 5, 20] = value

    return damage


def replace(name: str, make):
    def damage(file: h5py.File) -> None:
        old = file[name][()] if name in file else None
        if name in file:
            del file[name]
        new = make(old)
        if new is not None:
            file[name] = new

    return damage


def blank(name: str, *slices: int):
    def damage(file: h5py.File) -> None:
        for k in slices:
            file[name][k] = 0

    return damage


def attribute(name: str, value):
    def damage(file: h5py.File) -> None:
        file.attrs[name] = value

    return damage


def as_test_file(file: h5py.File, *, mask: np.ndarray | None = None, zero: bool = True) -> None:
    """Turn a volume into fastMRI's test files: a mask, no target, unmeasured lines zero."""
    keep = np.arange(48) % 4 == 0
    del file[ESC]
    for name in ("max", "norm"):
        del file.attrs[name]
    if zero:
        file["kspace"][...] = np.where(keep, file["kspace"][()], 0)
    file["mask"] = keep if mask is None else mask


def test_good_data_has_no_problem(tiny_data):
    report = check_folder(tiny_data)
    assert report.problems == []
    assert [(folder.path.name, folder.volumes, folder.slices) for folder in report.folders] == [
        ("singlecoil_train", 3, 9),
        ("singlecoil_val", 3, 8),
    ]
    text = format_report(report)
    assert "3 of fastMRI's 973 volumes, 9 of 34742 slices" in text
    assert "3 of fastMRI's 199 volumes, 8 of 7135 slices" in text
    assert "singlecoil_val/file1000005.h5" in text
    assert "64x41" in text
    assert "no problems" in text


def test_a_narrow_file_without_a_target_has_no_problem(tmp_path):
    def narrow(file: h5py.File) -> None:
        as_test_file(file, mask=(np.arange(48) % 4 == 0)[10:38])
        kspace = file["kspace"][:, :, 10:38]
        del file["kspace"], file["ismrmrd_header"]
        file["kspace"] = kspace
        file["ismrmrd_header"] = format_header(Header((64, 28, 1), (32, 32, 1), center=14, maximum=27))

    assert problems_after(tmp_path / "singlecoil_test" / "a.h5", narrow) == []


def test_one_folder_or_one_file(tiny_data):
    folder = tiny_data / "singlecoil_val"
    assert len(check_folder(folder).files) == 3
    report = check_folder(folder / "file1000004.h5")
    assert [file.path.name for file in report.files] == ["file1000004.h5"]
    assert report.problems == []


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (set_sample("kspace", 1, np.nan), "kspace is NaN or infinite in slice 1"),
        (set_sample("kspace", 2, np.inf), "kspace is NaN or infinite in slice 2"),
        (set_sample(ESC, 0, np.nan), f"{ESC} is NaN or infinite in slice 0"),
        (blank("kspace", 0, 1), "kspace is all zero in slices 0-1"),
        (blank(ESC, 0, 2), f"{ESC} is all zero in slices 0, 2"),
        (
            set_sample(ESC, 1, 1.0),
            f"{ESC} is not the cropped inverse transform of kspace in slice 1 (relative",
        ),
        (replace(ESC, lambda old: old[:, ::-1]), f"{ESC} is not the cropped inverse transform of kspace in"),
        (replace("kspace", lambda old: None), "no dataset 'kspace'"),
        (replace("kspace", np.abs), "kspace must be complex (slices, rows, columns), is float32"),
        (replace("kspace", lambda old: old[0]), "kspace must be complex (slices, rows, columns)"),
        (replace(ESC, lambda old: old[:2]), f"{ESC} must be (3, h, w), is (2, 32, 32)"),
        (replace(ESC, lambda old: (1e6 * old).astype(int)), f"{ESC} must be real floating point, is int64"),
        (replace("mask", lambda old: np.full(48, b"1")), "mask must be of numbers, is |S1"),
        (replace(ESC, lambda old: old[:, :30, :30]), "header says a reconstruction of (32, 32)"),
        (replace("ismrmrd_header", lambda old: b"<cut"), "ismrmrd_header is not XML"),
        (replace("mask", lambda old: np.ones(47)), "mask must have 48 entries, one per column, has 47"),
        (replace("mask", lambda old: np.zeros(48)), "mask keeps no column"),
        (attribute("max", 1.0), "attribute max is 1, that of reconstruction_esc is"),
        (attribute("norm", 1.0), "attribute norm is 1, that of reconstruction_esc is"),
        (attribute("max", "large"), "attribute max must be a number"),
        (attribute("max", [1.0, 2.0]), "attribute max must be a number"),
    ],
)
def test_damage_is_named(tmp_path, damage, expected):
    problems = problems_after(tmp_path / "any" / "file1.h5", damage)
    assert any(problem.startswith(expected) for problem in problems), problems
    assert not any("\n" in problem for problem in problems)


def test_files_that_are_not_hdf5_are_named_and_the_others_counted(tmp_path):
    good = write_tiny_volume(tmp_path / "file1.h5")
    whole = good.read_bytes()
    (tmp_path / "file2.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "file3.h5").write_text("not HDF5")
    (tmp_path / "file4.h5").write_bytes(b"")
    report = check_folder(tmp_path)
    assert len(report.problems) == 3
    for name, problem in zip(("file2", "file3", "file4"), report.problems, strict=True):
        assert problem.startswith(f"{tmp_path / name}.h5: not a readable HDF5 file")
        assert problem.count(str(tmp_path)) == 1
    assert (report.folders[0].volumes, report.folders[0].slices) == (1, 3)
    assert format_report(report).count("1 PROBLEM") == 3


def test_unreadable_samples_are_named(tmp_path):
    path = write_tiny_volume(tmp_path / "file1.h5")
    with h5py.File(path, "r+") as file:
        kspace = file["kspace"][()]
        del file["kspace"]
        stored = file.create_dataset("kspace", data=kspace, chunks=(1, 64, 48), compression="gzip")
        start = stored.id.get_chunk_info(1).byte_offset
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(b"\xff" * 200)
    report = check_folder(path)
    assert len(report.problems) == 1
    assert "unreadable" in report.problems[0]


def test_test_files(tmp_path):
    path = tmp_path / "singlecoil_test" / "file1.h5"
    assert problems_after(path, as_test_file) == []
    report = check_folder(path)
    assert report.files[0].notes == ["undersampled"]
    assert "1 of fastMRI's 108 volumes, 3 of 3903 slices" in format_report(report)
    assert problems_after(path, lambda file: as_test_file(file, zero=False)) == [
        "kspace is not zero outside the mask in slices 0-2"
    ]


def test_bare_kspace_is_a_note_except_where_targets_belong(tmp_path):
    def strip(file: h5py.File) -> None:
        for name in (ESC, "ismrmrd_header"):
            del file[name]
        for name in list(file.attrs):
            del file.attrs[name]

    bare = tmp_path / "any" / "file1.h5"
    assert problems_after(bare, strip) == []
    notes = check_folder(bare).files[0].notes
    assert notes == ["no target", "no header", "no attribute acquisition", "no attribute patient_id"]
    train = tmp_path / "singlecoil_train" / "file1.h5"
    assert problems_after(train, strip) == [f"no dataset '{ESC}', which every file of singlecoil_train needs"]


def test_nothing_to_check(tmp_path, tiny_data):
    with pytest.raises(ValueError, match="no such file or folder"):
        check_folder(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"holds no \.h5 file"):
        check_folder(tmp_path)
    (tmp_path / "singlecoil_val").mkdir()
    with pytest.raises(ValueError, match=r"holds no \.h5 file"):
        check_folder(tmp_path)
    shutil.copytree(tiny_data / "singlecoil_train", tmp_path / "singlecoil_train")
    report = check_folder(tmp_path)
    assert report.problems == []
    assert [folder.volumes for folder in report.folders] == [3, 0]
