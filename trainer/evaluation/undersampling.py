"""How a file to reconstruct is undersampled: by itself, or by a mask of ours."""

from typing import NamedTuple

import numpy as np
from loguru import logger

from config.schema import Config
from fastmri.contents import read_acceleration, read_kspace, read_mask
from fastmri.masks import achieved_acceleration, evaluation_mask
from fastmri.volumes import Volume
from trainer.data import mask_settings


class Sampling(NamedTuple):
    """How a file is, or will be, undersampled."""

    mask: np.ndarray  # bool (W,)
    acceleration: int  # nominal
    achieved: float
    own: bool  # the file's, rather than a mask of ours


def choose_sampling(volume: Volume, acceleration: int | None, config: Config) -> Sampling:
    """The file's own mask or missing columns, else a mask of the asked (or the config's first) acceleration.

    Raises ValueError if an acceleration is asked of a file that is undersampled already.
    """
    left, right = volume.acquired
    mask = read_mask(volume.path) if volume.has_mask else sampled_columns(volume)
    present = np.flatnonzero(mask)
    span = (int(present[0]), int(present[-1]) + 1) if present.size else (0, 0)
    # a file without a header does not tell its padding: a gapless run of most columns is a full sampling
    full = mask[slice(*span)].all() and span[1] - span[0] > (right - left) / 2
    if not full or (volume.has_mask and not mask[left:right].all()):
        achieved = achieved_acceleration(mask, volume.acquired)
        if acceleration is not None:
            raise ValueError(
                f"--acceleration {acceleration}: {volume.path} is undersampled already, x{achieved:.1f}"
            )
        return Sampling(mask, read_acceleration(volume.path) or round(achieved), achieved, own=True)
    if acceleration is None:
        acceleration = config.masks.accelerations[0]
        logger.info("{} is fully sampled: undersampling it x{}", volume.fname, acceleration)
    settings = mask_settings(config)
    fraction = settings.center_fraction(acceleration)
    mask = evaluation_mask(settings.kind, volume.fname, volume.kspace_shape[2], acceleration, fraction)
    acquired = (max(left, span[0]), min(right, span[1]))
    return Sampling(mask, acceleration, achieved_acceleration(mask, acquired), own=False)


def sampled_columns(volume: Volume) -> np.ndarray:
    """Columns of k-space that hold anything, bool (W,), one slice in memory at a time."""
    held = np.zeros(volume.kspace_shape[2], dtype=bool)
    for k in range(volume.num_slices):
        held |= (read_kspace(volume.path, [k])[0] != 0).any(axis=0)
    return held
