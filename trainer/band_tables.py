"""Tables of numbers for each acceleration: of bands, in phase and in quadrature, or of places."""

import math
from collections.abc import Iterable

from custom_nn.gains import CLASSES, PARTS, BandTable, PlaceTable
from custom_nn.wavelets import band_count


def constant_table(accelerations: Iterable[int], octaves: int, value: float) -> BandTable:
    """The same everywhere."""
    return {r: [[value, value] for _ in range(band_count(octaves))] for r in accelerations}


def constant_places(accelerations: Iterable[int]) -> PlaceTable:
    """Everywhere alike."""
    return {r: [1.0] * CLASSES for r in accelerations}


def is_whole(table: BandTable, octaves: int) -> bool:
    """Whether it has every band, and what can serve as a factor."""
    pairs = [pair for row in table.values() for pair in row]
    return all(len(row) == band_count(octaves) for row in table.values()) and _are_factors(pairs, len(PARTS))


def has_all_places(table: PlaceTable) -> bool:
    """Whether it has every class, and what can serve as a factor."""
    return _are_factors(list(table.values()), CLASSES)


def _are_factors(rows: list[list[float]], length: int) -> bool:
    return all(len(row) == length and all(0 <= value < math.inf for value in row) for row in rows)


def tables_of_before(content: dict, schema: int) -> dict[str, BandTable | PlaceTable]:
    """Betas, gains and factors of the mean of a checkpoint of an older schema.

    Of 5 gains were of spread and mean alike; of 4 the finest octave was one level; of 3 there were no gains,
    and betas in a row; of 2 there were two.
    """
    betas, octaves = content["betas"], content["config"]["loss"]["octaves"]
    if schema == 2:
        finest = min(3 * octaves, 3)
        parts = [betas["fine"]] * finest + [betas["coarse"]] * (3 * octaves + 1 - finest)
        betas = {r: [[part[r]] * 2 for part in parts] for r in betas["coarse"]}
    elif schema == 3:
        betas = {
            r: [list(pair) for pair in zip(row[::2], row[1::2], strict=True)] for r, row in betas.items()
        }
    betas, gains = (
        _split_finest(table, octaves) if schema <= 4 else table
        for table in (betas, content.get("gains") or {})
    )
    gains = gains or constant_table(betas, octaves, 1.0)
    return {"betas": betas, "gains": gains, "means": gains, "places": constant_places(betas)}


def _split_finest(table: BandTable, octaves: int) -> BandTable:
    """Both levels of the finest octave as its only one was."""
    return {r: [*row[:3], *row] if octaves else row for r, row in table.items()}
