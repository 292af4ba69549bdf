"""How much samples are to differ: the law of posterior samples, held in every wavelet band by itself.

In the whole image, blobs that are too strong and grain that is too faint can keep the law together.
"""

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from config.schema import Config
from custom_nn.losses import band_count, wavelets
from fastmri.dataset import EvaluationDraw, EvaluationSlices, collate, to_device
from fastmri.physics import zero_filled
from fastmri.posterior import law, squared_errors
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume
from trainer.checkpoint import Betas
from trainer.data import mask_settings
from trainer.distributed import Process, add_up
from trainer.draws import evaluation_draws
from trainer.log import History
from trainer.objectives import turned
from trainer.state import State

PARTS = ("in_phase", "quadrature")
Gaps = dict[int, list[float]]  # dB by acceleration, of each band in phase and in quadrature


def tuning_batches(config: Config, volumes: list[Volume], process: Process) -> list[SliceBatch]:
    """This process's share of `loss.tune_slices` slices, evenly spread over volumes, at every acceleration.

    Kept in memory, because they are used again and again.
    """
    dataset = EvaluationSlices(volumes, mask_settings(config), adjacent_slices=config.data.adjacent_slices)
    starts = np.cumsum([0] + [volume.num_slices for volume in volumes])
    chosen = _evenly(starts[-1], config.loss.tune_slices)
    groups = np.split(chosen, np.searchsorted(chosen, starts[1:-1]))  # slices of one volume have one shape
    pairs = [(group, r) for group in groups if len(group) for r in config.masks.accelerations]
    return [
        collate([dataset[EvaluationDraw(int(place), r)] for place in group])
        for group, r in pairs[process.rank :: process.world]
    ]


def _evenly(stop: int, count: int) -> np.ndarray:
    """At most so many numbers below `stop`, each from the middle of its part of the range."""
    count = min(stop, count)
    return ((np.arange(count) + 0.5) * stop / count).astype(int)


@torch.inference_mode()
def band_gaps(model: nn.Module, batches: Iterable[SliceBatch], config: Config, process: Process) -> Gaps:
    """What the mean of P = `validate.samples` samples gains on one in each band, over all processes.

    10 log10 of the squared error of one sample over that of the mean. Of the complex image, in phase and in
    quadrature by themselves: anatomy is in phase, and what is unknown of it is stronger, and rarer.
    """
    accelerations, counts = config.masks.accelerations, [1, config.draws]
    shape = (len(accelerations), 2 * band_count(config.loss.octaves), len(counts))
    errors = torch.zeros(shape, dtype=torch.float64, device=process.device)
    for batch in batches:
        batch = to_device(batch, process.device)
        bands = zip(*band_images(model, batch, config), strict=True)
        found = [squared_errors(samples, truth, counts) for samples, truth in bands]
        errors[accelerations.index(batch.acceleration[0])] += torch.stack(found)
    one, mean = add_up(errors, process).clamp(min=1e-30).unbind(-1)
    gaps = (10 * (one / mean).log10()).tolist()
    return dict(zip(accelerations, gaps, strict=True))


def band_images(model: nn.Module, batch: SliceBatch, config: Config) -> tuple[Tensor, Tensor]:
    """Samples (2 bands, P, N, h, w) and truth (2 bands, N, h, w): of each band in phase and in quadrature."""
    assert batch.kspace is not None
    draws = evaluation_draws(model, batch, config.seed, config.draws)
    images = [zero_filled(batch.kspace), *(draw.image for draw in draws)]
    bands = wavelets(torch.stack(turned(images, batch)), config.loss.octaves)
    parts = bands.movedim(3, 1).flatten(0, 1)
    return parts[:, 1:], parts[:, 0]


def tune(betas: Betas, gaps: Gaps, config: Config) -> None:
    """Move the betas until samples differ as a posterior's would: beta += rate (PSNR_1 + law - PSNR_P).

    rcGAN's rule (arXiv 2210.13389, eq. 15), for every acceleration and band. For normal errors the spread of
    the optimum is sqrt(P beta^2 / (P + 1 - beta^2)) times the right one: betas stay below sqrt(P + 1), where
    the reward would outgrow the L1 for good.
    """
    highest = 0.9 * math.sqrt(config.loss.samples + 1)
    for acceleration, found in gaps.items():
        moved = [
            beta + config.loss.beta_rate * (law(config.draws) - gap)
            for beta, gap in zip(betas[acceleration], found, strict=True)
        ]
        betas[acceleration] = [min(max(beta, 0.0), highest) for beta in moved]


def tune_step(
    state: State, batches: list[SliceBatch], config: Config, history: History | None, process: Process
) -> None:
    """Tune a run's betas by its averaged weights; bands go from fine to coarse in its figures."""
    gaps = band_gaps(state.average, batches, config, process)
    tune(state.betas, gaps, config)
    if history is None:
        return
    figures = {"gap": gaps, "beta": state.betas}
    values = {
        f"{name}_x{r}_band{k // 2}_{PARTS[k % 2]}": value
        for name, table in figures.items()
        for r, row in table.items()
        for k, value in enumerate(row)
    }
    history.write(state.step, "tune", values)
