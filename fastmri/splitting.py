"""Which volumes are for validation: the last ones, imported ones by whole subjects where that can be."""

import os
from pathlib import Path

from loguru import logger


def move_to_val(written: list[Path], subjects: list[str], folder: Path, fraction: float) -> list[Path]:
    """Move the last volumes to `folder`, cutting where one subject ends if there is such a place."""
    folder.mkdir(exist_ok=True)
    start = val_start(subjects, fraction)
    if 0 < start < len(written) and subjects[start] in subjects[:start]:
        logger.warning(
            "train and val share a subject, so val says little; import a subject by itself with --split"
        )
    moved = [folder / path.name for path in written[start:]]
    for path, target in zip(written[start:], moved, strict=True):
        os.replace(path, target)
    return written[:start] + moved


def val_start(subjects: list[str], fraction: float) -> int:
    """Index of the first volume of val: the cut between subjects that comes nearest to the fraction."""
    count = len(subjects)
    val = val_count(count, fraction)
    ideal = count - val
    cuts = [i for i in range(1, count) if not set(subjects[:i]) & set(subjects[i:])]
    return min(cuts, key=lambda i: abs(i - ideal)) if cuts and 0 < val < count else ideal


def val_count(volumes: int, fraction: float) -> int:
    """How many volumes are for validation: of two or more each side gets one, unless it is to have none."""
    val = round(volumes * fraction)
    return min(max(val, 1), volumes - 1) if 0 < fraction < 1 and volumes > 1 else val
