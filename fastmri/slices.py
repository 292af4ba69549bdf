"""What a slice is, before and after its mask, by itself and in a batch."""

from typing import NamedTuple, overload

import torch
from torch import Tensor

from fastmri.physics import apply_mask, measured_scale


class Slice(NamedTuple):
    """One slice."""

    masked_kspace: Tensor  # complex64 (C, h, W) hybrid data of C adjacent slices, +0.0 where not sampled
    mask: Tensor  # bool (1, 1, W)
    target: Tensor | None  # float32 (1, h, w), raw; None where the file has none
    kspace: Tensor | None  # complex64 (1, h, W) complete hybrid data of the target; None where there is none
    max_value: Tensor  # float32 (1, 1, 1), maximum of the raw target volume; 0 where there is none
    scale: Tensor  # float32 (1, 1, 1), maximum of |zero-filled| over all rows of the C slices
    fname: str
    slice_num: int
    acceleration: int
    acquisition: str
    acquired: tuple[int, int]
    recon_size: tuple[int, int]


class Drawn(NamedTuple):
    """A slice that is not masked yet: the device that it is computed on does that, for a batch at once."""

    hybrid: Tensor  # complex64 (C, h, W) complete hybrid data of C adjacent slices, all rows
    rows: slice  # those that are wanted
    mask: Tensor
    target: Tensor | None  # of the rows that are wanted
    max_value: Tensor
    fname: str
    slice_num: int
    acceleration: int
    acquisition: str
    acquired: tuple[int, int]
    recon_size: tuple[int, int]


class SliceBatch(NamedTuple):
    """Slices of equal shape: tensors and lists start with an axis N."""

    masked_kspace: Tensor
    mask: Tensor
    target: Tensor | None
    kspace: Tensor | None
    max_value: Tensor
    scale: Tensor
    fname: list[str]
    slice_num: list[int]
    acceleration: list[int]
    acquisition: list[str]
    acquired: list[tuple[int, int]]
    recon_size: list[tuple[int, int]]


class DrawnBatch(NamedTuple):
    """Slices of equal shape that are not masked yet."""

    hybrid: Tensor
    rows: list[slice]
    mask: Tensor
    target: Tensor | None
    max_value: Tensor
    fname: list[str]
    slice_num: list[int]
    acceleration: list[int]
    acquisition: list[str]
    acquired: list[tuple[int, int]]
    recon_size: list[tuple[int, int]]


@overload
def undersample(drawn: Drawn) -> Slice: ...


@overload
def undersample(drawn: DrawnBatch) -> SliceBatch: ...


def undersample(drawn: Drawn | DrawnBatch) -> Slice | SliceBatch:
    """What the mask leaves of a slice, or of a batch of them, on whatever device it is.

    The scale is of all rows, as in a reconstruction, though a training may want some of them.
    """
    fields = drawn._asdict()
    hybrid, rows = fields.pop("hybrid"), fields.pop("rows")
    masked, middle = apply_mask(hybrid, drawn.mask), hybrid.shape[-3] // 2
    complete = hybrid[..., middle : middle + 1, :, :]
    fields["scale"] = measured_scale(masked)
    fields["masked_kspace"] = _of_rows(masked, rows)
    fields["kspace"] = None if drawn.target is None else _of_rows(complete, rows)
    return Slice(**fields) if isinstance(drawn, Drawn) else SliceBatch(**fields)


def _of_rows(data: Tensor, rows: slice | list[slice]) -> Tensor:
    """Rows of data (C, h, W), or of each of a batch, which are as many."""
    if isinstance(rows, slice):
        return data[:, rows].contiguous()
    if all(part.stop - part.start == data.shape[-2] for part in rows):
        return data.contiguous()
    return torch.stack([one[:, part] for one, part in zip(data, rows, strict=True)])
