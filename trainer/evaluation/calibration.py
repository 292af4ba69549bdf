"""A run's calibration as a file: what it holds, and what it is valid for."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from loguru import logger

from config.schema import Config
from fastmri.atomic import replacing
from trainer.checkpoint import Checkpoint, evaluated
from trainer.data import mask_settings
from trainer.evaluation.trust import Bounds, Calibration, Trust, belief
from trainer.evaluation.undersampling import Sampling

SCHEMA = 1


class Calibrations(NamedTuple):
    """What `calibrate` learnt of a run."""

    level: float
    volumes: dict[str, float]  # maximum by file name: those it was learnt from
    accelerations: dict[int, Calibration]

    def promise(self, fname: str, samples: np.ndarray, sampling: Sampling) -> Bounds | None:
        """The bounds of a file's samples (P, S, h, w); None, if no mask of its kind was calibrated."""
        if sampling.own:
            logger.warning("{}: has a mask of its own, for which the calibration promises nothing", fname)
            return None
        if sampling.acceleration not in self.accelerations:
            known = ", ".join(f"x{acceleration}" for acceleration in self.accelerations)
            text = "{}: no interval and no bound at x{}, which was not calibrated, as were {}"
            logger.warning(text, fname, sampling.acceleration, known)
            return None
        factor, slack = self.accelerations[sampling.acceleration]
        said = belief(samples.mean(0), samples.std(0, ddof=1), len(samples))
        return Bounds(said.psnr - slack, factor, self.level)

    def knows(self, found: Trust) -> bool:
        """Whether a volume helped to calibrate, and so can't tell how well that works."""
        return self.volumes.get(found.fname) == found.max_value


def write_calibration(folder: Path, terms: dict[str, Any], found: Calibrations, data: str) -> Path:
    """Write calibration.json into the run's folder."""
    accelerations = {str(acceleration): each._asdict() for acceleration, each in found.accelerations.items()}
    content = {"schema": SCHEMA, **terms, **found._asdict(), "accelerations": accelerations, "data": data}
    path = folder / "calibration.json"
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")
    return path


def read_calibration(folder: Path, terms: dict[str, Any]) -> Calibrations | None:
    """A run's calibration; None where there is none, or, which is logged, it is of other samples."""
    path = folder / "calibration.json"
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        differing = _differing(content, terms)
        accelerations = {int(r): Calibration(**each) for r, each in content["accelerations"].items()}
        found = Calibrations(float(content["level"]), dict(content["volumes"]), accelerations)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a calibration of this program ({type(error).__name__})") from None
    if differing:
        logger.warning("{} is not used: it is of {}; `calibrate` again", path, "; ".join(differing))
        return None
    return found


def _differing(content: dict[str, Any], terms: dict[str, Any]) -> list[str]:
    """Terms that are others; of center fractions those of accelerations that both have."""
    differing = []
    for name, value in terms.items():
        told = content.get(name, "unknown")  # in files of an older program
        if isinstance(told, dict):
            value = {r: fraction for r, fraction in value.items() if r in told}
            told = {r: told[r] for r in value}
        if told != value:
            differing.append(f"{name} {told}, not {value}")
    return differing


def calibration_terms(found: Checkpoint, config: Config, samples: int) -> dict[str, Any]:
    """What a calibration is valid for alone."""
    masks = mask_settings(config)
    return {
        **evaluated(found, config),
        "weights": weights_sha256(found),
        "samples": samples,
        "masks": masks.kind,
        "center_fractions": {str(acceleration): fraction for acceleration, fraction in masks.pairs},
    }


def weights_sha256(found: Checkpoint) -> str:
    """Identifies the averaged weights and the tables of a texture's bands; its first digits."""
    digest = hashlib.sha256(json.dumps([found.progress.gains, found.progress.means]).encode())
    for name, value in found.state["ema"].items():
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:16]
