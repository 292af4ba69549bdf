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


def tables_of_before(betas: dict, octaves: int, schema: int) -> dict[str, BandTable]:
    """Betas and gains of checkpoints of schema 3, which had a row of betas, or 2, which had two of them."""
    if schema == 3:
        table = {
            r: [list(pair) for pair in zip(row[::2], row[1::2], strict=True)] for r, row in betas.items()
        }
    else:
        finest = min(3 * octaves, 3)
        parts = [betas["fine"]] * finest + [betas["coarse"]] * (band_count(octaves) - finest)
        table = {r: [[part[r]] * 2 for part in parts] for r in betas["coarse"]}
    return {"betas": table, "gains": constant_table(table, octaves, 1.0)}
