"""What is read past HDF5 is what HDF5 reads, whatever the layout, and nothing old or cut short passes."""

import os
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from fastmri.contents import read_kspace
from fastmri.direct import find_place, read_slice
from fastmri.hybrid import read_hybrid, read_truth
from fastmri.physics import to_hybrid
from fastmri.volumes import TARGET, describe_volume
from tests.conftest import read_target, write_tiny_volume


def rewrite(path, **layout) -> None:
    """Store k-space and target in another layout."""
    with h5py.File(path, "r+") as file:
        for name in ("kspace", TARGET):
            samples = file[name][()]
            del file[name]
            file.create_dataset(name, data=samples.astype(layout.get(name, samples.dtype)), **layout["how"])


LAYOUTS: dict[str, dict[str, Any]] = {
    "one piece": {"how": {}},
    "chunks": {"how": {"chunks": True, "compression": "gzip"}},
    "doubles": {"how": {}, "kspace": np.complex128, TARGET: np.float64},
    "big-endian": {"how": {}, TARGET: ">f4"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rows", [64, 62, 63])
def test_slices_are_those_of_the_file_in_any_layout(tmp_path, layout, rows):
    path = write_tiny_volume(tmp_path / "file1.h5", rows=rows, columns=41)
    rewrite(path, **LAYOUTS[layout])
    assert (find_place(path, "kspace") is None) == (layout == "chunks")
    volume = describe_volume(path)
    for k in range(volume.num_slices):
        hybrid = to_hybrid(torch.from_numpy(read_kspace(path, [k])), volume.recon_size[0])
        assert torch.equal(read_hybrid(volume, k, 1), hybrid)
        assert torch.equal(read_truth(volume, k), torch.from_numpy(read_target(path, k)))


def test_a_file_that_was_replaced_is_read_anew(tmp_path):
    path = write_tiny_volume(tmp_path / "file1.h5", seed=1)
    volume = describe_volume(path)
    old = read_hybrid(volume, 0, 1)
    os.replace(write_tiny_volume(tmp_path / "new" / "file1.h5", seed=2), path)
    assert not torch.equal(read_hybrid(volume, 0, 1), old)
    os.replace(write_tiny_volume(tmp_path / "new" / "file1.h5", seed=2, columns=40), path)
    with pytest.raises(ValueError, match=r"file1\.h5: can't be read \(kspace has become \(3, 64, 40\)"):
        read_hybrid(volume, 0, 1)


def test_a_file_cut_short_is_named(tmp_path):
    path = write_tiny_volume(tmp_path / "file1.h5")
    volume = describe_volume(path)
    read_hybrid(volume, 0, 1)  # its place is known
    state = path.stat()
    place = find_place(path, "kspace")
    assert place is not None
    os.truncate(path, place.start + 100)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(ValueError, match=r"file1\.h5: can't be read"):
        read_hybrid(volume, 1, 1)


def test_a_file_in_use_may_be_written_to(tmp_path):
    """Nothing keeps it open, or locked."""
    path = write_tiny_volume(tmp_path / "file1.h5")
    read_hybrid(describe_volume(path), 0, 1)
    with h5py.File(path, "r+") as file:
        file["kspace"][0] = 1
    out = np.empty((64, 48), np.complex64)
    read_slice(path, "kspace", 0, out)
    assert np.all(out == 1)


@pytest.mark.parametrize("most", [1, 1000, 6144, 10**6])
@pytest.mark.parametrize("first_row", [0, 5])
def test_file_systems_may_give_less_at_a_time(tmp_path, monkeypatch, most, first_row):
    """As networks' and FUSE's do: a slice of 24576 bytes is the same."""
    path = write_tiny_volume(tmp_path / "file1.h5")
    found, expected = (np.empty((64, 48), np.complex64) for _ in range(2))
    read_slice(path, "kspace", 1, expected, first_row)
    whole = os.preadv

    def some(file: int, buffers: list[memoryview], start: int) -> int:
        scratch = bytearray(min(most, sum(map(len, buffers))))
        read = left = whole(file, [scratch], start)
        for buffer in buffers:
            taken = min(left, len(buffer))
            buffer[:taken] = scratch[read - left : read - left + taken]
            left -= taken
        return read

    monkeypatch.setattr(os, "preadv", some)
    read_slice(path, "kspace", 1, found, first_row)
    assert np.array_equal(found, expected)
