"""Tables of one number for each acceleration and wavelet band, in phase and in quadrature."""

import math
from collections.abc import Iterable

from custom_nn.gains import BandTable
from custom_nn.wavelets import band_count


def constant_table(accelerations: Iterable[int], octaves: int, value: float) -> BandTable:
    """The same everywhere."""
    return {r: [[value, value] for _ in range(band_count(octaves))] for r in accelerations}


def is_whole(table: BandTable, octaves: int) -> bool:
    """Whether it has every band, and what can serve as a factor."""
    pairs = [pair for row in table.values() for pair in row]
    return (
        all(len(row) == band_count(octaves) for row in table.values())
        and all(len(pair) == 2 for pair in pairs)
        and all(0 <= value < math.inf for pair in pairs for value in pair)
    )


def tables_of_before(content: dict, schema: int) -> dict[str, BandTable]:
    """Betas, gains and factors of the mean of a checkpoint of an older schema.

    Before 6 gains were of spread and mean alike; of 4 the finest octave was one level; of 3 there were no
    gains, and betas in a row; of 2 there were two.
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
    gains = content.get("gains") or {}
    if schema <= 4:
        betas, gains = _split_finest(betas, octaves), _split_finest(gains, octaves)
    gains = gains or constant_table(betas, octaves, 1.0)
    return {"betas": betas, "gains": gains, "means": content["means"] if schema == 6 else gains}


def _split_finest(table: BandTable, octaves: int) -> BandTable:
    """Both levels of the finest octave as its only one was."""
    return {r: [*row[:3], *row] if octaves else row for r, row in table.items()}
