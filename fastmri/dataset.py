"""Slices as the models see them: hybrid space, masked, one draw of a sampler at a time."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from fastmri.augment import Augmentation, augment
from fastmri.fourier import ifft1c
from fastmri.hybrid import read_hybrid, read_truth
from fastmri.image import center_crop
from fastmri.masks import MaskSettings, evaluation_mask, training_mask
from fastmri.opening import printable
from fastmri.slices import Drawn, DrawnBatch, Slice, SliceBatch, undersample
from fastmri.volumes import Volume


class TrainingDraw(NamedTuple):
    """What a training sampler asks for: a slice, and the seed of all that is random about it."""

    place: int  # among the slices
    seed: tuple[int, ...]


class EvaluationDraw(NamedTuple):
    """What an evaluation sampler asks for: a slice at an acceleration."""

    place: int
    acceleration: int


class TrainingSlices(Dataset[Slice]):
    """Slices with a new mask, acceleration, row crop and variation at every draw."""

    def __init__(
        self,
        volumes: list[Volume],
        masks: MaskSettings,
        *,
        adjacent_slices: int,
        crop_rows: int | None,
        augmentation: Augmentation,
    ):
        self.volumes, self.masks = volumes, masks
        self.adjacent_slices, self.crop_rows, self.augmentation = adjacent_slices, crop_rows, augmentation
        self.slices = list_slices(volumes)

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, draw: TrainingDraw) -> Slice:
        return undersample(self.draw(draw))

    def draw(self, draw: TrainingDraw) -> Drawn:
        """A slice that is not yet masked."""
        rng = np.random.default_rng(draw.seed)
        volume, slice_num = self.slices[draw.place]
        hybrid = read_hybrid(volume, slice_num, self.adjacent_slices)
        if self.augmentation.active:
            hybrid = augment(hybrid, self.augmentation, volume.acquired, rng)
            middle = hybrid[self.adjacent_slices // 2]
            target = center_crop(ifft1c(middle).abs(), volume.recon_size)[None]
        else:
            target = read_truth(volume, slice_num)[None]
        pair = self.masks.pairs[rng.integers(len(self.masks.pairs))]
        mask = training_mask(self.masks.kind, hybrid.shape[-1], *pair, rng)
        drawn = _describe(volume, slice_num, hybrid, torch.from_numpy(mask), target, pair.acceleration)
        return _crop_rows(drawn, self.crop_rows, rng)


class EvaluationSlices(Dataset[Slice]):
    """Slices with the mask that their volume always has at an acceleration."""

    def __init__(self, volumes: list[Volume], masks: MaskSettings, *, adjacent_slices: int):
        self.volumes, self.masks, self.adjacent_slices = volumes, masks, adjacent_slices
        self.slices = list_slices(volumes)

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, draw: EvaluationDraw) -> Slice:
        return undersample(self.draw(draw))

    def draw(self, draw: EvaluationDraw) -> Drawn:
        """A slice that is not yet masked."""
        volume, slice_num = self.slices[draw.place]
        hybrid = read_hybrid(volume, slice_num, self.adjacent_slices)
        fraction = self.masks.center_fraction(draw.acceleration)
        mask = evaluation_mask(self.masks.kind, volume.fname, hybrid.shape[-1], draw.acceleration, fraction)
        target = read_truth(volume, slice_num)[None] if volume.has_target else None
        return _describe(volume, slice_num, hybrid, torch.from_numpy(mask), target, draw.acceleration)


def list_slices(volumes: list[Volume]) -> list[tuple[Volume, int]]:
    """Every (volume, slice number), volume after volume."""
    return [(volume, k) for volume in volumes for k in range(volume.num_slices)]


def make_slice(
    volume: Volume, slice_num: int, hybrid: Tensor, mask: Tensor, target: Tensor | None, acceleration: int
) -> Slice:
    """A slice of hybrid data (C, h, W) under a mask (W,). Raises ValueError if they are not finite."""
    if not torch.view_as_real(hybrid).sum().isfinite():  # a sum is quick, and finite where its terms are
        raise ValueError(
            f"{printable(volume.path)}: kspace is NaN or infinite in slice {slice_num} or beside it"
        )
    return undersample(_describe(volume, slice_num, hybrid, mask, target, acceleration))


def _describe(
    volume: Volume, slice_num: int, hybrid: Tensor, mask: Tensor, target: Tensor | None, acceleration: int
) -> Drawn:
    """A slice of hybrid data (C, h, W), to be seen through a mask (W,)."""
    mask = mask[None, None]  # (1, 1, W)
    return Drawn(
        hybrid=hybrid,
        rows=slice(0, hybrid.shape[-2]),
        mask=mask,
        target=target,
        max_value=torch.full((1, 1, 1), volume.max_value or 0.0),
        fname=volume.fname,
        slice_num=slice_num,
        acceleration=acceleration,
        acquisition=volume.acquisition,
        acquired=volume.acquired,
        recon_size=volume.recon_size,
    )


def _crop_rows(drawn: Drawn, rows: int | None, rng: np.random.Generator) -> Drawn:
    """A random run of rows: exact, because the forward model leaves rows independent."""
    height = drawn.hybrid.shape[-2]
    if rows is None or rows >= height:
        return drawn
    start = int(rng.integers(height - rows + 1))
    wanted = slice(start, start + rows)
    return drawn._replace(
        rows=wanted,
        target=None if drawn.target is None else drawn.target[:, wanted],
        recon_size=(rows, drawn.recon_size[1]),
    )


@overload
def collate(slices: Sequence[Slice]) -> SliceBatch: ...


@overload
def collate(slices: Sequence[Drawn]) -> DrawnBatch: ...


def collate(slices: Sequence[Slice] | Sequence[Drawn]) -> SliceBatch | DrawnBatch:
    """Slices of equal shape as one batch: tensors stacked, the rest in lists.

    Stacked by torch's own collation, which in a loader's process writes straight into shared memory.
    """
    columns = [_collate_column(column) for column in zip(*slices, strict=True)]
    return SliceBatch(*columns) if isinstance(slices[0], Slice) else DrawnBatch(*columns)


def _collate_column(column: tuple[Any, ...]) -> Any:
    if isinstance(column[0], Tensor):
        return default_collate(list(column))
    return None if column[0] is None else list(column)


Batch = TypeVar("Batch", SliceBatch, DrawnBatch)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on a device, copied without waiting."""
    fields = batch._asdict()
    for name, value in fields.items():
        if isinstance(value, Tensor):
            fields[name] = value.to(device, non_blocking=True)
    return type(batch)(**fields)
