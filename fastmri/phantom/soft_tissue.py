"""Outline of the leg, muscles and vessels, as distances in mm, negative inside."""

import math
from typing import NamedTuple

import numpy as np

from fastmri.phantom.anatomy import Knee
from fastmri.phantom.shapes import Place, Point, Window, ellipse, ramp, window


class Muscle(NamedTuple):
    """A spindle between two heights; tapers to a tendon at `start` and runs on at `end`."""

    name: str
    start: Point  # mm (x, y, z)
    end: Point
    radii: tuple[float, float]  # semi-axes in x and z of the belly
    taper: float = 0.35  # share of its length over which it thins towards `start`


class Vessel(NamedTuple):
    """A straight vessel that thins out."""

    start: Point  # mm (x, y, z)
    end: Point
    radius: float
    end_radius: float


# painted in this order: the deep ones first
MUSCLES = (
    Muscle("vastus intermedius", (6, 45, 22), (10, 140, 18), (24, 16), 0.5),
    Muscle("vastus medialis", (-27, 20, 26), (-34, 140, 12), (21, 27), 0.30),
    Muscle("vastus lateralis", (30, 36, 20), (42, 140, 6), (20, 30), 0.40),
    Muscle("biceps femoris, short head", (31, 12, -24), (30, 140, -14), (14, 13), 0.40),
    Muscle("biceps femoris, long head", (36, 0, -28), (30, 140, -36), (16, 15), 0.40),
    Muscle("semimembranosus", (-27, 2, -34), (-22, 140, -32), (19, 16), 0.35),
    Muscle("sartorius", (-43, -20, -18), (-46, 140, -12), (7, 13), 0.25),
    Muscle("gracilis", (-40, -10, -31), (-40, 140, -28), (6, 7), 0.35),
    Muscle("popliteus", (22, -8, -27), (-14, -62, -20), (17, 7), 0.25),
    Muscle("tibialis anterior", (29, -18, 8), (22, -150, 12), (13, 14), 0.22),
    Muscle("peroneus longus", (43, -22, -8), (42, -150, -6), (8, 13), 0.22),
    Muscle("tibialis posterior", (16, -30, -22), (10, -150, -20), (14, 9), 0.25),
    Muscle("soleus", (24, -26, -32), (4, -150, -34), (34, 11), 0.30),
    Muscle("soleus, medial part", (-16, -34, -16), (-26, -150, -18), (14, 14), 0.30),
    Muscle("gastrocnemius, medial head", (-20, 32, -33), (-24, -150, -42), (19, 15), 0.40),
    Muscle("gastrocnemius, lateral head", (22, 30, -33), (23, -150, -42), (17, 13), 0.40),
)


def outline(knee: Knee, place: Place) -> np.ndarray:
    """Distance to the skin: thigh above, slender at the joint's lower edge, calf below."""
    above, below = ramp(place.y, -5, 110), ramp(place.y, -22, -90)
    half_width = knee.girth * (54 + 14 * above + 4 * below) + 0.8 * knee.fat - 2
    half_depth = knee.girth * (62 + 10 * above - 2 * below)
    return ellipse(place.x - 2 * above, place.z + 1 + 8 * below, half_width, half_depth)


def fat_thickness(knee: Knee, place: Place) -> np.ndarray:
    """Thickness of the fat under the skin: more on the medial side and up the thigh."""
    medial = ramp(place.x, 20, -45)
    return knee.fat * (0.75 + 0.6 * medial + 0.35 * ramp(place.y, 0, 90)) + 1.5


def muscle(knee: Knee, place: Place, shape: Muscle) -> np.ndarray:
    """Distance to one muscle."""
    length = shape.end[1] - shape.start[1]
    along = (place.y - shape.start[1]) / length
    inside = np.clip(along, 0, 1)
    belly = knee.muscle_bulk * ramp(inside + 0.04, 0, shape.taper) + 0.02
    x = shape.start[0] + inside * (shape.end[0] - shape.start[0])
    z = shape.start[2] + inside * (shape.end[2] - shape.start[2])
    rod = ellipse(place.x - x, place.z - z, shape.radii[0] * belly, shape.radii[1] * belly)
    return np.maximum(rod, -along * abs(length))


def reach(shape: Muscle, place: Place) -> Window:
    """The window that holds all of a muscle; empty where the slice misses it."""
    aside, deep = (1.15 * radius + 4 for radius in shape.radii)
    x, y, z = ((min(a, b), max(a, b)) for a, b in zip(shape.start, shape.end, strict=True))
    if not z[0] - deep < place.z < z[1] + deep:
        return slice(0, 0), slice(0, 0)
    far = (y[0] - 4, 1e3) if shape.end[1] > shape.start[1] else (-1e3, y[1] + 4)
    return window(place, x=(x[0] - aside, x[1] + aside), y=far)


def popliteal_vessels(knee: Knee, place: Place) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances to popliteal artery, vein and tibial nerve, which wind down the fossa behind the notch."""
    wave = np.sin(place.y / 26 + knee.vessel_phase)
    depth = -34 - 2.5 * np.cos(place.y / 34 + knee.vessel_phase) + 6 * ramp(place.y, 40, 100)
    rods = ((1 + 3 * wave, depth, 3.4), (5 + 4 * wave, depth - 5, 4.2), (8 + 2 * wave, depth - 9, 2.6))
    artery, vein, nerve = (ellipse(place.x - x, place.z - z, radius, radius) for x, z, radius in rods)
    return artery, vein, nerve


def small_vessels(knee: Knee) -> tuple[Vessel, ...]:
    """The genicular arteries, which cross the slices, and the saphenous vein."""
    side = math.sin(knee.vessel_phase)
    return (
        Vessel((-8, 44 + 3 * side, -30), (-47, 34, 30), 1.3, 0.9),
        Vessel((10, 42 - 3 * side, -30), (48, 30, 30), 1.3, 0.9),
        Vessel((-8, -14, -30), (-44, -22 - 4 * side, 26), 1.1, 0.8),
        Vessel((10, -14, -30), (46, -8 + 3 * side, 28), 1.1, 0.8),
        Vessel((20, 36, -30), (24 + 6 * side, 34, 30), 0.9, 0.7),
        Vessel((-52 * knee.girth, 150, -16), (-50 * knee.girth, -150, -12), 1.9, 1.9),
    )


def passage(vessel: Vessel, place: Place) -> Window:
    """The window where a vessel can meet the slice."""
    (x0, y0, z0), (x1, y1, z1) = vessel.start, vessel.end
    ends = [0.0, 1.0]
    if abs(z1 - z0) > 10:
        ends = [min(max((place.z + d - z0) / (z1 - z0), 0), 1) for d in (-4, 4)]
    x, y = (sorted(a + t * (b - a) for t in ends) for a, b in ((x0, x1), (y0, y1)))
    return window(place, x=(x[0] - 3, x[1] + 3), y=(y[0] - 3, y[1] + 3))
