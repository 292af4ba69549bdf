"""Loss terms on magnitude images float32 (N, 1, h, w), in units of the target volume's maximum."""

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from custom_nn.wavelets import wavelets
from fastmri.volumes import SMALLEST_SIDE

KERNEL_SIZE = SMALLEST_SIDE  # pixels: no image may be smaller
WINDOW_SIGMA = 1.5  # pixels
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
HEADROOM = 4.0  # predictions may exceed the truth's maximum: what is seen is [0, HEADROOM]


class L1AndReward(NamedTuple):
    """L1 of the mean of samples, and what their spread is worth, see `std_reward`."""

    l1: Tensor  # scalar, mean over images
    reward: Tensor  # (bands, C, N); 0 of a single sample


def ssim_terms(prediction: Tensor, target: Tensor, ms_ssim: float, ssim: float) -> dict[str, Tensor]:
    """1 - MS-SSIM and 1 - SSIM by name, scalars; a term of weight 0 is not computed."""
    terms = {}
    if ms_ssim:
        terms["ms_ssim"] = 1 - multi_scale_ssim(prediction, target).mean()
    if ssim:
        terms["ssim"] = 1 - multi_scale_ssim(prediction, target, scales=1).mean()
    # SSIM is blind to NaN here; the total must not be
    return {name: term + 0 * (prediction - target).mean() for name, term in terms.items()}


def l1_and_reward(samples: Tensor, truth: Tensor, octaves: int) -> L1AndReward:
    """L1 of the mean of samples (P, N, C, h, w) and what their spread is worth, summed over wavelet bands.

    Both are proper for any linear map of the image, so for every band: by bands, the samples' spectrum must
    be the posterior's, where for the whole image its pixels' standard deviation was enough.
    """
    bands, truth = wavelets(samples, octaves), wavelets(truth, octaves)  # (bands, P, N, ...), (bands, N, ...)
    l1 = (bands.mean(1) - truth).abs().sum(0).mean()
    if len(samples) == 1:
        return L1AndReward(l1, l1.new_zeros(len(bands), samples.shape[2], samples.shape[1]))
    return L1AndReward(l1, torch.vmap(std_reward)(bands))


def std_reward(samples: Tensor) -> Tensor:
    """The mean standard deviation of samples (P, N, C, h, w) by channel and image, (C, N): rcGAN's L_SD.

    sqrt(pi / (2 P (P - 1))) sum_p |x_p - mean|, unbiased for normal samples (Bendel et al. 2023,
    arXiv 2210.13389, eq. 8), with the factor that makes a posterior's spread the best one, for the weight
    beta = 1, against the L1 of the samples' mean: sqrt(2 / (pi P (P + 1))) (eq. 10 there).
    """
    count = len(samples)
    spread = (samples - samples.mean(0)).abs().sum(0).mean(dim=(-2, -1)).mT  # (C, N)
    unbiased = math.sqrt(math.pi / (2 * count * (count - 1)))
    return math.sqrt(2 / (math.pi * count * (count + 1))) * unbiased * spread


def multi_scale_ssim(prediction: Tensor, target: Tensor, scales: int | None = None) -> Tensor:
    """MS-SSIM of each image (N,) (Wang et al. 2003); data range 1, Gaussian window of 11 pixels.

    Five scales need 161 pixels a side: smaller images use fewer, with the weights renormalised. At one
    scale it is SSIM. Equal to piq's, by test, whose gradient is NaN where the contrast term of a scale is
    negative, and whose windows took an eighth of a training step on a GPU.
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
    return score


def _halve(image: Tensor) -> Tensor:
    """2x2 means; odd sizes repeat their first row and column, as piq's MS-SSIM does."""
    odd = max(side % 2 for side in image.shape[-2:])
    return F.avg_pool2d(F.pad(image, (odd, 0, odd, 0), mode="replicate"), 2)


def possible_scales(side: int) -> int:
    """How many scales fit a side of this many pixels: (11 - 1) 2^(scales - 1) + 1 at least."""
    assert side >= KERNEL_SIZE, f"SSIM needs {KERNEL_SIZE} pixels a side, got {side}"
    return ((side - 1) // (KERNEL_SIZE - 1)).bit_length()


def _ssim(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure term per image, (N,) each, of images as piq takes them."""
    x, y = ((image / HEADROOM).nan_to_num().clamp(0, 1) for image in (prediction, target))
    x_mean, y_mean, xx, yy, xy = map(_windowed, (x, y, x * x, y * y, x * y))
    variances = xx - x_mean * x_mean + yy - y_mean * y_mean
    stable = (0.01 / HEADROOM) ** 2, (0.03 / HEADROOM) ** 2
    contrast = (2 * (xy - x_mean * y_mean) + stable[1]) / (variances + stable[1])
    luminance = (2 * x_mean * y_mean + stable[0]) / (x_mean * x_mean + y_mean * y_mean + stable[0])
    return (luminance * contrast).mean(dim=(1, 2, 3)), contrast.mean(dim=(1, 2, 3))


def _windowed(image: Tensor) -> Tensor:
    """Means under the Gaussian window wherever it fits: (N, 1, h, w) -> (N, 1, h - 10, w - 10).

    As matrix products, which keep float32 on a GPU: its convolutions round to TF32, and a variance is what is
    left of two numbers that are nearly the same.
    """
    rows, columns = (_windows(side, image.device) for side in image.shape[-2:])
    return rows @ image @ columns.mT


@cache
@torch.inference_mode(False)  # wherever it is made first, training may use it
def _windows(size: int, device: torch.device) -> Tensor:
    """The window at every place along one side: (size - 10, size)."""
    offset = torch.arange(size) - torch.arange(size - KERNEL_SIZE + 1)[:, None] - KERNEL_SIZE // 2
    weight = torch.exp(-(offset.float() ** 2) / (2 * WINDOW_SIGMA**2)) * (offset.abs() <= KERNEL_SIZE // 2)
    return (weight / weight.sum(1, keepdim=True)).to(device)
