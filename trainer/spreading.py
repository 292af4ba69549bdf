"""How much samples are to differ: the law of posterior samples, held in every wavelet band by itself.

In the whole image, blobs that are too strong and grain that is too faint can keep the law together. By a
band's gap the network learns to spread, with a weight beta of its reward; what it has not learned by a
validation is made up from there on by a gain of the band's texture (`custom_nn.gains`). Training knows
nothing of gains: the network would undo them.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from config.schema import Config
from custom_nn.gains import BandTable
from custom_nn.generative import Generative
from custom_nn.wavelets import band_count, wavelets
from fastmri.dataset import EvaluationDraw, EvaluationSlices, collate, to_device
from fastmri.image import image_size
from fastmri.physics import zero_filled
from fastmri.posterior import law, spread_ratio, squared_errors
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume
from trainer.checkpoint import set_gains
from trainer.data import mask_settings
from trainer.distributed import Process, add_up
from trainer.draws import evaluation_draws
from trainer.log import History
from trainer.objectives import magnitude, turned
from trainer.state import State

PARTS = ("in_phase", "quadrature")
FARTHEST = 10.0  # what a tuning makes of a spread that is wrong by more: the first are of nearly no samples
GAINS = (1 / 3, 2.0)  # of what is drawn too faint the mean is wrong too, and grows as much
HIGHEST_LEVEL = 1.2  # variance of all bands over what each by itself should have
SETTLING = 8  # tunings of the gains: bands overlap, so none is right at once


class Gaps(NamedTuple):
    """What the mean of samples gains on one in dB."""

    image: Tensor  # float64 scalar, of magnitudes: of PSNR
    bands: Tensor  # float64 (bands, 2): in phase and in quadrature


def tuning_batches(config: Config, volumes: list[Volume], process: Process) -> list[SliceBatch]:
    """This process's share of `loss.tune_slices` slices, as many of each volume, at every acceleration.

    Each batch is of one volume. They are kept in memory, because they are used again and again.
    """
    dataset = EvaluationSlices(volumes, mask_settings(config), adjacent_slices=config.data.adjacent_slices)
    starts = np.cumsum([0] + [volume.num_slices for volume in volumes])
    used = _evenly(len(volumes), config.loss.tune_slices)
    each = config.loss.tune_slices // len(used)
    groups = [starts[k] + _evenly(volumes[k].num_slices, each) for k in used]
    pairs = [(group, r) for group in groups for r in config.masks.accelerations]
    return [
        collate([dataset[EvaluationDraw(int(place), r)] for place in group])
        for group, r in pairs[process.rank :: process.world]
    ]


def _evenly(stop: int, count: int) -> np.ndarray:
    """At most so many numbers below `stop`, each from the middle of its part of the range."""
    count = min(stop, count)
    return ((np.arange(count) + 0.5) * stop / count).astype(int)


@torch.inference_mode()
def measure_gaps(
    model: nn.Module, batches: Iterable[SliceBatch], config: Config, process: Process
) -> dict[int, Gaps]:
    """By acceleration, mean over volumes, over all processes.

    10 log10 of the squared error of one sample over that of the mean of P = `validate.samples`. Bands are of
    the complex image, in phase and in quadrature by themselves: anatomy is in phase, and what is unknown of
    it is stronger, and rarer.
    """
    accelerations, bands = config.masks.accelerations, band_count(config.loss.octaves)
    shape = len(accelerations), 2 + bands * len(PARTS)  # how many volumes, and sums over them
    found = torch.zeros(shape, dtype=torch.float64, device=process.device)
    for batch in batches:
        batch = to_device(batch, process.device)
        pairs = drawn_bands(model, batch, config)
        errors = torch.stack([squared_errors(*pair, [1, _samples(config)]) for pair in pairs])
        one, mean = errors.clamp(min=1e-30).unbind(-1)
        gaps = 10 * (one / mean).log10()
        found[accelerations.index(batch.acceleration[0])] += torch.cat([gaps.new_ones(1), gaps])
    counted = add_up(found, process).cpu()
    means = counted[:, 1:] / counted[:, :1]
    return {
        r: Gaps(row[0], row[1:].view(bands, len(PARTS))) for r, row in zip(accelerations, means, strict=True)
    }


def _samples(config: Config) -> int:
    return max(config.draws, 2)  # one alone has no spread


def drawn_bands(model: nn.Module, batch: SliceBatch, config: Config) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples (P, N, ..., h, w) and truth alike: of magnitudes, then of each band and part of it."""
    assert batch.kspace is not None
    assert batch.target is not None
    draws = evaluation_draws(model, batch, config.seed, _samples(config))
    images = [zero_filled(batch.kspace), *(draw.image for draw in draws)]
    truth, *samples = (magnitude(image, image_size(batch.target)) for image in images)
    yield torch.stack(samples), truth
    bands = wavelets(torch.stack(turned(images, batch)), config.loss.octaves)
    for part in bands.movedim(3, 1).flatten(0, 1):
        yield part[1:], part[0]


def tune_betas(betas: BandTable, gaps: dict[int, Gaps], config: Config) -> None:
    """Move betas until samples are learned that differ as a posterior's would.

    beta += rate (PSNR_1 + law - PSNR_P), rcGAN's rule (arXiv 2210.13389, eq. 15), for every acceleration and
    band. For normal errors the spread of the optimum is sqrt(P beta^2 / (P + 1 - beta^2)) times the right
    one: betas stay below sqrt(P + 1), where the reward would outgrow the L1 for good.
    """
    highest = 0.9 * math.sqrt(config.loss.samples + 1)
    for acceleration, gap in gaps.items():
        missing = law(_samples(config)) - gap.bands
        beta = torch.tensor(betas[acceleration]) + config.loss.beta_rate * missing
        betas[acceleration] = beta.clamp(0, highest).tolist()


def tune_gains(gains: BandTable, levels: dict[int, float], gaps: dict[int, Gaps], config: Config) -> None:
    """Make up what is missing of the spread that is drawn, or a part of that.

    A level for all bands of an acceleration is moved until the image obeys the law, because errors of
    magnitudes are not those of bands; not far, because where some bands can't reach it, others must not stand
    in for them.
    """
    rate, samples = config.loss.gain_rate, _samples(config)
    for acceleration, gap in gaps.items():
        image, bands = (spread_ratio(x, samples).clamp(1 / FARTHEST, FARTHEST) for x in gap)
        level = levels[acceleration] * float(image) ** -rate
        levels[acceleration] = min(max(level, 1 / HIGHEST_LEVEL), HIGHEST_LEVEL)
        gain = torch.tensor(gains[acceleration]) * (bands / levels[acceleration]) ** (-rate / 2)
        gains[acceleration] = gain.clamp(*GAINS).tolist()


def tune_step(
    state: State, batches: list[SliceBatch], config: Config, history: History | None, process: Process
) -> None:
    """Tune betas by the averaged weights."""
    set_gains(state.average, {})
    gaps = measure_gaps(state.average, batches, config, process)
    tune_betas(state.betas, gaps, config)
    if history is not None:
        history.write(state.step, "tune", _gap_figures(gaps) | _figures("beta", state.betas))


def settle_step(
    state: State, batches: list[SliceBatch], config: Config, history: History | None, process: Process
) -> None:
    """Tune gains until the averaged weights with them obey the law, as far as they can."""
    if not (config.loss.gain_rate and isinstance(state.average, Generative)):
        return  # nothing would come of it
    set_gains(state.average, state.gains)
    gaps, levels = measure_gaps(state.average, batches, config, process), dict.fromkeys(state.gains, 1.0)
    for _ in range(SETTLING):
        tune_gains(state.gains, levels, gaps, config)
        set_gains(state.average, state.gains)
        gaps = measure_gaps(state.average, batches, config, process)
    if history is not None:
        history.write(state.step, "settle", _gap_figures(gaps) | _figures("gain", state.gains))


def _gap_figures(gaps: dict[int, Gaps]) -> dict[str, float]:
    images = {f"gap_x{r}_image": float(gap.image) for r, gap in gaps.items()}
    return images | _figures("gap", {r: gap.bands.tolist() for r, gap in gaps.items()})


def _figures(name: str, table: BandTable) -> dict[str, float]:
    """By name, acceleration and band, from fine to coarse."""
    return {
        f"{name}_x{r}_band{band}_{part}": value
        for r, row in table.items()
        for band, pair in enumerate(row)
        for part, value in zip(PARTS, pair, strict=True)
    }
