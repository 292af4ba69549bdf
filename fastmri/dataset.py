"""Slices as the models see them: hybrid space, masked, one draw of a sampler at a time."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastmri.augment import Augmentation, augment
from fastmri.fourier import ifft1c
from fastmri.image import center_crop
from fastmri.masks import MaskSettings, evaluation_mask, training_mask
from fastmri.physics import apply_mask, measured_scale, to_hybrid
from fastmri.volumes import Volume, read_kspace, read_target


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


class TrainingDraw(NamedTuple):
    """What a training sampler asks for: a slice, and the seed of all that is random about it."""

    index: int
    seed: tuple[int, ...]


class EvaluationDraw(NamedTuple):
    """What an evaluation sampler asks for: a slice at an acceleration."""

    index: int
    acceleration: int


class TrainingSlices(Dataset):
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
        rng = np.random.default_rng(draw.seed)
        volume, slice_num = self.slices[draw.index]
        hybrid = read_hybrid(volume, slice_num, self.adjacent_slices)
        if self.augmentation.active:
            hybrid = augment(hybrid, self.augmentation, volume.acquired, rng)
            middle = hybrid[self.adjacent_slices // 2]
            target = center_crop(ifft1c(middle).abs(), volume.recon_size)[None]
        else:
            target = torch.from_numpy(read_target(volume.path, slice_num))[None]
        pair = self.masks.pairs[rng.integers(len(self.masks.pairs))]
        mask = training_mask(self.masks.kind, hybrid.shape[-1], *pair, rng)
        sample = make_slice(volume, slice_num, hybrid, torch.from_numpy(mask), target, pair.acceleration)
        return _crop_rows(sample, self.crop_rows, rng)


class EvaluationSlices(Dataset):
    """Slices with the mask that their volume always has at an acceleration."""

    def __init__(self, volumes: list[Volume], masks: MaskSettings, *, adjacent_slices: int):
        self.volumes, self.masks, self.adjacent_slices = volumes, masks, adjacent_slices
        self.slices = list_slices(volumes)

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, draw: EvaluationDraw) -> Slice:
        volume, slice_num = self.slices[draw.index]
        hybrid = read_hybrid(volume, slice_num, self.adjacent_slices)
        fraction = self.masks.center_fraction(draw.acceleration)
        mask = evaluation_mask(self.masks.kind, volume.fname, hybrid.shape[-1], draw.acceleration, fraction)
        target = torch.from_numpy(read_target(volume.path, slice_num))[None] if volume.has_target else None
        return make_slice(volume, slice_num, hybrid, torch.from_numpy(mask), target, draw.acceleration)


def list_slices(volumes: list[Volume]) -> list[tuple[Volume, int]]:
    """Every (volume, slice number), volume after volume."""
    return [(volume, k) for volume in volumes for k in range(volume.num_slices)]


def read_hybrid(volume: Volume, slice_num: int, adjacent_slices: int) -> Tensor:
    """Hybrid data of a slice and its neighbours, complex64 (C, h, W); edge slices are repeated."""
    half = adjacent_slices // 2
    wanted = np.clip(np.arange(slice_num - half, slice_num + half + 1), 0, volume.num_slices - 1)
    distinct, place = np.unique(wanted, return_inverse=True)
    kspace = torch.from_numpy(read_kspace(volume.path, distinct.tolist()))
    return to_hybrid(kspace, volume.recon_size[0])[torch.from_numpy(place)]


def make_slice(
    volume: Volume, slice_num: int, hybrid: Tensor, mask: Tensor, target: Tensor | None, acceleration: int
) -> Slice:
    """A slice of hybrid data (C, h, W) under a mask (W,)."""
    mask = mask[None, None]  # (1, 1, W)
    masked_kspace = apply_mask(hybrid, mask)
    return Slice(
        masked_kspace=masked_kspace,
        mask=mask,
        target=target,
        kspace=None if target is None else hybrid[len(hybrid) // 2][None],
        max_value=torch.full((1, 1, 1), volume.max_value or 0.0),
        scale=measured_scale(masked_kspace[None])[0],
        fname=volume.fname,
        slice_num=slice_num,
        acceleration=acceleration,
        acquisition=volume.acquisition,
        acquired=volume.acquired,
        recon_size=volume.recon_size,
    )


def _crop_rows(sample: Slice, rows: int | None, rng: np.random.Generator) -> Slice:
    """A random run of rows: exact, because the forward model leaves rows independent."""
    height = sample.masked_kspace.shape[-2]
    if rows is None or rows >= height:
        return sample
    start = int(rng.integers(height - rows + 1))
    return sample._replace(
        masked_kspace=sample.masked_kspace[:, start : start + rows],
        target=sample.target[:, start : start + rows],
        kspace=sample.kspace[:, start : start + rows],
        recon_size=(rows, sample.recon_size[1]),
    )


def collate(slices: list[Slice]) -> Slice:
    """Slices of equal shape as one batch: tensors stacked, the rest in lists."""
    columns = zip(*slices, strict=True)
    return Slice(*(torch.stack(c) if isinstance(c[0], Tensor) else _list(c) for c in columns))


def _list(column: tuple) -> list | None:
    return None if column[0] is None else list(column)


def to_device(batch: Slice, device: torch.device) -> Slice:
    """The batch with its tensors on a device, copied without waiting."""
    return Slice(*(v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for v in batch))
