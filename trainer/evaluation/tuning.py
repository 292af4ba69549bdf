"""Weights of compressed sensing, tuned on training slices for each acceleration."""

from collections.abc import Iterable
from itertools import product

import numpy as np
from loguru import logger
from torch import nn

from config.schema import Config
from custom_nn.models import build_untrained
from fastmri.dataset import EvaluationDraw, EvaluationSlices, collate
from fastmri.metrics import psnr_of_error
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume
from trainer.data import find_volumes, mask_settings, middle_of_part
from trainer.distributed import Process, gather
from trainer.log import progress_bar
from trainer.objectives import magnitude

Weights = dict[str, dict[int, float]]  # method -> acceleration -> weight

COARSE = (1e-4, 1e-3, 1e-2, 1e-1)
FINE = tuple(10 ** (k / 3) for k in (-2, -1, 1, 2))  # factors of the best of these
ENDS = (COARSE[0] * FINE[0], COARSE[-1] * FINE[-1])  # of what is tried: the best may lie beyond


def tune_weights(names: list[str], accelerations: Iterable[int], config: Config, process: Process) -> Weights:
    """The weight of the highest PSNR on training slices, by method and acceleration.

    Processes share the work and all get all of it. Raises ValueError if there are no training data.
    """
    try:
        volumes = find_volumes(config, "train")
    except ValueError as error:
        options = " and ".join(f"classical.{name}_weights={{...}}" for name in names)
        raise ValueError(f"no training data to tune on ({error}); set {options} or data.path") from None
    pairs = list(product(names, accelerations))
    found = []
    own = pairs[process.rank :: process.world]
    for name, acceleration in progress_bar(own, desc="tune", leave=False, disable=not process.main):
        batches = tuning_batches(volumes, acceleration, config)
        found.append((name, acceleration, tune_weight(name, batches, config)))
    best = {(name, acceleration): tuned for name, acceleration, tuned in gather(found, process)}
    return {name: {r: _told(name, r, *best[name, r]) for r in accelerations} for name in names}


def _told(name: str, acceleration: int, weight: float, psnr: float) -> float:
    logger.info("{} at x{}: weight {:.3g}, {:.2f} dB on training slices", name, acceleration, weight, psnr)
    if weight in ENDS:
        logger.warning(
            "{} at x{}: weight {:.3g} is at the end of what was tried; the best may lie beyond",
            *(name, acceleration, weight),
        )
    return weight


def tuning_batches(volumes: list[Volume], acceleration: int, config: Config) -> list[SliceBatch]:
    """Slices, each by itself, of volumes and at depths spread evenly, but for those without a signal."""
    dataset = EvaluationSlices(volumes, mask_settings(config), adjacent_slices=1)
    index = {place: k for k, place in enumerate(dataset.slices)}
    count = min(config.classical.tune_slices, len(volumes))
    slices = []
    for k in range(count):
        volume = volumes[middle_of_part(len(volumes), count, k)]
        depth = middle_of_part(volume.num_slices, count, k)
        slices.append(dataset[EvaluationDraw(index[volume, depth], acceleration)])
    batches = [collate([found]) for found in slices if found.target is not None and found.target.any()]
    if not batches:
        raise ValueError(f"no signal in the {count} training slices to tune on; raise classical.tune_slices")
    return batches


def tune_weight(name: str, batches: list[SliceBatch], config: Config) -> tuple[float, float]:
    """The best weight, and its PSNR in dB: of every decade, then of thirds of a decade around the best."""

    def score(weight: float) -> float:
        return mean_psnr(
            build_untrained(name, {"weight": weight, "iterations": config.classical.iterations}), batches
        )

    scores = {weight: score(weight) for weight in COARSE}
    best = max(scores, key=scores.__getitem__)
    scores |= {best * factor: score(best * factor) for factor in FINE}
    best = max(scores, key=scores.__getitem__)
    return best, scores[best]


def mean_psnr(model: nn.Module, batches: list[SliceBatch]) -> float:
    """Mean PSNR in dB of single slices under the maximum of their volume. Raises ValueError if not finite."""
    values = []
    for batch in batches:
        assert batch.target is not None
        image = model(batch.masked_kspace, batch.mask, None).image
        error = (magnitude(image, batch.recon_size[0]) - batch.target).double().square().mean()
        values.append(psnr_of_error(float(error), float(batch.max_value)))
        if not np.isfinite(values[-1]):
            raise ValueError(f"{batch.fname[0]} slice {batch.slice_num[0]}: not finite; `check` tells more")
    return float(np.mean(values))
