"""One slice of a knee: tissues laid over each other, from the fat to the skin."""

import math

import numpy as np

from fastmri.phantom import bones, joint, soft_tissue
from fastmri.phantom.anatomy import SLICE_THICKNESS, Knee, noise_of, place_in_knee, warp
from fastmri.phantom.noise import sample
from fastmri.phantom.shapes import Place, coverage, ramp, shell, slab_coverage, smooth_max
from fastmri.phantom.tissues import Tissues


def slice_of(
    knee: Knee, tissues: Tissues, x: np.ndarray, y: np.ndarray, z: float, *, pixel: float
) -> np.ndarray:
    """Signal (H, W) float32 at x (1, W), y (H, 1) and z, all in mm; `pixel` is their spacing."""
    place = place_in_knee(knee, x.astype(np.float32), y.astype(np.float32), z, pixel)
    soft = warp(knee, place, "soft", 2.2, 80)
    firm = warp(knee, place, "firm", 0.8, 38)
    skin = soft_tissue.outline(knee, soft)
    image = _fat(knee, tissues, soft, skin)
    _paint_muscles(image, knee, tissues, soft, skin)
    _paint_vessels(image, knee, tissues, soft)
    _paint_joint(image, knee, tissues, firm)
    inside = slab_coverage(skin, place.pixel, SLICE_THICKNESS)
    _paint(image, shell(skin, -1.7, 1.0, place.pixel), tissues.skin)
    return np.maximum(image, 0) * inside


def _paint(image: np.ndarray, share: np.ndarray, signal: np.ndarray | float) -> None:
    image += share * (signal - image)


def _fat(knee: Knee, tissues: Tissues, place: Place, skin: np.ndarray) -> np.ndarray:
    """Fat with lobules: septa run where noise changes its sign."""
    x, y, z = place.x, place.y, place.z
    coarse = sample(noise_of(knee, "lobules", (17, 26, 18)), x, y, z)
    fine = sample(noise_of(knee, "small lobules", (7, 9, 9)), x, y, z)
    shade = sample(noise_of(knee, "fat", (2.2, 2.2, 4), 0.6), x, y, z)
    # septa are clear in some places, hardly seen in others, and rare under the fascia
    depth = skin + soft_tissue.fat_thickness(knee, place)
    clear = np.clip(0.55 + 0.35 * sample(noise_of(knee, "septa", (30, 30, 30)), x, y, z), 0.1, 1)
    septa = clear * (0.4 + 0.6 * coverage(-depth, 6.0))
    septa *= 0.9 * np.exp(-((coarse / 0.07) ** 2)) + 0.55 * np.exp(-((fine / 0.10) ** 2))
    image = tissues.fat * (1 + 0.035 * coarse + 0.035 * shade)
    _paint(image, np.minimum(septa, 0.85), tissues.septum)
    _paint(image, (0.3 + 0.5 * clear) * shell(depth, -0.4, 0.35, place.pixel), tissues.ligament)
    return image


def _paint_muscles(image: np.ndarray, knee: Knee, tissues: Tissues, place: Place, skin: np.ndarray) -> None:
    texture = _fibres(knee, tissues, place)
    fascia = skin + soft_tissue.fat_thickness(knee, place) + 1.0
    for shape in soft_tissue.MUSCLES:
        belly = smooth_max(soft_tissue.muscle(knee, place, shape), fascia, 4)
        if belly.min() < 2:
            # fat parts neighbouring muscles
            _paint(image, 0.9 * shell(belly, 0, 1.1, place.pixel), tissues.fat)
            _paint(image, slab_coverage(belly, place.pixel, SLICE_THICKNESS), texture)


def _fibres(knee: Knee, tissues: Tissues, place: Place) -> np.ndarray:
    """Muscle: fascicles along the leg, slightly oblique, with streaks of fat between some of them."""
    slant = place.x + 0.22 * np.abs(place.y) * np.tanh(place.x / 12)
    fascicles = sample(noise_of(knee, "fascicles", (3.0, 34, 6)), slant, place.y, place.z)
    fibres = sample(noise_of(knee, "fibres", (1.2, 11, 3), 0.5), slant, place.y, place.z)
    streaks = sample(noise_of(knee, "streaks", (9, 80, 14)), slant, place.y, place.z)
    texture = tissues.muscle * (1 + 0.09 * fascicles + 0.08 * fibres)
    _paint(texture, 0.45 * knee.fatty_streaks * np.exp(-((streaks / 0.10) ** 2)), tissues.fat)
    return texture


def _paint_vessels(image: np.ndarray, knee: Knee, tissues: Tissues, place: Place) -> None:
    artery, vein, nerve = soft_tissue.popliteal_vessels(knee, place)
    for distance, signal in ((nerve, tissues.nerve), (vein, tissues.vein), (artery, tissues.artery)):
        if distance.min() < 2:
            _paint(image, shell(distance, 0, 0.8, place.pixel), tissues.ligament)
            _paint(image, coverage(distance, place.pixel), signal)
    _paint(image, coverage(soft_tissue.small_vessels(knee, place), place.pixel), tissues.vein * 0.7)


def _paint_joint(image: np.ndarray, knee: Knee, tissues: Tissues, place: Place) -> None:
    femur, tibia = bones.femur(knee, place), bones.tibia(knee, place)
    fibula, patella = bones.fibula(knee, place), bones.patella(knee, place)
    mottle = sample(noise_of(knee, "mottle", (2.4, 3.2, 5), 0.6), place.x, place.y, place.z)
    strands = sample(noise_of(knee, "strands", (2.0, 26, 8)), place.x + 0.3 * place.y, place.y, place.z)
    grey = 1 + 0.07 * mottle

    bone = np.minimum(np.minimum(femur, tibia), fibula)
    _paint(image, joint.extensor_tendons(knee, place), tissues.ligament * (1 + 0.2 * strands))
    _paint(image, joint.collaterals(knee, place, bone), tissues.ligament * (1 + 0.2 * strands))
    _paint(image, joint.synovial_fluid(knee, place, femur, tibia), tissues.fluid)
    layers = np.maximum(
        joint.cartilage(knee, place, femur, femoral=True), joint.cartilage(knee, place, tibia, femoral=False)
    )
    # cartilage is darker near the bone
    depth = np.clip(np.minimum(femur, tibia) / knee.cartilage, 0, 1)
    _paint(image, layers, tissues.cartilage * grey * (0.84 + 0.26 * depth))
    behind = ramp(place.z, 43.0, 37.0)  # the patella's cartilage faces the femur
    _paint(image, behind * shell(patella, 0, knee.cartilage, place.pixel), tissues.cartilage * grey)
    _paint(image, joint.menisci(knee, place, femur, tibia), tissues.meniscus * grey)
    anterior, posterior = joint.cruciates(place)
    _paint(image, posterior, tissues.ligament * (0.9 + 0.1 * strands))
    _paint(image, anterior, tissues.ligament * (1.6 + 0.6 * strands))
    _paint_bone(image, knee, tissues, place, femur, scar=knee.condyle_height + 13)
    _paint_bone(image, knee, tissues, place, tibia, scar=-20)
    _paint_bone(image, knee, tissues, place, fibula, scar=knee.fibula[1] - 17)
    _paint_bone(image, knee, tissues, place, patella, scar=None)


def _paint_bone(
    image: np.ndarray, knee: Knee, tissues: Tissues, place: Place, bone: np.ndarray, *, scar: float | None
) -> None:
    """Marrow between trabeculae inside a dark cortex, thin at the joint and thick along the shaft."""
    if bone.min() > 1:
        return
    x, y, z = place.x, place.y, place.z
    mottle = sample(noise_of(knee, "marrow", (9, 14, 12), 0.6)._replace(cells=10), x, y, z)
    trabeculae = sample(noise_of(knee, "trabeculae", (1.3, 2.6, 2.5), 0.6), x, y, z)
    # trabeculae thin out along the shaft
    marrow = tissues.marrow * (1 + 0.045 * mottle + 0.08 * trabeculae * np.exp(-((y / 70) ** 2)))
    marrow *= 1 - 0.14 * ramp(mottle, 0.0, 1.6) * ramp(np.abs(y), 22, 45)  # red marrow
    if scar is not None:
        line = y - scar - 1.6 * mottle - 2.5 * np.cos(x / (9 if scar > 0 else 14))
        _paint(marrow, knee.scar * np.exp(-((line / 0.8) ** 2)), tissues.bone)
    cortex = knee.cortex * (1 + 3.0 * np.clip((np.abs(y) - 30) / 50, 0, 1) + 0.1 * mottle)
    _paint(image, slab_coverage(bone, place.pixel, SLICE_THICKNESS), tissues.bone)
    _paint(image, coverage(bone + cortex, math.hypot(place.pixel, 0.4)), marrow)
