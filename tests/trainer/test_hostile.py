"""Each command serves the good files of a folder and names the broken; of one broken file it makes an end."""

import os
import shutil

import h5py
import numpy as np
import pytest

from main import main
from tests.conftest import write_tiny_volume
from tests.hostile.files import HARMS, do_harm
from tests.trainer.conftest import write_config

pytestmark = pytest.mark.usefixtures("one_thread")
KINDS = ["external link", "virtual", "sparse", "soft loop", "laughs", "max is NaN", "one column"]


@pytest.fixture(scope="module")
def hostile_data(tmp_path_factory, tiny_data):
    """The tiny data with as many broken files beside it in both folders. Read only."""
    folder = tmp_path_factory.mktemp("hostile") / "data"
    shutil.copytree(tiny_data, folder)
    for part in ("train", "val"):
        inside = folder / f"singlecoil_{part}"
        for name in KINDS:
            do_harm(write_tiny_volume(inside / f"{name}.h5"), name)
        os.mkfifo(inside / "fifo.h5")
        (inside / "cut.h5").write_bytes(
            (inside / f"file100000{1 if part == 'train' else 4}.h5").read_bytes()[:9000]
        )
    return folder


def assert_told(text: str, *names: str) -> None:
    """Each in one line, and no more than that."""
    assert "Traceback" not in text
    for name in names:
        assert sum(f"{name}.h5: " in line for line in text.splitlines()) == 1, (name, text)


def test_check_lists_all(hostile_data, capsys):
    assert main(["check", str(hostile_data)]) == 1
    told = capsys.readouterr().out
    for part in ("train", "val"):
        for name in (*KINDS, "fifo", "cut"):
            assert told.count(f"singlecoil_{part}/{name}.h5: ") == 1


def test_training_goes_on_with_the_good(hostile_data, tmp_path, capsys):
    config = write_config(tmp_path / "tiny.yaml", hostile_data)
    assert (
        main(
            ["train", str(config), "train.steps=2", "masks.accelerations=[4]", "--out", str(tmp_path / "run")]
        )
        == 0
    )
    told = capsys.readouterr().err
    for part in ("train", "val"):
        assert_told(told, *(f"singlecoil_{part}/{name}" for name in (*KINDS, "fifo", "cut")))


def test_validation_scores_the_good(hostile_data, tiny_run, tmp_path, capsys):
    command = ["validate", str(tiny_run), "masks.accelerations=[4]"]
    assert main([*command, f"data.path={hostile_data}", "--out", str(tmp_path / "a")]) == 0
    assert_told(capsys.readouterr().err, *KINDS, "fifo", "cut")
    assert main([*command, "--out", str(tmp_path / "b")]) == 0
    assert (tmp_path / "a" / "metrics.csv").read_text() == (tmp_path / "b" / "metrics.csv").read_text()


def test_reconstruction_serves_the_good(hostile_data, tiny_run, tmp_path, capsys):
    source = tmp_path / "input"
    shutil.copytree(hostile_data / "singlecoil_val", source, ignore=lambda *_: ["fifo.h5", "pipe"])
    with h5py.File(write_tiny_volume(source / "infinite.h5"), "r+") as file:
        file["kspace"][1, 3, 24] = np.inf
    with h5py.File(write_tiny_volume(source / "unmasked.h5"), "r+") as file:
        file["mask"] = np.zeros(48, bool)
    with h5py.File(write_tiny_volume(source / "inflate.h5"), "r+") as file:
        kspace = file["kspace"][()]
        del file["kspace"]
        stored = file.create_dataset("kspace", data=kspace, chunks=(1, 64, 48), compression="gzip")
        place = stored.id.get_chunk_info(1).byte_offset
    with open(source / "inflate.h5", "r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 200)
    write_tiny_volume(source / "black.h5")
    with h5py.File(source / "black.h5", "r+") as file:
        file["kspace"][...] = 0
    assert main(["reconstruct", str(tiny_run), str(source), str(tmp_path / "out")]) == 0
    assert_told(capsys.readouterr().err, *KINDS, "cut", "infinite", "unmasked", "inflate")
    good = [f"file100000{k}.h5" for k in (4, 5, 6)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["black.h5", *good]


@pytest.mark.parametrize("name", KINDS)
def test_one_broken_file_ends_with_2(tiny_run, tmp_path, capsys, name):
    path = write_tiny_volume(tmp_path / "data" / "file1.h5")
    do_harm(path, name)
    for arguments in (
        ["reconstruct", str(tiny_run), str(path), str(tmp_path / "out")],
        ["validate", str(tiny_run), f"data.val={path}", "--out", str(tmp_path / "out")],
    ):
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert HARMS[name][1] in told
        assert "Traceback" not in told
    assert main(["check", str(path)]) == 1
    assert HARMS[name][1] in capsys.readouterr().out


def test_a_pipe_as_the_only_file_ends_with_2(tiny_run, tmp_path, capsys):
    os.mkfifo(tmp_path / "file1.h5")
    assert main(["reconstruct", str(tiny_run), str(tmp_path / "file1.h5"), str(tmp_path / "out")]) == 2
    assert "file1.h5: is a FIFO, not a file" in capsys.readouterr().err
    assert main(["validate", str(tiny_run), f"data.val={tmp_path}", "--out", str(tmp_path / "out")]) == 2
