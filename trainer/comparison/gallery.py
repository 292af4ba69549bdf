"""One slice as several runs reconstruct it, at every acceleration."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from config.load import changed
from config.schema import Config
from fastmri.dataset import EvaluationDraw, EvaluationSlices, collate, to_device
from fastmri.hybrid import read_truth
from fastmri.masks import achieved_acceleration
from fastmri.volumes import Volume
from trainer.comparison.records import Record
from trainer.data import mask_settings
from trainer.evaluation.estimates import estimate


class Row(NamedTuple):
    """A method on a slice."""

    title: str
    images: dict[int, np.ndarray]  # float32 (h, w) by acceleration


class Gallery(NamedTuple):
    """A slice, what is known of it, and what each method makes of it."""

    volume: Volume
    slice_num: int
    target: np.ndarray  # float32 (h, w)
    achieved: dict[int, float]  # by acceleration
    rows: list[Row]


def choose_slice(volumes: list[Volume], fname: str | None, slice_num: int | None) -> tuple[Volume, int]:
    """The asked slice, else the middle one of the first volume. Raises ValueError if there is no such."""
    named = {volume.fname: volume for volume in volumes}
    if fname is not None and fname not in named:
        raise ValueError(
            f"--fname {fname}: not among the {len(named)} validation volumes, {', '.join(named)}"
        )
    volume = volumes[0] if fname is None else named[fname]
    if slice_num is not None and slice_num >= volume.num_slices:
        raise ValueError(f"--slice {slice_num}: {volume.path} has slices 0 to {volume.num_slices - 1}")
    return volume, volume.num_slices // 2 if slice_num is None else slice_num


def reconstruct_slice(records: list[Record], volume: Volume, slice_num: int, device: torch.device) -> Gallery:
    """Every method of every run on a slice, under the first run's masks; what several runs share once."""
    masks = records[0].config.masks
    achieved: dict[int, float] = {}
    rows: list[Row] = []
    for record in records:
        config = changed(record.config, masks=masks)
        images: dict[str, dict[int, np.ndarray]] = {}
        for acceleration in masks.accelerations:
            found, mask = _methods(record.model, volume, slice_num, acceleration, config, device)
            achieved[acceleration] = achieved_acceleration(mask, volume.acquired)
            for method, image in found.items():
                images.setdefault(method, {})[acceleration] = image
        for method, by_acceleration in images.items():
            row = Row(record.title(method), by_acceleration)
            if not any(_same(row, other) for other in rows):
                rows.append(row)
    return Gallery(volume, slice_num, read_truth(volume, slice_num).numpy(), achieved, rows)


@torch.inference_mode()
def _methods(
    model: nn.Module, volume: Volume, slice_num: int, acceleration: int, config: Config, device: torch.device
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Magnitudes (h, w) by method, as `validate` has them, and the mask (W,)."""
    slices = EvaluationSlices([volume], mask_settings(config), adjacent_slices=config.data.adjacent_slices)
    batch = to_device(collate([slices[EvaluationDraw(slice_num, acceleration)]]), device)
    methods = estimate(model, batch, config).methods
    return {name: e.magnitude[0].numpy() for name, e in methods.items()}, batch.mask[0, 0, 0].cpu().numpy()


def _same(one: Row, other: Row) -> bool:
    """Whether two methods give the same images, up to the order of additions."""
    return all(
        np.abs(image - other.images[r]).max() <= 1e-4 * np.abs(image).max() for r, image in one.images.items()
    )
