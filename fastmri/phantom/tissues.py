"""What each tissue looks like in the two contrasts of fastMRI's knees."""

from typing import NamedTuple

import numpy as np


class Tissues(NamedTuple):
    """Signal of each tissue, relative to fat without suppression."""

    fat: float
    septum: float
    marrow: float
    bone: float  # cortical
    muscle: float
    cartilage: float
    meniscus: float
    ligament: float
    fluid: float
    artery: float
    vein: float
    nerve: float
    skin: float


# turbo spin echo, proton density weighted (TE about 30 ms)
_PROTON_DENSITY = Tissues(
    fat=1.0, septum=0.52, marrow=0.82, bone=0.07, muscle=0.42, cartilage=0.62, meniscus=0.16, ligament=0.17,
    fluid=0.88, artery=0.2, vein=0.62, nerve=0.55, skin=0.42,
)  # fmt: skip
_FAT_SUPPRESSED = Tissues(
    fat=0.20, septum=0.14, marrow=0.18, bone=0.04, muscle=0.44, cartilage=0.70, meniscus=0.13, ligament=0.12,
    fluid=1.0, artery=0.14, vein=0.72, nerve=0.50, skin=0.36,
)  # fmt: skip


def draw_tissues(rng: np.random.Generator, acquisition: str) -> Tissues:
    """Signals of one volume, a few percent around the contrast's own."""
    mean = _FAT_SUPPRESSED if acquisition == "CORPDFS_FBK" else _PROTON_DENSITY
    return Tissues(*(signal * rng.uniform(0.9, 1.1) for signal in mean))
