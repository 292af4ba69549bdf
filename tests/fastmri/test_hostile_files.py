"""Broken and hostile HDF5 files are named in one line, with nothing read on their behalf; none hangs."""

import os
import random
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest

from fastmri import inspecting
from fastmri.check import check_folder
from fastmri.contents import read_kspace
from fastmri.direct import read_slice
from fastmri.inspecting import inspect
from fastmri.scan import scan_volumes
from fastmri.volumes import TARGET
from tests.conftest import ROOT, write_tiny_volume
from tests.hostile.files import HARMS, do_harm


@pytest.fixture
def path(tmp_path):
    return write_tiny_volume(tmp_path / "file1.h5")


def assert_in_one_line(text: str, path) -> None:
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    assert len(text) < 1000


@pytest.mark.parametrize("name", HARMS)
def test_each_harm_is_named_before_it_is_done(path, name):
    do_harm(path, name)
    with pytest.raises(ValueError) as error:
        inspect(path)
    assert_in_one_line(str(error.value), path)
    assert HARMS[name][1] in str(error.value)


def test_a_check_lists_every_broken_file_of_a_folder(tmp_path):
    for name in HARMS:
        do_harm(write_tiny_volume(tmp_path / f"{name}.h5"), name)
    os.mkfifo(tmp_path / "fifo.h5")
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "device.h5").symlink_to("/dev/zero")
    (tmp_path / "dangling.h5").symlink_to("nowhere")
    (tmp_path / "loop.h5").symlink_to("loop.h5")
    write_tiny_volume(tmp_path / "good.h5")
    problems = check_folder(tmp_path).problems
    assert len(problems) == len(HARMS) + 5
    told = "\n".join(problems)
    for name in (*HARMS, "fifo", "folder", "device", "dangling", "loop"):
        assert f"{name}.h5: " in told
    for word in ("is a FIFO, not a file", "is a folder, not a file", "is a device, not a file"):
        assert word in told
    assert [volume.fname for volume in scan_volumes(tmp_path)] == ["good.h5"]


def test_memory_stays_as_of_a_good_file(tmp_path):
    write_tiny_volume(tmp_path / "good" / "file1.h5")
    for name in ("terabytes", "sparse", "one chunk", "bomb", "header of 2 GB", "long header", "laughs"):
        do_harm(write_tiny_volume(tmp_path / "hostile" / f"{name}.h5"), name)
    script = """if __name__ == "__main__":
        import resource, sys
        from pathlib import Path
        from fastmri import inspecting
        from fastmri.scan import list_files
        for folder in sys.argv[1:]:
            for path in list_files(Path(folder)):
                try:
                    inspecting.inspect(path)
                    print("read")
                except ValueError:
                    print("named")
            status = Path(f"/proc/{inspecting._inspectors[0].process.pid}/status").read_text()
            theirs = status.partition("VmHWM:")[2].split()[0]
            print(theirs, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    file = tmp_path / "peak.py"
    file.write_text(script)
    done = subprocess.run(
        [sys.executable, str(file), str(tmp_path / "good"), str(tmp_path / "hostile")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told = done.stdout.splitlines()
    assert [told[0], *told[2:-1]] == ["read", *["named"] * 7]
    (theirs, ours), (theirs_after, ours_after) = (map(int, told[k].split()) for k in (1, -1))  # kB
    assert theirs_after - theirs < 50_000
    assert ours_after - ours < 50_000


def attempt(path) -> bool:
    """Whether a file that may be broken is read; if not, it must be said in one line, and soon."""
    try:
        inspect(path)
    except ValueError as error:
        assert_in_one_line(str(error), path)
        return False
    for problem in check_folder(path).problems:
        assert_in_one_line(problem, path)
    return True


def cut(path, count: int) -> None:
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, count).astype(int):
        path.write_bytes(whole[:place])
        assert not attempt(path)


def flip(path, count: int, monkeypatch) -> int:
    """Change a byte or a few in as many copies; gives how many of them are still read."""
    monkeypatch.setattr(inspecting, "SECONDS", 5.0)
    whole, rng = path.read_bytes(), random.Random(0)
    with h5py.File(path, "r") as file:
        start, size = file["kspace"].id.get_offset(), file["kspace"].id.get_storage_size()
    described = [k for k in range(len(whole)) if not start <= k < start + size]  # samples may be anything
    read = 0
    for _ in range(count):
        broken = bytearray(whole)
        for place in rng.sample(described, rng.choice([1, 1, 2, 4])):
            broken[place] = rng.choice([0, 1, 0x7F, 0xFF, rng.randrange(256)])
        path.write_bytes(broken)
        read += attempt(path)
    print(f"{count} changed, {read} of them still read")
    return read


def test_a_file_cut_at_a_few_places(path):
    cut(path, 8)


@pytest.mark.slow
def test_a_file_cut_at_50_places(path):
    cut(path, 50)


def test_a_few_flipped_bytes(path, monkeypatch):
    assert 0 < flip(path, 30, monkeypatch) < 30


@pytest.mark.slow
def test_500_flipped_bytes(path, monkeypatch):
    assert 0 < flip(path, 500, monkeypatch) < 500


def loop_for_ever(path) -> None:
    """An object of no size in the heap that holds the header: HDF5 2.0 then never leaves it."""
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    # collection: signature, version, size (16 bytes); object: index, count, reserved (8), size (8)
    data[heap + 16 + 8 : heap + 16 + 16] = (2**64 - 16).to_bytes(8, "little")
    path.write_bytes(data)


def test_a_file_that_hdf5_never_comes_back_from_is_named_and_the_next_is_read(path, tmp_path, monkeypatch):
    monkeypatch.setattr(inspecting, "SECONDS", 2.0)
    loop_for_ever(path)
    good = write_tiny_volume(tmp_path / "file2.h5")
    with pytest.raises(ValueError, match=r"file1\.h5: HDF5 does not come back from it in 2 s"):
        inspect(path)
    assert inspect(good).num_slices == 3


def test_a_file_that_crashes_hdf5_is_named_and_the_next_is_read(path, tmp_path):
    data = bytearray(path.read_bytes())
    kind = data.index(b"acquisition\0") + 16  # of the attribute: of varying length, of which kind
    assert data[kind : kind + 2] == b"\x19\x01"
    data[kind + 1] = 0x7F
    path.write_bytes(data)
    good = write_tiny_volume(tmp_path / "file2.h5")
    with pytest.raises(ValueError, match=r"file1\.h5: HDF5 crashes on it"):
        inspect(path)
    assert inspect(good).num_slices == 3


def test_a_process_that_ended_is_started_anew(path):
    inspect(path)
    inspecting._inspectors[0].process.kill()
    inspecting._inspectors[0].process.wait()
    assert inspect(path).num_slices == 3


def test_a_file_that_becomes_hostile_after_the_scan_is_not_followed(path):
    volume = inspect(path)
    out = np.empty(volume.kspace_shape[1:], np.complex64)
    read_slice(path, "kspace", 0, out)
    do_harm(path, "external link")
    with pytest.raises(ValueError, match="kspace is a link to something else"):
        read_slice(path, "kspace", 0, out)
    with pytest.raises(ValueError, match=r"file1\.h5: kspace is a link to something else"):
        read_kspace(path, [0])
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is a FIFO"):
        read_slice(path, "kspace", 0, out)


def test_a_large_attribute_is_not_read(path, tmp_path):
    with h5py.File(path, "r") as old, h5py.File(tmp_path / "file2.h5", "w", libver="latest") as file:
        for name in ("kspace", TARGET):
            old.copy(name, file)
        file.attrs["max"] = np.zeros(10**6)
    with pytest.raises(ValueError, match="attribute max must be at most 4096 bytes, has 8000000"):
        inspect(tmp_path / "file2.h5")


@pytest.mark.parametrize(
    ("stored", "label"),
    [
        ("x" * 10**6, "x" * 64),
        ("\x1b[2J\nline", "?[2J?line"),
        (np.array([], "S1"), "unknown"),
        (np.bytes_(b"\xff\xfe"), "\ufffd\ufffd"),
    ],
)
def test_an_acquisition_is_a_short_word_that_can_be_shown(path, stored, label):
    with h5py.File(path, "r+") as file:
        del file.attrs["acquisition"]
        file.attrs["acquisition"] = stored
    assert inspect(path).acquisition == label


def test_a_user_block_is_allowed_and_other_precisions_too(path, tmp_path):
    plain = read_kspace(path, [1])
    with h5py.File(path, "r") as old, h5py.File(tmp_path / "file2.h5", "w", userblock_size=1024) as file:
        old.copy(TARGET, file)
        file["kspace"] = old["kspace"][()].astype(np.complex128)
    assert inspect(tmp_path / "file2.h5").num_slices == 3
    assert np.array_equal(read_kspace(tmp_path / "file2.h5", [1]), plain)
    out = np.empty(plain.shape[1:], np.complex64)
    read_slice(tmp_path / "file2.h5", "kspace", 1, out)
    assert np.array_equal(out, plain[0])


def test_the_names_of_files_are_shown_not_obeyed(tmp_path):
    path = tmp_path / "a\nb\x1b[2J.h5"
    path.write_bytes(b"")
    (problem,) = check_folder(tmp_path).problems
    assert problem.isprintable()
    assert "a?b?[2J.h5: not a readable HDF5 file" in problem


def test_a_lower_limit_of_addresses_is_kept(tmp_path):
    """As a queue of jobs may set one for good: a healthy file is no crash of HDF5 there."""
    path = write_tiny_volume(tmp_path / "file1.h5")
    script = "import sys; from fastmri.inspecting import inspect; print(inspect(sys.argv[1]))"
    told = subprocess.run(
        [sys.executable, "-c", script, path],
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "file1.h5" in told
