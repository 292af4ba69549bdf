"""Tables of one number for each acceleration and wavelet band, in phase and in quadrature."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from config.schema import Config
from custom_nn.gains import BandTable
from custom_nn.wavelets import band_count


def constant_table(accelerations: Iterable[int], octaves: int, value: float) -> BandTable:
    """One value for every acceleration, band and part."""
    return {r: [[value, value] for _ in range(band_count(octaves))] for r in accelerations}


def is_whole(table: BandTable, octaves: int) -> bool:
    """Whether it has every band, and what can serve as a factor."""
    pairs = [pair for row in table.values() for pair in row]
    return (
        all(len(row) == band_count(octaves) for row in table.values())
        and all(len(pair) == 2 for pair in pairs)
        and all(0 <= value < math.inf for pair in pairs for value in pair)
    )


class Tables(NamedTuple):
    """What is tuned of a run, see `checkpoint.Progress`."""

    betas: BandTable
    gains: BandTable
    means: BandTable


def starting_tables(config: Config) -> Tables:
    """The tables of a run that has tuned nothing yet: betas, gains, means."""
    accelerations, octaves = config.masks.accelerations, config.loss.octaves
    return Tables(*(constant_table(accelerations, octaves, value) for value in (config.loss.beta, 1.0, 1.0)))
