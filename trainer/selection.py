"""What a validation decides: the best checkpoint, and how much the next samples are to differ."""

import math

import numpy as np

from config.schema import Config
from fastmri.posterior import law
from trainer.checkpoint import Betas
from trainer.evaluate import Evaluation
from trainer.scores import mean_gaps

GAP_TOLERANCE = 0.25  # dB


def rating(evaluation: Evaluation, posterior: bool) -> float:
    """What decides which checkpoint is best; higher is better.

    Mean SSIM over volumes and accelerations. Of a posterior sampler, whose samples must differ as the law
    says: how much of the right texture is there (correlation, times the power ratio or its inverse, whichever
    is below 1) if its gaps are within GAP_TOLERANCE, else minus what they are off by (both means over
    accelerations).
    """
    chosen = [s.metrics for s in evaluation.scores if s.method in ("model", "sample")]
    if not posterior:
        return float(np.mean([metrics.ssim for metrics in chosen]))
    samples = max(evaluation.spreads[0].psnr)
    off = float(np.mean([abs(gap - law(samples)) for gap in mean_gaps(evaluation.spreads).values()]))
    if off > GAP_TOLERANCE:
        return -off
    ratios = [(max(m.correlation, 0.0), max(m.power_ratio, 1e-6)) for m in chosen]
    return float(np.mean([correlation * min(ratio, 1 / ratio) for correlation, ratio in ratios]))


def tune(betas: Betas, evaluation: Evaluation, config: Config) -> None:
    """Move each acceleration's betas until its samples differ as the posterior's would.

    coarse += rate (PSNR_1 + law - PSNR_P): rcGAN's rule (arXiv 2210.13389, eq. 15), for every acceleration.
    PSNR hardly sees the finest octave, above half the band: there the power that is missing decides, in dB
    and at most as fast. For normal errors the spread of the optimum is sqrt(P beta^2 / (P + 1 - beta^2))
    times the right one: betas stay below sqrt(P + 1), where the reward would outgrow the L1 for good.
    """
    if not config.loss.std_reward:
        return
    fastest, highest = law(config.draws), 0.9 * math.sqrt(config.loss.samples + 1)
    for acceleration, gap in mean_gaps(evaluation.spreads).items():
        missing = -10 * math.log10(max(_power(evaluation, acceleration), 1e-6))
        moves = {"coarse": fastest - gap, "fine": min(max(missing, -fastest), fastest)}
        for part, move in moves.items():
            beta = betas[part][acceleration] + config.loss.beta_rate * move
            betas[part][acceleration] = min(max(beta, 0.0), highest)


def _power(evaluation: Evaluation, acceleration: int) -> float:
    """Mean power ratio of a sample over volumes."""
    chosen = [s for s in evaluation.scores if s.method == "sample" and s.acceleration == acceleration]
    return float(np.mean([score.metrics.power_ratio for score in chosen]))
