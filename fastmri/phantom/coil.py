"""Sensitivity and phase of the emulated single coil: smooth in all three directions."""

import math
from typing import NamedTuple

import numpy as np

from fastmri.phantom.shapes import Values, ramp


class Coil(NamedTuple):
    center: tuple[float, float, float]  # mm
    reach: float  # mm along the leg to half sensitivity
    rise: float  # gain from the centre to the skin
    polynomial: np.ndarray  # (9,) rad: 1, x, y, z, xx, xy, yy, xz, yz
    waves: np.ndarray  # (3, 5): amplitude rad, cycles over 160 mm along x, y, z, offset rad


def draw_coil(rng: np.random.Generator) -> Coil:
    """Draw a coil and the phase of a scan."""
    spread = np.array([np.pi, 0.8, 0.8, 0.8, 0.7, 0.7, 0.7, 0.5, 0.5])
    waves = np.stack(
        [rng.uniform(0.05, 0.3, 3), *rng.uniform(-1.3, 1.3, (3, 3)).T, rng.uniform(0, 2 * np.pi, 3)], axis=1
    )
    return Coil(
        center=(rng.uniform(-12, 12), rng.uniform(-8, 8), rng.uniform(-10, 10)),
        reach=rng.uniform(84, 96),
        rise=rng.uniform(0.1, 0.35),
        polynomial=rng.uniform(-spread, spread),
        waves=waves,
    )


def sensitivity(coil: Coil, x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
    """Magnitude at x (1, W), y (H, 1), z mm: rises towards the skin, falls off along the leg to nothing."""
    u, v, w = x - coil.center[0], y - coil.center[1], z - coil.center[2]
    along = ramp(np.abs(v), coil.reach + 38, coil.reach - 38)
    radius = (u * u + w * w) / 60**2
    return ((1 + coil.rise * radius) * along * (1 + 0.002 * u)).astype(np.float32)


def phase(coil: Coil, x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
    """Phase in rad at x (1, W), y (H, 1), z mm: a polynomial of second order and a few long waves."""
    u, v, w = x / 80, y / 80, z / 80
    terms: tuple[Values, ...] = (1.0, u, v, w, u * u, u * v, v * v, u * w, v * w)
    angle = np.asarray(sum(float(c) * term for c, term in zip(coil.polynomial, terms, strict=True)))
    for amplitude, *cycles, offset in coil.waves.tolist():
        argument = math.pi * (cycles[0] * u + cycles[1] * v + cycles[2] * w) + offset
        angle = angle + amplitude * np.sin(argument)
    return angle.astype(np.float32)
