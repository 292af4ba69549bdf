"""NMSE, PSNR and SSIM of a volume, as fastMRI computes them: reference and prediction float (S, h, w).

The data range is the maximum of the volume's raw, unclamped target; never that of a slice or a prediction.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from skimage.metrics import structural_similarity


class Metrics(NamedTuple):
    """Metrics of one volume."""

    psnr: float  # dB
    ssim: float
    nmse: float


def volume_metrics(target: np.ndarray, prediction: np.ndarray) -> Metrics:
    """All metrics of a volume against its target."""
    assert target.shape == prediction.shape
    assert target.ndim == 3
    max_value = float(target.max())
    return Metrics(
        psnr=psnr(target, prediction, max_value),
        ssim=ssim(target, prediction, max_value),
        nmse=nmse(target, prediction),
    )


def nmse(target: np.ndarray, prediction: np.ndarray) -> float:
    """||target - prediction||^2 / ||target||^2 over the volume."""
    return float(np.linalg.norm(target - prediction) ** 2 / np.linalg.norm(target) ** 2)


def psnr(target: np.ndarray, prediction: np.ndarray, max_value: float) -> float:
    """10 log10(max_value^2 / mean squared error over the volume), in dB; infinite for an exact prediction."""
    return psnr_of_error(np.mean((target.astype(np.float64) - prediction) ** 2), max_value)


def psnr_of_error(error: float, max_value: float) -> float:
    """PSNR in dB of a mean squared error."""
    return float("inf") if error == 0 else float(10 * np.log10(max_value**2 / error))


def ssim(target: np.ndarray, prediction: np.ndarray, max_value: float) -> float:
    """Mean over slices of the structural similarity, 7x7 uniform window (Wang et al. 2004)."""
    with ThreadPoolExecutor() as threads:  # its filters leave the interpreter's lock
        pairs = zip(target, prediction, strict=True)
        values = list(threads.map(lambda pair: structural_similarity(*pair, data_range=max_value), pairs))
    return float(np.mean(values))
