"""Muscles, vessels, bones and joint painted onto one slice, each only where it can be."""

import math
from collections.abc import Callable

import numpy as np

from fastmri.phantom import bones, joint, soft_tissue
from fastmri.phantom.anatomy import SLICE_THICKNESS, Knee, noise_of
from fastmri.phantom.noise import sample
from fastmri.phantom.shapes import (
    Place,
    Range,
    box,
    capsule,
    coverage,
    crop,
    ramp,
    shell,
    slab_coverage,
    small,
    smooth_max,
    window,
)
from fastmri.phantom.tissues import Tissues

_FAR = 60.0  # mm, the distance told where a bone was not worked out


def paint(image: np.ndarray, share: np.ndarray, signal: np.ndarray | float) -> None:
    """Cover a share of each pixel with a tissue, in place."""
    image += share * (signal - image)


def paint_muscles(image: np.ndarray, knee: Knee, tissues: Tissues, place: Place, skin: np.ndarray) -> None:
    """Bellies under the fascia, parted by thin layers of fat."""
    texture = _fibres(knee, tissues, place)
    fascia = skin + soft_tissue.fat_thickness(knee, place) + 1.0
    for shape in soft_tissue.MUSCLES:
        part = soft_tissue.reach(shape, place)
        near = crop(place, part)
        if small(near):
            continue
        belly = smooth_max(soft_tissue.muscle(knee, near, shape), fascia[part], 4)
        paint(image[part], 0.9 * shell(belly, 0, 1.1, place.pixel), tissues.fat)
        paint(image[part], slab_coverage(belly, place.pixel, SLICE_THICKNESS), texture[part])


def _fibres(knee: Knee, tissues: Tissues, place: Place) -> np.ndarray:
    """Muscle: fascicles along the leg, slightly oblique, with streaks of fat between some of them."""
    slant = place.x + 0.22 * np.abs(place.y) * np.tanh(place.x / 12)
    fascicles = sample(noise_of(knee, "fascicles", (3.0, 34, 6)), slant, place.y, place.z)
    fibres = sample(noise_of(knee, "fibres", (1.2, 11, 3), 0.5), slant, place.y, place.z)
    streaks = sample(noise_of(knee, "streaks", (9, 80, 14)), slant, place.y, place.z)
    texture = tissues.muscle * (1 + 0.09 * fascicles + 0.08 * fibres)
    paint(texture, 0.45 * knee.fatty_streaks * np.exp(-((streaks / 0.10) ** 2)), tissues.fat)
    return texture


def paint_vessels(image: np.ndarray, knee: Knee, tissues: Tissues, place: Place) -> None:
    """Popliteal vessels and nerve with their walls, and the small vessels."""
    if place.z < -18:
        part = window(place, x=(-10, 17))
        artery, vein, nerve = soft_tissue.popliteal_vessels(knee, crop(place, part))
        for distance, signal in ((nerve, tissues.nerve), (vein, tissues.vein), (artery, tissues.artery)):
            paint(image[part], shell(distance, 0, 0.8, place.pixel), tissues.ligament)
            paint(image[part], coverage(distance, place.pixel), signal)
    for vessel in soft_tissue.small_vessels(knee):
        part = soft_tissue.passage(vessel, place)
        paint(image[part], coverage(capsule(crop(place, part), *vessel), place.pixel), tissues.vein * 0.7)


def paint_joint(image: np.ndarray, knee: Knee, tissues: Tissues, place: Place) -> None:
    """Tendons and ligaments outside, what lies between the bones, and the bones."""
    femur = _distance(bones.femur, knee, place, y=(-14, 1e3))
    tibia = _distance(bones.tibia, knee, place, y=(-1e3, 16))
    fibula = _distance(bones.fibula, knee, place, x=(20, 52), y=(-1e3, 2), z=(-34, 0))
    patella = _distance(bones.patella, knee, place, x=(-30, 38), y=(-12, 58), z=(26, 100))
    _paint_ligaments(image, knee, tissues, place, np.minimum(np.minimum(femur, tibia), fibula))
    part = window(place, x=(-54, 54), y=(-24, 70))
    if small(crop(place, part)):  # far in front or behind
        return
    _paint_inside(image[part], knee, tissues, crop(place, part), femur[part], tibia[part], patella[part])
    _paint_bone(image, knee, tissues, place, femur, scar=knee.condyle_height + 13)
    _paint_bone(image, knee, tissues, place, tibia, scar=-20)
    _paint_bone(image, knee, tissues, place, fibula, scar=knee.fibula[1] - 17)
    _paint_bone(image, knee, tissues, place, patella, scar=None)


def _distance(
    bone: Callable[[Knee, Place], np.ndarray],
    knee: Knee,
    place: Place,
    *,
    x: Range = (-1e3, 1e3),
    y: Range = (-1e3, 1e3),
    z: Range = (-1e3, 1e3),
) -> np.ndarray:
    """Distance to a bone, worked out only within the ranges where it can be."""
    distance = np.full_like(place.x, _FAR)
    if z[0] < place.z < z[1]:
        part = window(place, x=x, y=y)
        distance[part] = bone(knee, crop(place, part))
    return distance


def _strands(knee: Knee, place: Place) -> np.ndarray:
    return sample(noise_of(knee, "strands", (2.0, 26, 8)), place.x + 0.3 * place.y, place.y, place.z)


def _paint_ligaments(image: np.ndarray, knee: Knee, tissues: Tissues, place: Place, bone: np.ndarray) -> None:
    strands = tissues.ligament * (1 + 0.2 * _strands(knee, place))
    if place.z > 15:
        paint(image, joint.extensor_tendons(knee, place), strands)
    if -32 < place.z < 26:
        paint(image, joint.collaterals(place, bone), strands)


def _paint_inside(
    image: np.ndarray,
    knee: Knee,
    tissues: Tissues,
    place: Place,
    femur: np.ndarray,
    tibia: np.ndarray,
    patella: np.ndarray,
) -> None:
    """Fluid, cartilage, menisci and cruciates."""
    grey = 1 + 0.07 * sample(noise_of(knee, "mottle", (2.4, 3.2, 5), 0.6), place.x, place.y, place.z)
    paint(image, joint.synovial_fluid(knee, place, femur, tibia), tissues.fluid)
    layers = np.maximum(
        joint.cartilage(knee, place, femur, femoral=True), joint.cartilage(knee, place, tibia, femoral=False)
    )
    # cartilage is darker near the bone
    depth = np.clip(np.minimum(femur, tibia) / knee.cartilage, 0, 1)
    paint(image, layers, tissues.cartilage * grey * (0.84 + 0.26 * depth))
    behind = ramp(place.z, 43.0, 37.0)  # the patella's cartilage faces the femur
    paint(image, behind * shell(patella, 0, knee.cartilage, place.pixel), tissues.cartilage * grey)
    paint(image, joint.menisci(knee, place, femur, tibia), tissues.meniscus * grey)
    strands = _strands(knee, place)
    anterior, posterior = joint.cruciates(place)
    paint(image, posterior, tissues.ligament * (0.9 + 0.1 * strands))
    paint(image, anterior, tissues.ligament * (1.6 + 0.6 * strands))


def _paint_bone(
    image: np.ndarray, knee: Knee, tissues: Tissues, place: Place, bone: np.ndarray, *, scar: float | None
) -> None:
    """Marrow between trabeculae inside a dark cortex, thin at the joint and thick along the shaft."""
    part = box(bone < 1)
    if small(crop(place, part)):
        return
    image, bone = image[part], bone[part]
    x, y, z = place.x[part], place.y[part], place.z
    mottle = sample(noise_of(knee, "marrow", (9, 14, 12), 0.6)._replace(cells=10), x, y, z)
    trabeculae = sample(noise_of(knee, "trabeculae", (1.3, 2.6, 2.5), 0.6), x, y, z)
    # trabeculae thin out along the shaft
    marrow = tissues.marrow * (1 + 0.045 * mottle + 0.08 * trabeculae * np.exp(-((y / 70) ** 2)))
    marrow *= 1 - 0.14 * ramp(mottle, 0.0, 1.6) * ramp(np.abs(y), 22, 45)  # red marrow
    if scar is not None:
        line = y - scar - 1.6 * mottle - 2.5 * np.cos(x / (9 if scar > 0 else 14))
        paint(marrow, knee.scar * np.exp(-((line / 0.8) ** 2)), tissues.bone)
    cortex = knee.cortex * (1 + 3.0 * np.clip((np.abs(y) - 30) / 50, 0, 1) + 0.1 * mottle)
    paint(image, slab_coverage(bone, place.pixel, SLICE_THICKNESS), tissues.bone)
    paint(image, coverage(bone + cortex, math.hypot(place.pixel, 0.4)), marrow)
