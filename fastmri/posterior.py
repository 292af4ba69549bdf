"""What the means of posterior samples must obey.

The truth is one more sample of its posterior, so the squared error of the mean of P samples is (1 + 1/P)
times the posterior's variance: PSNR_P - PSNR_1 = 10 log10(2P / (P + 1)) (Bendel et al. 2023,
arXiv 2210.13389).
"""

import math

import torch
from torch import Tensor


def law(samples: int) -> float:
    """PSNR of the mean of so many posterior samples over that of one, in dB: 2.50 at 8, 3.01 at most."""
    return 10 * math.log10(2 * samples / (samples + 1))


def spread_ratio(gap: Tensor, samples: int) -> Tensor:
    """The samples' variance over the squared error of their expectation, from a gap in dB: 1 by the law.

    The mean of P samples has the squared error e + v / P.
    """
    factor = (10 ** (gap / 10)).clamp(1, 0.999 * samples)
    return (factor - 1) / (1 - factor / samples)


def sample_counts(samples: int) -> list[int]:
    """1, 2, 4, ... up to `samples`: the numbers of samples of which means are scored."""
    return [2**k for k in range(samples.bit_length()) if 2**k <= samples]


def squared_errors(samples: Tensor, truth: Tensor, counts: list[int]) -> Tensor:
    """Summed squared error of the means of 1, 2, ... samples, float64 (len(counts),).

    samples (P, ...), truth (...). Each is averaged over all disjoint groups of samples, so that none is idle.
    """
    errors = []
    for count in counts:
        groups = len(samples) // count
        means = samples[: groups * count].unflatten(0, (groups, count)).mean(1)
        errors.append((means - truth).double().square().sum() / groups)
    return torch.stack(errors)
