"""Smooth implicit shapes: distance in mm to a surface, negative inside, and what a pixel sees of it.

Coordinates are arrays x (left-right) and y (superior) of one slice and a number z (anterior), all in mm.
"""

import math
from typing import NamedTuple, overload

import numpy as np

Point = tuple[float, float, float]
Range = tuple[float, float]
Window = tuple[slice, slice]  # of rows and columns
Values = np.ndarray | float  # one for all pixels, or one for each


class Place(NamedTuple):
    """Where the pixels of one slice lie in the knee."""

    x: np.ndarray  # (H, W) mm, lateral is positive
    y: np.ndarray  # (H, W) mm above the joint line
    z: float  # mm anterior to the middle of the tibia
    pixel: float  # mm


def window(place: Place, *, x: Range = (-1e3, 1e3), y: Range = (-1e3, 1e3)) -> Window:
    """The rows and columns that hold all pixels in these ranges: what lies elsewhere need not be drawn."""
    rows = (place.y.max(axis=1) > y[0]) & (place.y.min(axis=1) < y[1])
    columns = (place.x.max(axis=0) > x[0]) & (place.x.min(axis=0) < x[1])
    return _hull(np.flatnonzero(rows)), _hull(np.flatnonzero(columns))


def box(inside: np.ndarray) -> Window:
    """The rows and columns that hold all true pixels."""
    return _hull(np.flatnonzero(inside.any(axis=1))), _hull(np.flatnonzero(inside.any(axis=0)))


def _hull(indices: np.ndarray) -> slice:
    # one more on either side, for gradients
    return slice(max(int(indices[0]) - 1, 0), int(indices[-1]) + 2) if indices.size else slice(0, 0)


def small(place: Place) -> bool:
    """Whether too little of a window is left to draw in."""
    return min(place.x.shape) < 2


def crop(place: Place, part: Window) -> Place:
    """The part of a place that a window shows."""
    return place._replace(x=place.x[part], y=place.y[part])


def ellipse(u: np.ndarray, v: Values, a: Values, b: Values) -> np.ndarray:
    """Distance to an ellipse with semi-axes a, b, exact to first order at its rim."""
    p, q = u / a, v / b
    norm = np.sqrt(p * p + q * q)
    slope = np.sqrt((p / a) ** 2 + (q / b) ** 2)
    return norm * (norm - 1) / np.maximum(slope, 1e-4)


def ellipsoid(place: Place, center: Point, radii: Point) -> np.ndarray:
    """Distance to an ellipsoid, exact to first order at its surface."""
    p = (place.x - center[0]) / radii[0]
    q = (place.y - center[1]) / radii[1]
    r = (place.z - center[2]) / radii[2]
    norm = np.sqrt(p * p + q * q + r * r)
    slope = np.sqrt((p / radii[0]) ** 2 + (q / radii[1]) ** 2 + (r / radii[2]) ** 2)
    return norm * (norm - 1) / np.maximum(slope, 1e-4)


def capsule(
    place: Place, start: Point, end: Point, radius: float, end_radius: float | None = None
) -> np.ndarray:
    """Distance to a rounded rod from `start` to `end`, whose radius may change along it."""
    axis = [b - a for a, b in zip(start, end, strict=True)]
    length = sum(d * d for d in axis)
    u, v, w = place.x - start[0], place.y - start[1], place.z - start[2]
    along = np.clip((u * axis[0] + v * axis[1] + w * axis[2]) / length, 0, 1)
    p, q, r = u - along * axis[0], v - along * axis[1], w - along * axis[2]
    end_radius = radius if end_radius is None else end_radius
    return np.sqrt(p * p + q * q + r * r) - (radius + along * (end_radius - radius))


def extrude(profile: np.ndarray, across: np.ndarray, half_width: float, rounding: float) -> np.ndarray:
    """Distance to a 2-D shape drawn out to |across| < half_width, its edges rounded."""
    p, q = profile + rounding, np.abs(across) - (half_width - rounding)
    outside = np.sqrt(np.maximum(p, 0) ** 2 + np.maximum(q, 0) ** 2)
    return outside + np.minimum(np.maximum(p, q), 0) - rounding


def smooth_min(f: np.ndarray, g: np.ndarray, blend: float) -> np.ndarray:
    """Union of two shapes, their seam rounded over `blend` mm."""
    overlap = np.maximum(blend - np.abs(f - g), 0)
    return np.minimum(f, g) - overlap * overlap / (4 * blend)


def smooth_max(f: np.ndarray, g: np.ndarray, blend: float) -> np.ndarray:
    """Intersection of two shapes, their edge rounded over `blend` mm."""
    return -smooth_min(-f, -g, blend)


def coverage(distance: np.ndarray, width: Values) -> np.ndarray:
    """Share of each pixel inside a shape, for an edge `width` mm wide."""
    return np.clip(0.5 - distance / width, 0, 1)


def slab_coverage(distance: np.ndarray, pixel: float, thickness: float) -> np.ndarray:
    """Share of each voxel inside a shape: edges oblique to the slice are blurred by its thickness."""
    slope_y, slope_x = np.gradient(distance, pixel)
    in_plane = slope_x * slope_x + slope_y * slope_y
    through = np.sqrt(np.clip(1 - in_plane, 0, 1)) * thickness
    return coverage(distance, np.sqrt(pixel * pixel + through * through))


def shell(distance: np.ndarray, inner: Values, outer: Values, width: float) -> np.ndarray:
    """Share of each pixel between two distances from a surface."""
    return coverage(distance - outer, width) - coverage(distance - inner, width)


@overload
def ramp(t: float, low: float, high: float) -> float: ...


@overload
def ramp(t: np.ndarray, low: float, high: float) -> np.ndarray: ...


def ramp(t: Values, low: float, high: float) -> Values:
    """Smooth step from 0 at `low` to 1 at `high` (either may be the greater)."""
    if isinstance(t, float):
        s: Values = min(max((t - low) / (high - low), 0.0), 1.0)
    else:
        s = np.clip((t - low) / (high - low), 0, 1)
    return s * s * (3 - 2 * s)


def bump(t: float, width: float) -> float:
    """Gaussian of a number."""
    return math.exp(-0.5 * (t / width) ** 2)
