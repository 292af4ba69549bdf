"""What a slice is, before and after its mask, by itself and in a batch."""

from typing import NamedTuple, overload

from torch import Tensor

from fastmri.physics import apply_mask


class Slice(NamedTuple):
    """One slice."""

    masked_kspace: Tensor  # complex64 (C, h, W) hybrid data of C adjacent slices, +0.0 where not sampled
    mask: Tensor  # bool (1, 1, W)
    target: Tensor | None  # float32 (1, h, w), raw; None where the file has none
    kspace: Tensor | None  # complex64 (1, h, W) complete hybrid data of the target; None where there is none
    max_value: Tensor  # float32 (1, 1, 1), maximum of the raw target volume; 0 where there is none
    scale: Tensor  # float32 (1, 1, 1), maximum of |zero-filled| over the whole slice
    fname: str
    slice_num: int
    acceleration: int
    acquisition: str
    acquired: tuple[int, int]
    recon_size: tuple[int, int]


class Drawn(NamedTuple):
    """A slice that is not yet masked: half as much to move, and a device masks at once."""

    hybrid: Tensor  # complex64 (C, h, W) complete hybrid data of C adjacent slices
    mask: Tensor
    target: Tensor | None
    max_value: Tensor
    scale: Tensor
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
    """Likewise, not yet masked."""

    hybrid: Tensor
    mask: Tensor
    target: Tensor | None
    max_value: Tensor
    scale: Tensor
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
    """What the mask leaves of a slice, or of a batch of them, on whatever device it is."""
    fields = drawn._asdict()
    hybrid = fields.pop("hybrid")
    middle = hybrid.shape[-3] // 2
    fields["masked_kspace"] = apply_mask(hybrid, drawn.mask)
    fields["kspace"] = None if drawn.target is None else hybrid[..., middle : middle + 1, :, :].contiguous()
    return Slice(**fields) if isinstance(drawn, Drawn) else SliceBatch(**fields)
