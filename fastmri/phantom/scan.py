"""A scan of a phantom: slices of a knee seen by a coil, measured as raw data."""

import math
from typing import NamedTuple

import numpy as np
import torch

from fastmri.emulate import RawData, emulate
from fastmri.phantom.anatomy import Knee, draw_knee
from fastmri.phantom.coil import Coil, draw_coil, phase, sensitivity
from fastmri.phantom.picture import slice_of
from fastmri.phantom.tissues import Tissues, draw_tissues

FIELD_OF_VIEW = 160.0  # mm of the reconstruction, 0.5 mm per pixel at 320
FINEST_PIXEL = 0.65  # mm at most on the grid that k-space is made from: thinner layers are blurred to it

# mean signal in the leg over the noise of one channel, as in fastMRI's single-coil knees
_SIGNAL_TO_NOISE = {"CORPD_FBK": (25.0, 40.0), "CORPDFS_FBK": (8.0, 15.0)}
_GAIN = {"CORPD_FBK": (1.5e-4, 4e-4), "CORPDFS_FBK": (0.8e-4, 2e-4)}  # of fat without suppression


class Subject(NamedTuple):
    """Who lies in the scanner, and how the scan is set up."""

    knee: Knee
    tissues: Tissues
    coil: Coil
    gain: float
    signal_to_noise: float
    depths: list[float]  # slices' z, mm


def draw_subject(rng: np.random.Generator, *, acquisition: str, slices: int) -> Subject:
    """Draw a knee, its tissues in this contrast, and a coil."""
    return Subject(
        knee=draw_knee(rng),
        tissues=draw_tissues(rng, acquisition),
        coil=draw_coil(rng),
        gain=rng.uniform(*_GAIN[acquisition]),
        signal_to_noise=rng.uniform(*_SIGNAL_TO_NOISE[acquisition]),
        depths=slice_positions(slices, middle=rng.uniform(-5, 3)),
    )


def slice_positions(slices: int, *, middle: float) -> list[float]:
    """Slices' z in mm, from the front: 84 mm of the knee, but no more than 7 mm apart."""
    spacing = min(84 / slices, 7.0)
    return [middle + spacing * ((slices - 1) / 2 - k) for k in range(slices)]


def draw_acquired(rng: np.random.Generator, columns: int) -> tuple[int, int]:
    """Columns [left, right) that the scanner samples: 93 to 100 %, centred to within one."""
    left = int(rng.integers(0, round(0.035 * columns) + 1))
    return left, columns - left - int(left > 0 and rng.integers(2))


def side_of(matrix: tuple[int, int]) -> int:
    """The side of the reconstruction in pixels: the readout is oversampled twice."""
    return matrix[0] // 2


def fine_grid(matrix: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, float]:
    """Rows' y (H, 1), columns' x (1, W) and spacing in mm, on a grid at least twice finer than `matrix`."""
    coarse = FIELD_OF_VIEW / side_of(matrix)
    finer = max(2, math.ceil(coarse / FINEST_PIXEL))
    pixel = coarse / finer
    y, x = (((np.arange(n * finer) - n * finer // 2) * pixel).astype(np.float32) for n in matrix)
    return y[:, None], x[None, :], pixel


def measure(
    subject: Subject,
    *,
    matrix: tuple[int, int],
    acquired: tuple[int, int],
    rng: np.random.Generator,
    noiseless: bool = False,
) -> RawData:
    """Raw data of all slices; `matrix` is (rows, columns) of k-space, rows upside down as fastMRI's."""
    y, x, pixel = fine_grid(matrix)
    rendered = sensitivity(subject.coil, x[:, :1], y, 0.0)[:, 0] > 0  # elsewhere there is no signal
    images = [_received(subject, x, y[rendered], z, pixel) for z in subject.depths]
    central = np.abs(y[rendered, 0]) < FIELD_OF_VIEW / 2
    mean = np.mean([_mean_signal(image[central]) for image in images])
    measured = []
    for image in images:  # one at a time: transforming a fine grid takes some 30 MB a slice
        whole = np.zeros((1, y.size, x.size), np.complex64)
        whole[0, rendered] = image
        raw = emulate(
            whole,
            columns=matrix[1],
            recon_size=(side_of(matrix),) * 2,
            acquired=acquired,
            # of a complex sample, hence the root: the signal-to-noise ratio is of one channel
            noise_std=0.0 if noiseless else math.sqrt(2) * float(mean) / subject.signal_to_noise,
            rng=rng,
        )
        measured.append(raw)
    return RawData(*(np.concatenate(parts) for parts in zip(*measured, strict=True)))


def _mean_signal(image: np.ndarray) -> float:
    magnitude = np.abs(image)
    return float(magnitude.sum() / max(np.count_nonzero(magnitude), 1))


def _received(subject: Subject, x: np.ndarray, y: np.ndarray, z: float, pixel: float) -> np.ndarray:
    signal = slice_of(subject.knee, subject.tissues, x, y, z, pixel=pixel)
    signal *= subject.gain * sensitivity(subject.coil, x, y, z)
    angle = phase(subject.coil, x, y, z)
    return torch.polar(torch.from_numpy(signal), torch.from_numpy(angle)).numpy()
