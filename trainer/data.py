"""Volumes and loaders as a config asks for them."""

from pathlib import Path

import torch
from loguru import logger

from config.schema import Config
from fastmri.augment import Augmentation
from fastmri.dataset import EvaluationSlices, TrainingSlices
from fastmri.masks import MaskSettings, center_lines
from fastmri.sampling import EvaluationBatches, TrainingBatches
from fastmri.scan import list_files, sample_indices, scan_volumes, select_volumes
from fastmri.volumes import Volume
from trainer.distributed import Process
from trainer.feed import Feed


def mask_settings(config: Config) -> MaskSettings:
    """The config's masks, as the fastmri package takes them."""
    masks = config.masks
    return MaskSettings.make(masks.kind, masks.accelerations, masks.center_fractions)


def find_volumes(config: Config, part: str) -> list[Volume]:
    """The fully sampled volumes with a target of part 'train' or 'val', filtered as the config asks."""
    source = data_folder(config, part)
    try:
        list_files(source)
    except ValueError as error:
        makes = f"simulate or import with --split {part} makes one"
        raise ValueError(f"{error}; data.{part} names another folder, {makes}") from None
    remembered = config.data.scan_cache
    volumes = scan_volumes(source, remembered.expanduser() if remembered else None)
    usable = [volume for volume in volumes if volume.has_target and not volume.has_mask]
    if not usable:
        raise ValueError(f"{source}: none of {len(volumes)} volumes is fully sampled and has a target")
    if len(usable) < len(volumes):
        logger.warning(
            "{}: {} volumes without target or with a mask are left out", source, len(volumes) - len(usable)
        )
    usable = select_volumes(
        usable,
        acquisitions=config.data.acquisitions,
        sample_rate=config.data.volume_sample_rate if part == "train" else 1.0,
        seed=config.seed,
    )
    check_masks(mask_settings(config), usable)
    return usable


def data_folder(config: Config, part: str) -> Path:
    """Where the volumes of part 'train' or 'val' are."""
    own, path = {"train": config.data.train, "val": config.data.val}[part], config.data.path
    if own is not None:
        return own.expanduser()
    if path is None:
        raise ValueError(
            f"data.path: not set; name the folder that holds singlecoil_{part}/ (or data.{part})"
        )
    return (path / f"singlecoil_{part}").expanduser()


def check_masks(masks: MaskSettings, volumes: list[Volume]) -> None:
    """Raises ValueError if a setting can't work at a width that occurs."""
    for width in sorted({volume.kspace_shape[2] for volume in volumes}):
        for pair in masks.pairs:
            center_lines(masks.kind, width, *pair)


def middle_of_part(total: int, count: int, k: int) -> int:
    """The middle of the k-th of `count` equal parts of 0 to total - 1."""
    return (2 * k + 1) * total // (2 * count)


def spread_evenly(total: int, count: int) -> list[int]:
    """The middles of `count` equal parts of 0 to total - 1; all numbers where there are no more."""
    count = min(count, total)
    return [middle_of_part(total, count, k) for k in range(count)]


def training_loader(
    config: Config, volumes: list[Volume], process: Process, step: int = 0, batches: int = 0
) -> Feed[TrainingSlices, TrainingBatches]:
    """This process's batches from step `step` to the last, `batches` of all processes having gone before."""
    data = config.data
    dataset = TrainingSlices(
        volumes,
        mask_settings(config),
        adjacent_slices=data.adjacent_slices,
        crop_rows=data.crop_rows,
        augmentation=Augmentation(**data.augment.model_dump()),
    )
    sampler = TrainingBatches(
        volumes,
        indices=sample_indices(len(dataset), data.sample_rate, config.seed),
        batch_size=data.batch_size,
        seed=config.seed,
        start=batches,
        stop=batches + (config.train.steps - step) * config.train.accumulate * process.world,
        rank=process.rank,
        world=process.world,
    )
    return Feed(dataset, sampler, data.num_workers, process)


def slices_together(config: Config, device: torch.device) -> int:
    """How many slices are evaluated at once.

    A CPU takes one after the other, which costs it little: its convolutions round differently in another
    batch, and no figure may depend on that.
    """
    return config.validation.batch_size if device.type == "cuda" else 1


def evaluation_loader(
    config: Config, volumes: list[Volume], process: Process
) -> Feed[EvaluationSlices, EvaluationBatches]:
    """Every slice of this process's volumes at every acceleration, in order."""
    dataset = EvaluationSlices(volumes, mask_settings(config), adjacent_slices=config.data.adjacent_slices)
    batches = EvaluationBatches(
        volumes,
        config.masks.accelerations,
        batch_size=slices_together(config, process.device),
        rank=process.rank,
        world=process.world,
    )
    return Feed(dataset, batches, config.data.num_workers, process)
