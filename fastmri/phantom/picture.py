"""One slice of a knee: tissues laid over each other, from the fat to the skin."""

import numpy as np

from fastmri.phantom import soft_tissue
from fastmri.phantom.anatomy import SLICE_THICKNESS, Knee, noise_of, place_in_knee, warp
from fastmri.phantom.noise import sample
from fastmri.phantom.painting import paint, paint_joint, paint_muscles, paint_vessels
from fastmri.phantom.shapes import Place, box, coverage, crop, shell, slab_coverage, small
from fastmri.phantom.tissues import Tissues


def slice_of(
    knee: Knee, tissues: Tissues, x: np.ndarray, y: np.ndarray, z: float, *, pixel: float
) -> np.ndarray:
    """Signal (H, W) float32 at x (1, W), y (H, 1) and z, all in mm; `pixel` is their spacing."""
    whole = place_in_knee(knee, x.astype(np.float32), y.astype(np.float32), z, pixel)
    bent = warp(knee, whole, "soft", 2.2, 80)
    outline = soft_tissue.outline(knee, bent)
    leg = box(outline < 3)  # the rest is air
    image = np.zeros_like(outline)
    if small(crop(whole, leg)):  # the slice passes the leg
        return image
    place, soft, skin = crop(whole, leg), crop(bent, leg), outline[leg]
    tissue = _fat(knee, tissues, soft, skin)
    paint_muscles(tissue, knee, tissues, soft, skin)
    paint_vessels(tissue, knee, tissues, soft)
    paint_joint(tissue, knee, tissues, warp(knee, place, "firm", 0.8, 38))
    paint(tissue, shell(skin, -1.7, 1.0, place.pixel), tissues.skin)
    image[leg] = np.maximum(tissue, 0) * slab_coverage(skin, place.pixel, SLICE_THICKNESS)
    return image


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
    paint(image, np.minimum(septa, 0.85), tissues.septum)
    paint(image, (0.3 + 0.5 * clear) * shell(depth, -0.4, 0.35, place.pixel), tissues.ligament)
    return image
