"""Which checkpoint is best."""

import numpy as np

from fastmri.posterior import law
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.scores import mean_gaps

GAP_TOLERANCE = 0.25  # dB, at every acceleration


def rating(evaluation: Evaluation, posterior: bool) -> float:
    """What decides which checkpoint is best; higher is better.

    Mean SSIM over volumes and accelerations. Of a posterior sampler, whose samples must differ as the law
    says: how much of the right texture is there (correlation, times the power ratio or its inverse, whichever
    is below 1; mean over accelerations) if all its gaps are within GAP_TOLERANCE, else minus what the worst
    of them is off by.
    """
    chosen = [s.metrics for s in evaluation.scores if s.method in ("model", "sample")]
    if not posterior:
        return float(np.mean([metrics.ssim for metrics in chosen]))
    samples = max(evaluation.spreads[0].psnr)
    off = max(abs(gap - law(samples)) for gap in mean_gaps(evaluation.spreads).values())
    if off > GAP_TOLERANCE:
        return -off
    ratios = [(max(m.correlation, 0.0), max(m.power_ratio, 1e-6)) for m in chosen]
    return float(np.mean([correlation * min(ratio, 1 / ratio) for correlation, ratio in ratios]))
