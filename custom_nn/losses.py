"""Loss terms on magnitude images float32 (N, 1, h, w), in units of the target volume's maximum."""

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

KERNEL_SIZE = 11
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
HEADROOM = 4.0  # predictions may exceed the truth's maximum: piq's range is [0, HEADROOM]


class Misfit(NamedTuple):
    """How far the mean of samples is from the truth, and what their spread is worth, see `std_reward`."""

    l1: Tensor  # scalar, mean over images
    reward: Tensor  # (2, N), of the finest octave and of the rest; 0 of a single sample


def ssim_terms(prediction: Tensor, target: Tensor, ms_ssim: float, ssim: float) -> dict[str, Tensor]:
    """1 - MS-SSIM and 1 - SSIM by name, scalars; a term of weight 0 is not computed."""
    terms = {}
    if ms_ssim:
        terms["ms_ssim"] = 1 - multi_scale_ssim(prediction, target)
    if ssim:
        terms["ssim"] = 1 - multi_scale_ssim(prediction, target, scales=1)
    # SSIM is blind to NaN here; the total must not be
    return {name: term + 0 * (prediction - target).mean() for name, term in terms.items()}


def misfit(samples: Tensor, truth: Tensor, octaves: int) -> Misfit:
    """L1 of the mean of samples (P, N, C, h, w) and what their spread is worth, summed over wavelet bands.

    Both are proper for any linear map of the image, so for every band: by bands, the samples' spectrum must
    be the posterior's, where for the whole image its pixels' standard deviation was enough.
    """
    bands, truth = wavelets(samples, octaves), wavelets(truth, octaves)  # (bands, P, N, ...), (bands, N, ...)
    l1 = (bands.mean(1) - truth).abs().sum(0).mean()
    if len(samples) == 1:
        return Misfit(l1, l1.new_zeros(2, samples.shape[1]))
    rewards = torch.vmap(std_reward)(bands)
    finest = 3 if octaves else 0
    return Misfit(l1, torch.stack([rewards[:finest].sum(0), rewards[finest:].sum(0)]))


def std_reward(samples: Tensor) -> Tensor:
    """The mean standard deviation of samples (P, N, ...) of each of N images, (N,): rcGAN's L_SD.

    sqrt(pi / (2 P (P - 1))) sum_p |x_p - mean|, unbiased for normal samples (Bendel et al. 2023,
    arXiv 2210.13389, eq. 8), with the factor that makes a posterior's spread the best one, for the weight
    beta = 1, against the L1 of the samples' mean: sqrt(2 / (pi P (P + 1))) (eq. 10 there).
    """
    count = len(samples)
    spread = (samples - samples.mean(0)).abs().sum(0).flatten(1).mean(1)  # (N,)
    unbiased = math.sqrt(math.pi / (2 * count * (count - 1)))
    return math.sqrt(2 / (math.pi * count * (count + 1))) * unbiased * spread


def wavelets(images: Tensor, octaves: int) -> Tensor:
    """Undecimated wavelets of images (..., h, w), whose sum is the images: (3 octaves + 1, ..., h, w).

    Fine to coarse: of each octave what is high along columns and rows, along columns alone, along rows alone;
    then what is left. B3 splines, "a trous" (Starck et al. 2007, IEEE TIP 16(2)).
    """
    bands = []
    for octave in range(octaves):
        rows = _smooth(images, 2**octave, dim=-2)
        smooth = _smooth(rows, 2**octave, dim=-1)
        columns = _smooth(images, 2**octave, dim=-1)
        bands += [images - rows - columns + smooth, rows - smooth, columns - smooth]
        images = smooth
    return torch.stack([*bands, images])


def _smooth(images: Tensor, step: int, dim: int) -> Tensor:
    """B3 spline (1, 4, 6, 4, 1) / 16 of so wide a step along one of the last two dimensions."""
    matrix = _spline(images.shape[dim], step, images.device)
    return images @ matrix.mT if dim == -1 else matrix @ images


@cache
def _spline(size: int, step: int, device: torch.device) -> Tensor:
    """The smoothing as a matrix (size, size), one kernel where shifted sums take ten; edges repeat."""
    near = torch.arange(size)[:, None] + step * torch.arange(-2, 3)
    weights = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]).expand(size, -1) / 16
    return torch.zeros(size, size).scatter_add(1, near.clamp(0, size - 1), weights).to(device)


def multi_scale_ssim(prediction: Tensor, target: Tensor, scales: int | None = None) -> Tensor:
    """Mean MS-SSIM over a batch (Wang et al. 2003); data range 1, Gaussian window of 11 pixels.

    Five scales need 161 pixels a side: smaller images use fewer, with the weights renormalised. At one
    scale it is SSIM. Built on piq's SSIM rather than piq's MS-SSIM, whose gradient is NaN where the
    contrast term of a scale is negative.
    """
    scales = min(scales or len(SCALE_WEIGHTS), possible_scales(min(target.shape[-2:])))
    weights = torch.tensor(SCALE_WEIGHTS[:scales])
    shares = (weights / weights.sum()).tolist()
    score = torch.ones((), device=prediction.device)
    for scale, share in enumerate(shares):
        similarity, contrast = _ssim(prediction, target)
        term = similarity if scale == scales - 1 else contrast
        score = score * term.clamp(min=1e-4) ** share
        prediction, target = _halve(prediction), _halve(target)
    return score.mean()


def _halve(image: Tensor) -> Tensor:
    """2x2 means; odd sizes repeat their first row and column, as piq's MS-SSIM does."""
    odd = max(side % 2 for side in image.shape[-2:])
    return F.avg_pool2d(F.pad(image, (odd, 0, odd, 0), mode="replicate"), 2)


def possible_scales(side: int) -> int:
    """How many scales fit a side of this many pixels: (11 - 1) 2^(scales - 1) + 1 at least."""
    assert side >= KERNEL_SIZE, f"SSIM needs {KERNEL_SIZE} pixels a side, got {side}"
    return ((side - 1) // (KERNEL_SIZE - 1)).bit_length()


def _ssim(prediction: Tensor, target: Tensor) -> list[Tensor]:
    """SSIM and its contrast-structure term per image, (N,) each; piq would fail on NaN."""
    import piq  # which takes torchvision along: seconds that only who computes a loss should wait

    prediction, target = ((x / HEADROOM).nan_to_num().clamp(0, 1) for x in (prediction, target))
    return piq.ssim(
        prediction,
        target,
        kernel_size=KERNEL_SIZE,
        downsample=False,
        full=True,
        reduction="none",
        k1=0.01 / HEADROOM,
        k2=0.03 / HEADROOM,
    )
