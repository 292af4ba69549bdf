"""Whatever a file holds, its reader reads it or says in one line why not, soon and in little memory.

Valid tiny files with some bytes changed, cut, doubled or left out; `make fuzz` tries thousands of each kind.
"""

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastmri import inspecting
from fastmri.check import check_file
from fastmri.dicom import read_frame, read_pixels
from fastmri.header import Header, format_header, parse_header
from fastmri.inspecting import inspect
from fastmri.pictures import read_nifti, read_npy
from fastmri.rescan import check_images, emulate_scan, matrix_of
from tests.conftest import write_tiny_volume
from tests.hostile.images import good_dicom, good_nifti, good_npy

SOON = 5.0  # seconds, on a machine that has other work
LITTLE = 2**32  # bytes of addresses more than there are
VALUES = st.one_of(st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF]), st.integers(0, 255))
EDIT = st.tuples(
    st.sampled_from(["set", "set", "set", "cut", "double", "drop", "flood"]), st.floats(0, 1), VALUES
)
EDITS = st.lists(EDIT, min_size=1, max_size=6)
# most faults lie in the first bytes, which say what follows
FOCUS = st.sampled_from([64, 512, 4096, 2**30])


def volume_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_tiny_volume(Path(folder) / "a.h5", slices=2, rows=32, columns=24).read_bytes()


def header_text() -> bytes:
    return format_header(Header((64, 48, 1), (32, 32, 1), 22, 43))


def mutate(data: bytes, edits: list[tuple[str, float, int]], focus: int) -> bytes:
    """The data with edits made at fractions of its first `focus` bytes."""
    changed = bytearray(data)
    for kind, where, value in edits:
        place = int(where * max(min(len(changed), focus) - 1, 0))
        if kind == "set" and changed:
            changed[place] = value
        elif kind == "cut":
            del changed[place + value :]
        elif kind == "double":
            changed[place:place] = changed[place : place + value]
        elif kind == "drop":
            del changed[place : place + value]
        else:
            changed[place : place + 8] = bytes([value]) * 8
    return bytes(changed)


def use_volume(path: Path) -> None:
    inspect(path)
    problems = check_file(path).problems
    assert all(problem.isprintable() for problem in problems)


def use_images(images: np.ndarray) -> None:
    """As the importer does, but for what is large."""
    if images.dtype.kind in "biu":
        images = images.astype(np.float32)
    check_images(images)
    if images.size < 2**14:
        size = matrix_of(images.shape[1:], None)
        raw = emulate_scan(images, size=size, snr=30.0, rng=np.random.default_rng(0))
        assert np.isfinite(raw.kspace).all()


READERS: dict[str, tuple[Callable[[], bytes], Callable[[Path], object]]] = {
    "file.h5": (volume_file, use_volume),
    "header.xml": (header_text, lambda path: parse_header(path.read_bytes())),
    "image.dcm": (good_dicom, lambda path: use_images(read_pixels(read_frame(path, "image.dcm"))[None])),
    "image.nii": (good_nifti, lambda path: use_images(read_nifti(path, slice_axis=None))),
    "image.npy": (good_npy, lambda path: use_images(read_npy(path, slice_axis=None))),
}


@contextmanager
def little_memory() -> Iterator[None]:
    """Less for what the block asks for than a broken file may declare."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LITTLE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def attempt(name: str, path: Path, content: bytes) -> str:
    """What the reader says of a content: nothing, if it reads it."""
    path.write_bytes(content)
    started, told = time.monotonic(), ""
    try:
        READERS[name][1](path)
    except (ValueError, OSError) as error:
        told = str(error)
    assert told.isprintable(), told
    assert len(told) < 1000
    assert time.monotonic() - started < SOON + inspecting.SECONDS * ("does not come back" in told)
    return told


def try_many(name: str, folder: Path, count: int, monkeypatch) -> None:
    monkeypatch.setattr(inspecting, "SECONDS", 2.0)
    good, tried = READERS[name][0](), {"all": 0, "read": 0, "hung": 0, "crashed": 0}
    attempt(name, folder / name, good)  # starts the process apart, where there is one

    @settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(EDITS, FOCUS)
    def each(edits, focus):
        told = attempt(name, folder / name, mutate(good, edits, focus))
        tried["all"] += 1
        tried["read"] += not told
        tried["hung"] += "does not come back" in told
        tried["crashed"] += "HDF5 crashes" in told

    with little_memory():
        each()
    print(f"\n{name}: {tried}")
    assert 0 < tried["read"] < tried["all"]


@pytest.mark.parametrize("name", READERS)
def test_some_dozens(name, tmp_path, monkeypatch):
    try_many(name, tmp_path, 60, monkeypatch)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", READERS)
def test_thousands(name, tmp_path, monkeypatch):
    try_many(name, tmp_path, 5000, monkeypatch)
