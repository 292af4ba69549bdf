"""How much samples are to differ: the law of posterior samples, held in every wavelet band by itself.

In the whole image, blobs that are too strong and grain that is too faint can keep the law together. By a
band's gap the network learns to spread, with a weight beta of its reward; what it has not learned by a
validation is made up from there on by a gain of the band's texture, less what its mean has wrong
(`custom_nn.gains`). Training knows nothing of gains: the network would undo them.
"""

import math
from functools import partial

import torch
from loguru import logger
from torch import nn

from config.schema import Config
from custom_nn.gains import BandTable
from custom_nn.generative import Generative
from custom_nn.models import Trained
from fastmri.posterior import law, spread_ratio
from fastmri.slices import SliceBatch
from trainer.checkpoint import set_gains
from trainer.distributed import Process
from trainer.draws import Draw, KeptDraws, evaluation_draws
from trainer.gaps import PARTS, Gaps, band_figure, drawn_samples, measure_gaps, measure_means
from trainer.log import History
from trainer.state import State

FARTHEST = 10.0  # what a tuning makes of a spread that is wrong by more: the first are of nearly no samples
GAINS = (1 / 3, 4.0)  # rounding of far stronger textures would touch what was measured
HIGHEST_LEVEL = 1.2  # variance of all bands over what each by itself should have
SETTLING = 8  # tunings of the gains: bands overlap, so none is right at once


def tune_betas(betas: BandTable, gaps: dict[int, Gaps], config: Config) -> None:
    """Move betas until samples are learned that differ as a posterior's would.

    beta += rate (PSNR_1 + law - PSNR_P), rcGAN's rule (arXiv 2210.13389, eq. 15), for every acceleration and
    band. For normal errors the spread of the optimum is sqrt(P beta^2 / (P + 1 - beta^2)) times the right
    one: betas stay below sqrt(P + 1), where the reward would outgrow the L1 for good.
    """
    highest = 0.9 * math.sqrt(config.loss.samples + 1)
    for acceleration, gap in gaps.items():
        missing = law(drawn_samples(config)) - gap.bands
        beta = torch.tensor(betas[acceleration]) + config.loss.beta_rate * missing
        betas[acceleration] = beta.clamp(0, highest).tolist()


def tune_gains(gains: BandTable, levels: dict[int, float], gaps: dict[int, Gaps], config: Config) -> None:
    """Make up what is missing of the spread that is drawn, or a part of that.

    A level for all bands of an acceleration is moved until the image obeys the law, because errors of
    magnitudes are not those of bands; not far, because where some bands can't reach it, others must not stand
    in for them.
    """
    rate, samples = config.loss.gain_rate, drawn_samples(config)
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
    set_gains(state.average, {}, {})
    gaps = measure_gaps(drawing(state.average, config), batches, config, process)
    tune_betas(state.betas, gaps, config)
    if history is not None:
        history.write(state.step, "tune", _gap_figures(gaps) | _figures("beta", state.betas))


def drawing(model: nn.Module, config: Config) -> Draw:
    """The samples that are measured."""
    return partial(evaluation_draws, model, seed=config.seed, samples=drawn_samples(config))


def drawing_again(model: Generative, config: Config) -> Draw:
    """The samples of the same batches, again and again, with other gains: decoded once, where that serves."""
    if model.redraws:
        return drawing(model, config)
    return KeptDraws(model, config.seed, drawn_samples(config))


def unsettled(model: Trained) -> bool:
    """Whether its samples could be made to obey the law, and were not."""
    return model.name == "generative" and model.gains is None


def settle_step(
    state: State, batches: list[SliceBatch], config: Config, history: History | None, process: Process
) -> None:
    """Leave out what the averaged weights' mean has wrong, then tune gains until they obey the law.

    As far as they can.
    """
    model = state.average
    if not (config.loss.posterior and config.loss.gain_rate) or model.name != "generative":
        return  # nothing would come of it
    logger.info("settling how much samples differ, in {} passes over {} batches", SETTLING + 2, len(batches))
    draw = drawing_again(model, config)
    set_gains(model, {}, {})
    state.means = measure_means(draw, batches, config, process)
    set_gains(model, state.gains, state.means)
    gaps, levels = measure_gaps(draw, batches, config, process), dict.fromkeys(state.gains, 1.0)
    for _ in range(SETTLING):
        tune_gains(state.gains, levels, gaps, config)
        set_gains(model, state.gains, state.means)
        gaps = measure_gaps(draw, batches, config, process)
    if history is not None:
        tables = _figures("gain", state.gains) | _figures("mean", state.means)
        history.write(state.step, "settle", _gap_figures(gaps) | tables)


def _gap_figures(gaps: dict[int, Gaps]) -> dict[str, float]:
    images = {f"gap_x{r}_image": float(gap.image) for r, gap in gaps.items()}
    return images | _figures("gap", {r: gap.bands.tolist() for r, gap in gaps.items()})


def _figures(name: str, table: BandTable) -> dict[str, float]:
    """By name, acceleration and band, from fine to coarse."""
    return {
        band_figure(name, r, band, part): value
        for r, row in table.items()
        for band, pair in enumerate(row)
        for part, value in zip(PARTS, pair, strict=True)
    }
