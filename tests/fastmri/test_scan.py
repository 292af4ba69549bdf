"""Folders are scanned once; the cache never tells an old story; filters act after it."""

import json
import os
from pathlib import Path

import pytest
from loguru import logger

from fastmri.scan import scan_volumes, select_volumes
from tests.conftest import write_tiny_volume


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "singlecoil_train"
    for k in range(4):
        acquisition = ("CORPD_FBK", "CORPDFS_FBK")[k % 2]
        write_tiny_volume(folder / f"file{k}.h5", slices=2, seed=k, acquisition=acquisition)
    return folder


def test_what_is_not_hdf5_is_ignored(folder):
    (folder / "notes.txt").write_text("hello")
    (folder / "more").mkdir()
    assert [volume.fname for volume in scan_volumes(folder)] == [f"file{k}.h5" for k in range(4)]


def test_a_damaged_file_is_left_out(folder):
    (folder / "file1.h5").write_bytes(b"not HDF5")
    assert [volume.fname for volume in scan_volumes(folder)] == ["file0.h5", "file2.h5", "file3.h5"]


def test_a_folder_without_volumes_is_an_error(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds no \.h5 file"):
        scan_volumes(tmp_path / "empty")
    with pytest.raises(ValueError, match="no such file or folder"):
        scan_volumes(tmp_path / "nowhere")
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="none of its 4 files"):
        scan_volumes(folder)


def test_the_cache_is_used_and_is_json(folder, tmp_path):
    cache = tmp_path / "cache" / "volumes.json"
    first = scan_volumes(folder, cache)
    content = json.loads(cache.read_text())
    for entry in content["volumes"].values():
        entry["acquisition"] = "FROM_CACHE"
    cache.write_text(json.dumps(content))
    again = scan_volumes(folder, cache)
    assert {volume.acquisition for volume in again} == {"FROM_CACHE"}
    assert [v._replace(acquisition="") for v in again] == [v._replace(acquisition="") for v in first]


def test_a_changed_file_is_read_again(folder, tmp_path):
    cache = tmp_path / "volumes.json"
    scan_volumes(folder, cache)
    write_tiny_volume(folder / "file0.h5", slices=5)
    assert scan_volumes(folder, cache)[0].num_slices == 5
    os.utime(folder / "file1.h5", (0, 0))  # same size, another time
    assert len(json.loads(cache.read_text())["volumes"]) == 5
    scan_volumes(folder, cache)
    assert len(json.loads(cache.read_text())["volumes"]) == 6


def test_the_cache_never_tells_paths_of_another_directory(folder, tmp_path, monkeypatch):
    cache = tmp_path / "volumes.json"
    monkeypatch.chdir(folder.parent)
    assert scan_volumes(Path("singlecoil_train"), cache)[0].path == "singlecoil_train/file0.h5"
    monkeypatch.chdir("/")
    assert scan_volumes(folder, cache)[0].path == str(folder / "file0.h5")
    link = folder / "file9.h5"
    link.symlink_to(folder / "file0.h5")
    assert scan_volumes(folder, cache)[-1].fname == "file9.h5"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 0, "volumes": {}}'])
def test_a_broken_cache_is_made_anew(folder, tmp_path, content):
    cache = tmp_path / "volumes.json"
    cache.write_text(content)
    assert len(scan_volumes(folder, cache)) == 4
    assert len(json.loads(cache.read_text())["volumes"]) == 4


def test_a_cache_that_cannot_be_written_is_told_and_the_volumes_are_there(folder, tmp_path):
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    (tmp_path / "file").touch()
    assert len(scan_volumes(folder, tmp_path / "file" / "cache.json")) == 4
    logger.remove(sink)
    assert ["cache.json can't be written" in line for line in lines] == [True]


def test_filters_act_after_the_cache(folder, tmp_path):
    cache = tmp_path / "volumes.json"
    few = select_volumes(scan_volumes(folder, cache), acquisitions=["CORPD_FBK"], sample_rate=0.5, seed=0)
    every = select_volumes(scan_volumes(folder, cache), acquisitions=None, sample_rate=1.0, seed=0)
    assert [volume.acquisition for volume in few] == ["CORPD_FBK"]
    assert len(every) == 4


def test_an_absent_acquisition_is_an_error_that_lists_the_present(folder):
    with pytest.raises(ValueError, match="no volume is AXT2; there are CORPDFS_FBK, CORPD_FBK"):
        select_volumes(scan_volumes(folder), acquisitions=["AXT2"], sample_rate=1.0, seed=0)
