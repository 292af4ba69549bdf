"""Broken and hostile images are named in one line and left out; the others are imported."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from main import main
from tests.conftest import ROOT
from tests.hostile.images import HARMS, good_dicom, good_nifti, good_npy

GOOD = {"good.npy": good_npy, "good.nii": good_nifti, "good.dcm": good_dicom}


def folder_of(folder: Path, *names: str) -> Path:
    """The good images, and those harms."""
    folder.mkdir()
    for name, make in GOOD.items():
        (folder / name).write_bytes(make())
    for name in names:
        (folder / name).write_bytes(HARMS[name][0]())
    return folder


def test_each_harm_is_named_and_the_good_are_imported(tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    source = folder_of(tmp_path / "in", *HARMS)
    os.mkfifo(source / "fifo.dcm")
    (source / "device.nii").symlink_to("/dev/zero")
    assert main(["import", str(source), str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    named = [line for line in told.err.splitlines() if "in/" in line]
    for name, (_, fault) in HARMS.items():
        lines = [line for line in named if f"/{name}: " in line]
        assert len(lines) == 1, (name, told.err)
        assert fault in lines[0]
        assert len(lines[0]) < 400
    assert f"{len(GOOD)} volumes in" in told.out
    assert "Traceback" not in told.err
    assert not caplog.records  # no library adds lines of its own, which name no file
    assert not (tmp_path / "unpickled").exists()


def test_memory_stays_as_of_good_images(tmp_path):
    harms = ["terabytes.npy", "short.nii", "image.nii.gz", "bomb.nii.gz", "inflate.dcm", "rows.dcm"]
    folder = folder_of(tmp_path / "in", *harms)
    script = """if True:
        import resource, sys
        from pathlib import Path
        from fastmri.dicom import read_frame
        from fastmri.pictures import array_pictures
        for path in map(Path, sys.argv[1:]):
            try:
                if path.suffix == ".dcm":
                    read_frame(path, path.name)
                else:
                    array_pictures(path, path.name, slice_axis=None).read()
                print("read", end=" ")
            except ValueError:
                print("named", end=" ")
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    paths = [str(folder / name) for name in (*GOOD, *harms)]
    done = subprocess.run(
        [sys.executable, "-c", script, *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told = [line.split() for line in done.stdout.splitlines()]
    assert [word for word, _ in told] == ["read"] * len(GOOD) + ["named"] * len(harms)
    good, hostile = int(told[len(GOOD) - 1][1]), int(told[-1][1])
    assert hostile - good < 200_000  # kB: a deflated DICOM is let grow, and of the bomb 64 MiB are kept twice


def test_names_never_leave_the_folder_nor_reach_the_terminal(tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    evil = "../../../evil\x1b[2J"
    (source / "a\x1b[2J\nb.dcm").write_bytes(
        good_dicom(SeriesDescription=evil, PatientID=evil, SeriesInstanceUID="../../1")
    )
    (source / "c\x1b[2J.npy").write_bytes(b"broken")
    (source / os.fsdecode(b"\xff.npy")).write_bytes(good_npy())
    before = set(tmp_path.parent.iterdir())
    assert main(["import", str(source), str(tmp_path / "out"), "--split", "train"]) == 0
    told = capsys.readouterr()
    assert "\x1b[2J" not in told.err + told.out
    assert "c?[2J.npy: not a readable .npy file" in told.err
    written = sorted(path for path in tmp_path.rglob("*") if path.is_file() and source not in path.parents)
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == [
        f"singlecoil_train/file100000{k}.h5" for k in (1, 2)
    ]
    assert set(tmp_path.parent.iterdir()) == before
    for path in written:
        with h5py.File(path, "r") as file:
            assert all(str(value).isprintable() for value in file.attrs.values())
            assert "evil" not in str(file.attrs["patient_id"])


@pytest.mark.parametrize("name", ["terabytes.npy", "bomb.nii.gz", "rows.dcm"])
def test_one_hostile_image_ends_without_a_volume(tmp_path, name, capsys):
    path = tmp_path / name
    path.write_bytes(HARMS[name][0]())
    assert main(["import", str(path), str(tmp_path / "out")]) == 2
    assert HARMS[name][1] in capsys.readouterr().err
