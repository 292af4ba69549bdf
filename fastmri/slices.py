"""What a slice is, before and after its mask."""

from typing import NamedTuple, TypeVar

from torch import Tensor

from fastmri.physics import apply_mask


class Slice(NamedTuple):
    """One slice, or a batch of slices of equal shape: then tensors and lists start with an axis N."""

    masked_kspace: Tensor  # complex64 (C, h, W) hybrid data of C adjacent slices, +0.0 where not sampled
    mask: Tensor  # bool (1, 1, W)
    target: Tensor | None  # float32 (1, h, w), raw; None where the file has none
    kspace: Tensor | None  # complex64 (1, h, W) complete hybrid data of the target; None where there is none
    max_value: Tensor  # float32 (1, 1, 1), maximum of the raw target volume; 0 where there is none
    scale: Tensor  # float32 (1, 1, 1), maximum of |zero-filled| over the whole slice
    fname: str | list[str]
    slice_num: int | list[int]
    acceleration: int | list[int]
    acquisition: str | list[str]
    acquired: tuple[int, int] | list[tuple[int, int]]
    recon_size: tuple[int, int] | list[tuple[int, int]]


class Drawn(NamedTuple):
    """A Slice, or a batch, that is not yet masked: half as much to move, and a device masks at once."""

    hybrid: Tensor  # complex64 (C, h, W) complete hybrid data of C adjacent slices
    mask: Tensor
    target: Tensor | None
    max_value: Tensor
    scale: Tensor
    fname: str | list[str]
    slice_num: int | list[int]
    acceleration: int | list[int]
    acquisition: str | list[str]
    acquired: tuple[int, int] | list[tuple[int, int]]
    recon_size: tuple[int, int] | list[tuple[int, int]]


Batch = TypeVar("Batch", Slice, Drawn)


def undersample(drawn: Drawn) -> Slice:
    """What the mask leaves of a slice, or of a batch of them, on whatever device it is."""
    fields = drawn._asdict()
    hybrid = fields.pop("hybrid")
    middle = hybrid.shape[-3] // 2
    return Slice(
        masked_kspace=apply_mask(hybrid, drawn.mask),
        kspace=None if drawn.target is None else hybrid[..., middle : middle + 1, :, :].contiguous(),
        **fields,
    )
