"""Femur, tibia, fibula and patella as distances in mm, negative inside."""

import math

import numpy as np

from fastmri.phantom.anatomy import Knee
from fastmri.phantom.shapes import (
    Place,
    bump,
    capsule,
    ellipse,
    ellipsoid,
    extrude,
    ramp,
    smooth_max,
    smooth_min,
)


def femur(knee: Knee, place: Place) -> np.ndarray:
    """Shaft flaring into two condyles, joined in front by the trochlea, parted behind by the notch."""
    bone = smooth_min(_femoral_shaft(knee, place), _trochlea(knee, place), 8)
    for side, half_width in zip((-1, 1), knee.condyle_half_width, strict=True):
        bone = smooth_min(bone, _condyle(knee, place, side, half_width), 7)
    return smooth_max(bone, -_notch(knee, place), 4)


def _femoral_shaft(knee: Knee, place: Place) -> np.ndarray:
    rise = place.y - 22
    flare = 1 / (1 + (np.maximum(rise, 0) / 30) ** 2.4)
    axis = np.maximum(rise, -10) * math.tan(knee.valgus)
    column = ellipse(place.x - axis, place.z - 4 - 3 * flare, 14 + 22 * flare, 14 + 11 * flare)
    return smooth_max(column, 14 - place.y, 10)


def _condyle(knee: Knee, place: Place, side: int, half_width: float) -> np.ndarray:
    center = side * (knee.notch_half_width + half_width - 2.5)
    across = place.x - center
    depth = knee.condyle_depth - (1.5 if side > 0 else 0)
    height = knee.condyle_height
    profile = ellipse(place.y - height, place.z + 4, height, depth)
    # the lower surface rises towards both edges, more on the outer side
    curve = across * across * np.where(side * across > 0, np.float32(0.021), np.float32(0.014))
    condyle = extrude(profile + curve, across, half_width + 1, 12)
    epicondyle = ellipsoid(place, (center + side * (half_width - 5), height + 3, -3), (9, 13, 15))
    return smooth_min(condyle, epicondyle, 9)


def _trochlea(knee: Knee, place: Place) -> np.ndarray:
    profile = ellipse(place.y - knee.condyle_height - 3, place.z - 10, 18, 22)
    groove = 5 * ramp(place.z, 0, 24) * np.exp(-((place.x - 2) ** 2) / 160)
    return extrude(profile + groove, place.x, 31, 16)


def _notch(knee: Knee, place: Place) -> np.ndarray:
    # its roof (Blumensaat's line) comes down towards the front, where the notch ends
    height = 17 - 0.55 * (place.z + 5)
    if height < 3:
        return np.full_like(place.x, 20) + (3 - height)
    width = knee.notch_half_width * (0.55 + 0.45 * ramp(height, 3, 14)) + 0.25 * max(-place.z - 12, 0)
    return ellipse(place.x - 0.5, place.y + 3, width, min(height, 30) + 4)


def tibia(knee: Knee, place: Place) -> np.ndarray:
    """Plateau with two hollows and two spines, tapering to the shaft, tubercle in front."""
    drop = np.maximum(-6 - place.y, 0)
    taper = 1 / (1 + (drop / 25) ** 2.2)
    half_width = 13 + (knee.plateau_half_width - 13) * taper
    # squarer than an ellipse: the widest part of the plateau is held over most of its depth
    column = ellipse(place.x + 4 * (1 - taper), (place.z + 3 - 3 * taper) * 0.88, half_width, 13 + 11 * taper)
    bone = smooth_max(column, place.y - plateau(knee, place), 4)
    tubercle = ellipsoid(place, (2, -40, 16), (11, 20, 12))
    return smooth_min(bone, tubercle, 9)


def plateau(knee: Knee, place: Place) -> np.ndarray:
    """Height of the plateau, tilted backwards, hollow under each condyle, spines between them."""
    base = -2 * knee.cartilage - 0.5 + knee.tibial_slope * min(place.z, 12) - 0.8 * ramp(-place.z, 14, 26)
    hollow = 1.2 * np.exp(-(((np.abs(place.x) - 22) / 11) ** 2)) - 0.9
    spines = sum(
        height * bump(place.z - z, 9) * np.exp(-(np.abs((place.x - x) / 4.2) ** 1.6))
        for x, z, height in ((-5.5, -1, 1.0), (5.5, -4, 0.8))
    )
    return base - hollow + knee.spine_height * spines


def fibula(knee: Knee, place: Place) -> np.ndarray:
    """Head below and behind the lateral plateau, neck and shaft down from it."""
    x, top = knee.fibula
    head = ellipsoid(place, (x, top - 10, -17), (8.5, 11.5, 9.5))
    shaft = capsule(place, (x, top - 12, -17), (x - 2, -170, -15), 6.2, 6.8)
    return smooth_min(head, shaft, 6)


def patella(knee: Knee, place: Place) -> np.ndarray:
    """A rounded shield in front of the trochlea, its apex pointing down."""
    x, y = knee.patella
    narrowing = 1 + 0.012 * np.clip(y - place.y, 0, 24)
    shield = place._replace(x=x + (place.x - x) * narrowing)
    return ellipsoid(shield, (x, y, 44), (22.5, 22, 11.5))
