"""One person's knee: the numbers that vary between volumes."""

import math
from typing import NamedTuple

import numpy as np

from fastmri.phantom.noise import Noise, sample
from fastmri.phantom.shapes import Place

SLICE_THICKNESS = 3.0  # mm, as in fastMRI


class Knee(NamedTuple):
    """Sizes in mm and angles in radians, before scaling by `size`."""

    size: float
    rotation: float
    shift: tuple[float, float]
    mirrored: bool  # a left knee
    valgus: float  # femoral shaft against the tibia
    condyle_half_width: tuple[float, float]  # medial, lateral
    condyle_height: float
    condyle_depth: float
    notch_half_width: float
    plateau_half_width: float
    tibial_slope: float
    spine_height: float
    cartilage: float
    cortex: float
    scar: float  # visibility of the growth plates' scars
    patella: tuple[float, float]  # centre's x and y
    fibula: tuple[float, float]  # tip of the head, x and y
    girth: float  # thigh and calf
    fat: float  # thickness under the skin
    muscle_bulk: float
    fatty_streaks: float
    effusion: float  # fluid in the joint
    vessel_phase: float
    seed: int  # of the noise fields


def draw_knee(rng: np.random.Generator) -> Knee:
    """Draw a knee; ranges follow adult anatomy."""
    uniform = rng.uniform
    return Knee(
        size=uniform(0.9, 1.1),
        rotation=math.radians(uniform(-5, 5)),
        shift=(uniform(-6, 6), uniform(-8, 6)),
        mirrored=bool(rng.integers(2)),
        valgus=math.radians(uniform(3, 9)),
        condyle_half_width=(uniform(14.5, 17.5), uniform(14, 17)),
        condyle_height=uniform(20, 23),
        condyle_depth=uniform(28, 32),
        notch_half_width=uniform(7.5, 11.5),
        plateau_half_width=uniform(36, 40),
        tibial_slope=uniform(0.06, 0.16),
        spine_height=uniform(6.5, 10),
        cartilage=uniform(1.8, 2.8),
        cortex=uniform(0.8, 1.2),
        scar=uniform(0.08, 0.3),
        patella=(uniform(-2, 6), uniform(16, 28)),
        fibula=(uniform(33, 38), uniform(-17, -11)),
        girth=uniform(0.9, 1.12),
        fat=uniform(4, 12),
        muscle_bulk=uniform(0.88, 1.12),
        fatty_streaks=uniform(0.3, 1.0),
        effusion=uniform(0, 1.6),
        vessel_phase=uniform(0, 2 * math.pi),
        seed=int(rng.integers(2**31)),
    )


def noise_of(knee: Knee, name: str, wavelength: tuple[float, float, float], bandwidth: float = 0.4) -> Noise:
    """The knee's noise field of that name."""
    return Noise(knee.seed + int.from_bytes(name.encode()) % 1_000_003, wavelength, bandwidth)


def place_in_knee(knee: Knee, x: np.ndarray, y: np.ndarray, z: float, pixel: float) -> Place:
    """From the scanner's mm, x (1, W) and y (H, 1), to the knee's own: turned, scaled, mirrored."""
    cos, sin = math.cos(knee.rotation) / knee.size, math.sin(knee.rotation) / knee.size
    x, y = x - knee.shift[0], y - knee.shift[1]
    across = (cos * x + sin * y) * (-1 if knee.mirrored else 1)
    return Place(across, cos * y - sin * x, z / knee.size, pixel / knee.size)


def warp(knee: Knee, place: Place, name: str, amplitude: float, wavelength: float) -> Place:
    """Bend space by smooth noise, so that no outline is a perfect curve."""
    dx, dy = (
        amplitude * sample(smooth._replace(cells=16), place.x, place.y, place.z)  # bends, no kinks
        for smooth in (noise_of(knee, f"{name} {axis}", (wavelength,) * 3) for axis in "xy")
    )
    return place._replace(x=place.x + dx, y=place.y + dy)
