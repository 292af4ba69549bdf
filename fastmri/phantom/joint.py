"""Cartilage, menisci, ligaments and tendons of the knee, as shares of each pixel (H, W) in [0, 1]."""

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from fastmri.phantom.anatomy import Knee
from fastmri.phantom.bones import plateau
from fastmri.phantom.shapes import Place, Range, capsule, coverage, ellipse, ellipsoid, ramp, shell

# Courses of the ligaments, mm (x, y, z)
_ANTERIOR_CRUCIATE = ((8, 17, -14), (-2, -1, 9), 3.6, 4.8)
_POSTERIOR_CRUCIATE = ((-7, 10, 3), (1, -12, -26), 4.6, 4.8)
_LATERAL_COLLATERAL = ((42.5, 25, -8), (38.5, -18, -18), 1.7, 2.1)


def cartilage(knee: Knee, place: Place, bone: np.ndarray, *, femoral: bool) -> np.ndarray:
    """A layer on the surfaces that bear load: those that face up or down, front or back, not sideways."""
    slope_y, slope_x = np.gradient(bone, place.pixel)
    facing = ramp(np.abs(slope_x), 0.85, 0.5)
    if femoral:
        facing *= ramp(slope_y, 0.55, 0.1) * ramp(place.y, knee.condyle_height + 14, knee.condyle_height + 2)
        if place.z < 0:  # none in the notch
            facing *= ramp(np.abs(place.x), knee.notch_half_width - 3, knee.notch_half_width + 1)
    else:
        facing *= ramp(slope_y, 0.6, 0.9) * ramp(np.abs(place.x), 5, 11) * ramp(place.y, -18, -12)
    return shell(bone, 0, knee.cartilage * facing + place.pixel * (facing - 1), place.pixel)


def menisci(knee: Knee, place: Place, femur: np.ndarray, tibia: np.ndarray) -> np.ndarray:
    """Two C-shaped wedges that fill the gap between the bones towards the rim of the plateau."""
    gap = coverage(1.15 * knee.cartilage - np.minimum(femur, tibia), place.pixel)
    surface = plateau(knee, place) - 0.5
    share = np.zeros_like(place.x)
    for side, depth in ((-1, 23.0), (1, 20.0)):
        half_width = knee.plateau_half_width / 2 - 1
        # a triangle in cross-section: its edge points inwards, 10 mm from the rim
        rim = ellipse(place.x - side * (half_width + 2.5), place.z + 2, half_width, depth)
        height = 1.15 * knee.cartilage + 0.8 + 0.65 * np.maximum(rim + 10, 0)
        wedge = np.maximum(np.maximum(np.abs(rim + 5) - 5, surface - place.y), tibia - height)
        # open towards the middle, where the horns are anchored
        open_side = ramp(side * place.x, 8, 13) if abs(place.z + 2) < depth else np.float32(1)
        share = np.maximum(share, coverage(wedge, place.pixel) * open_side)
    return share * gap


def cruciates(place: Place) -> tuple[np.ndarray, np.ndarray]:
    """Anterior and posterior cruciate ligament."""
    anterior, posterior = (capsule(place, *course) for course in (_ANTERIOR_CRUCIATE, _POSTERIOR_CRUCIATE))
    return coverage(anterior, place.pixel), coverage(posterior, place.pixel)


def collaterals(place: Place, bones: np.ndarray) -> np.ndarray:
    """Medial and lateral collateral ligament and iliotibial band; the flat ones lie close on the bone."""
    share = coverage(capsule(place, *_LATERAL_COLLATERAL), place.pixel)
    medial = _band(place, bones, side=-1, rows=(-58, 27), depth=(-14, 12), thickness=1.9)
    iliotibial = _band(place, bones, side=1, rows=(-16, 130), depth=(-2, 20), thickness=1.7)
    return np.maximum(share, np.maximum(medial, iliotibial))


def _band(
    place: Place, bones: np.ndarray, *, side: int, rows: Range, depth: Range, thickness: float
) -> np.ndarray:
    """A sheet, its course a smooth line beside the bones."""
    middle, reach = sum(depth) / 2, (depth[1] - depth[0]) / 2
    fade = ramp(abs(place.z - middle), reach + 3, reach - 3)
    if fade == 0:
        return np.zeros_like(place.x)
    line = np.maximum(_edge(place, bones, side) + 1.2, np.interp(place.y[:, :1], *_COURSE[side]))
    line = line.astype(np.float32)
    distance = np.abs(side * place.x - line) - thickness / 2
    along = ramp(place.y, rows[0] - 4, rows[0] + 6) * ramp(place.y, rows[1] + 2, rows[1] - 4)
    return fade * along * coverage(distance, place.pixel) * coverage(-bones, place.pixel)


def _edge(place: Place, bones: np.ndarray, side: int) -> np.ndarray:
    """How far the bones reach to one side of each row, (H, 1) mm, taut across the hollows."""
    reach = np.where(bones < 0, side * place.x, -100).max(axis=1)
    rows = max(round(7 / place.pixel), 1)
    taut = gaussian_filter1d(maximum_filter1d(reach, rows), 0.45 * rows)
    return taut[:, None]


# mm beside the midline at least, by height
_COURSE = {
    -1: (np.array([-60, -45, -25, -12, 0, 12, 27]), np.array([22, 26, 31, 36, 37, 37, 36])),
    1: (np.array([-18, -8, 5, 25, 50, 80, 140]), np.array([36, 38, 41, 44, 45, 47, 52])),
}


def extensor_tendons(knee: Knee, place: Place) -> np.ndarray:
    """Quadriceps tendon down to the patella and patellar tendon from it to the tibial tubercle."""
    x, y = knee.patella
    up = np.clip((place.y - y) / 90, 0, 1)
    quadriceps = ellipse(place.x - x, place.z - 47 + 8 * up, 15 - 5 * up, 4.5)
    down = np.clip((y - place.y) / (y + 45), 0, 1)
    patellar = ellipse(place.x - x, place.z - 50 + 22 * down, 13.5 - 1.5 * down, 3.2)
    share = coverage(np.maximum(quadriceps, y + 8 - place.y), place.pixel)
    cut = np.maximum(place.y - y + 8, -46 - place.y)
    return np.maximum(share, coverage(np.maximum(patellar, cut), place.pixel))


def synovial_fluid(knee: Knee, place: Place, femur: np.ndarray, tibia: np.ndarray) -> np.ndarray:
    """Fluid between the cartilages, beside the condyles, and a pouch above the patella."""
    cavity = ellipsoid(place, (0, 1, -1), (knee.plateau_half_width + 1, 9, 27))
    film = femur + tibia - 2 * knee.cartilage - 1.4 - knee.effusion
    recess = ellipsoid(place, (3, 52, 34), (17, 13, 0.4 + 1.7 * knee.effusion))
    recess += 1.2 * np.sin(place.x / 3.1) * np.sin(place.y / 4.3 + place.x / 9)
    return coverage(np.minimum(np.maximum(film, cavity), recess), place.pixel)
