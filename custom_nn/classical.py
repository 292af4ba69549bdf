"""Reconstruction without training: compressed sensing by sigpy, and the image of the centre lines alone.

Both kinds of compressed sensing minimise 1/2 ||M F_w x - y||^2 + weight R(x) (Lustig et al. 2007, Magnetic
Resonance in Medicine 58). The forward model is 1-D along the columns, the regulariser R 2-D over the image.
Each slice is divided by the maximum of its own |zero-filled| first, so that a weight means the same in every
volume. sigpy takes seconds to import, and is imported where it computes.
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from math import log2
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from custom_nn.model import Noise, Reconstruction
from fastmri.physics import apply_mask, center_columns, measured_scale, middle_slice, zero_filled

Shrink = Callable[[float, np.ndarray], np.ndarray]  # step, image (H, W) -> image
Solve = Callable[..., np.ndarray]  # data (H, W), mask (1, W), weight, iterations -> image (H, W), complex64

# Dual step of total variation for images of maximum 1, by trial: at 128 pixels, x4 and x8, a hundred
# iterations come within 0.1 dB of a thousand; with sigpy's own, 1, four hundred stay 0.7 to 1.4 dB away.
DUAL_STEP = 0.02
WAVELET, LEVELS = "haar", 3  # by trial: above db2, db4, and 4 levels in PSNR


class LowPass(nn.Module):
    """The image of the fully sampled centre lines alone, as if no other had been measured."""

    stochastic: Literal[False] = False

    def forward(
        self, masked_kspace: Tensor, mask: Tensor, noise: Noise | None, scale: Tensor | None = None
    ) -> Reconstruction:
        return Reconstruction(zero_filled(apply_mask(middle_slice(masked_kspace), center_columns(mask))))


class CompressedSensing(nn.Module):
    """Each slice solved by itself for a weight of the regulariser."""

    stochastic: Literal[False] = False

    def __init__(self, solve: Solve, weight: float, iterations: int):
        super().__init__()
        self.solve, self.weight, self.iterations = solve, weight, iterations

    def forward(
        self, masked_kspace: Tensor, mask: Tensor, noise: Noise | None, scale: Tensor | None = None
    ) -> Reconstruction:
        solve = partial(self.solve, weight=self.weight, iterations=self.iterations)
        return Reconstruction(_slice_by_slice(solve, masked_kspace, mask))


def total_variation(data: np.ndarray, mask: np.ndarray, weight: float, iterations: int) -> np.ndarray:
    """R is the l1 norm of differences to the next row and column (Block et al. 2007), by PDHG.

    Primal-dual hybrid gradient: Chambolle and Pock 2011, J. Math. Imaging Vis. 40, algorithm 1.
    """
    from sigpy.linop import FiniteDifference
    from sigpy.prox import L1Reg

    differences = FiniteDifference(data.shape)  # (2, H, W)
    regularizer = L1Reg(differences.oshape, np.float32(weight))
    # ||M F||^2 + ||G||^2 <= 1 + 8
    steps = {"tau": 1 / (9 * DUAL_STEP), "sigma": DUAL_STEP}
    return _minimize(data, mask, iterations, proxg=regularizer, G=differences, **steps)


def wavelet(data: np.ndarray, mask: np.ndarray, weight: float, iterations: int) -> np.ndarray:
    """R is the l1 norm of Haar wavelet coefficients, by accelerated proximal gradient steps on moving grids.

    FISTA: Beck and Teboulle 2009, SIAM J. Imaging Sci. 2, eq. 4.1 to 4.3. On a fixed grid PSNR was about 1 dB
    lower at x4.
    """
    from sigpy import linop
    from sigpy.prox import L1Reg, UnitaryTransform

    levels = min(LEVELS, int(log2(min(data.shape))))
    transform = linop.Wavelet(data.shape, wave_name=WAVELET, level=levels)
    threshold = UnitaryTransform(L1Reg(transform.oshape, np.float32(weight)), transform)
    shrink = _shifted(threshold, 2**levels)
    return _minimize(data, mask, iterations, proxg=shrink, alpha=1)  # ||M F|| = 1


def _shifted(shrink: Shrink, period: int) -> Shrink:
    """A step that depends on the grid, of an image moved to another of its places each time (cycle spinning).

    All period ** 2 places take turns, so that on the whole none is preferred (Coifman and Donoho 1995).
    """
    steps = count()

    def shifted(size: float, image: np.ndarray) -> np.ndarray:
        turn, row = divmod(next(steps), period)
        place = row, (3 * row + turn) % period
        moved = shrink(size, np.roll(image, place, (0, 1)))
        return np.roll(moved, (-place[0], -place[1]), (0, 1))

    return shifted


def _minimize(data: np.ndarray, mask: np.ndarray, iterations: int, **options: Any) -> np.ndarray:
    """sigpy's least squares under its regularisers, from the zero-filled image on.

    Not sigpy.mri.app: its sensitivities and 2-D transforms would cost a measured readout's transform per
    iteration, and its step sizes a power method per slice; here both are known.
    """
    from sigpy.app import LinearLeastSquares
    from sigpy.linop import FFT, Multiply

    transform = FFT(data.shape, axes=(-1,))
    options |= {"x": transform.H(data), "max_iter": iterations, "show_pbar": False}
    return LinearLeastSquares(Multiply(data.shape, mask) * transform, data, **options).run()


def _slice_by_slice(solve: Solve, masked_kspace: Tensor, mask: Tensor) -> Tensor:
    """Images complex64 (N, 1, H, W) of the middle slices, each solved by itself, on the CPU.

    Neither threads nor one solve of the whole batch were faster. The scale is the middle slice's own, so
    that neighbours change nothing.
    """
    middle = middle_slice(masked_kspace)
    scale = measured_scale(middle)
    data, masks = (middle / scale).cpu().numpy(), mask.cpu().numpy()
    images = [solve(y[0], kept[0]) for y, kept in zip(data, masks, strict=True)]
    return torch.from_numpy(np.stack(images))[:, None].to(masked_kspace.device) * scale
