"""Hybrid data and target of a slice, from where they are kept or from the file."""

import torch
from torch import Tensor, fft

from fastmri.direct import read_slice
from fastmri.image import crop_start
from fastmri.opening import naming
from fastmri.volumes import TARGET, Volume


def read_hybrid(volume: Volume, slice_num: int, adjacent_slices: int) -> Tensor:
    """Hybrid data of a slice and its neighbours, complex64 (C, h, W); edge slices are repeated."""
    half, last = adjacent_slices // 2, volume.num_slices - 1
    wanted = [min(max(k, 0), last) for k in range(slice_num - half, slice_num + half + 1)]
    hybrid = torch.empty(adjacent_slices, *volume.hybrid_shape, dtype=torch.complex64)
    for place, k in enumerate(wanted):
        if k in wanted[:place]:
            hybrid[place] = hybrid[place - 1]
        else:
            _read_slice(volume, k, hybrid[place])
    return hybrid


def read_truth(volume: Volume, slice_num: int) -> Tensor:
    """The raw target of a slice, float32 (h, w)."""
    if volume.stored is not None:
        with naming(volume.stored.path):
            return volume.stored.read_target(slice_num)
    target = torch.empty(volume.recon_size)
    with naming(volume.path):
        read_slice(volume.path, TARGET, slice_num, target.numpy())
    return target


def _read_slice(volume: Volume, slice_num: int, out: Tensor) -> None:
    """Fill complex64 (h, W)."""
    if volume.stored is not None:
        with naming(volume.stored.path):
            volume.stored.read_hybrid(slice_num, out)
    else:
        _transform_readout(volume, slice_num, out)


def _transform_readout(volume: Volume, slice_num: int, out: Tensor) -> None:
    """`to_hybrid` of a slice of the file, with both shifts done on the way rather than by copies.

    One slice at a time: some FFTs round several otherwise than one, and neighbours must not matter.
    """
    rows, columns = volume.kspace_shape[1:]
    kspace = torch.empty(rows, columns, dtype=torch.complex64)  # torch's memory suits vectorised FFTs
    with naming(volume.path):
        read_slice(volume.path, "kspace", slice_num, kspace.numpy(), first_row=rows // 2)
    image_rows = fft.ifft(kspace, dim=-2, norm="ortho")
    first = (crop_start(rows, len(out)) + rows - rows // 2) % rows  # where fftshift and crop begin
    count = min(len(out), rows - first)
    out[:count] = image_rows[first : first + count]
    out[count:] = image_rows[: len(out) - count]
