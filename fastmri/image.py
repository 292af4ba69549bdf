"""Image geometry: crops and paddings about the centre, never a resize."""

from torch import Tensor
from torch.nn import functional as F


def image_size(image: Tensor) -> tuple[int, int]:
    """Height and width: the last two axes."""
    height, width = image.shape[-2:]
    return height, width


def crop_start(full: int, size: int) -> int:
    """First index of fastMRI's centre crop of `size` out of `full`."""
    assert 0 < size <= full, f"cannot crop {size} out of {full}"
    return (full - size) // 2


def center_crop(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Centre crop of the last two axes, (..., H, W) -> (..., *size), where fastMRI puts it.

    Of an even size cropped to an odd one, what is at index N // 2 is then one beyond that.
    """
    top, left = (crop_start(full, want) for full, want in zip(image_size(image), size, strict=True))
    return image[..., top : top + size[0], left : left + size[1]]


def center_fit(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Cropped or zero-padded to `size` on the last two axes, with what is at index N // 2 kept there."""
    for axis, want in zip((-2, -1), size, strict=True):
        full = image.shape[axis]
        before = want // 2 - full // 2
        margins = (before, want - full - before)
        image = F.pad(image, margins if axis == -1 else (0, 0, *margins))
    return image


def pad_to_multiple(image: Tensor, multiple: int) -> tuple[Tensor, tuple[int, int]]:
    """Zero-pad the last two axes at the far end to a multiple; also gives the size to cut back to."""
    height, width = image_size(image)
    right, bottom = -width % multiple, -height % multiple
    if right or bottom:  # torch copies even what needs none
        image = F.pad(image, (0, right, 0, bottom))
    return image, (height, width)
