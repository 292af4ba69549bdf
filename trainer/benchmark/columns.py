"""Words in columns, for a terminal as for print."""

from collections.abc import Sequence
from typing import NamedTuple

from tabulate import tabulate


class Table(NamedTuple):
    """Words in columns, none of which is empty throughout."""

    heads: list[str]
    lines: list[list[str]]

    @classmethod
    def of(cls, lines: Sequence[Sequence[object]], heads: list[str]) -> "Table":
        used = [k for k in range(len(heads)) if any(str(line[k]) for line in lines)]
        return cls([heads[k] for k in used], [[str(line[k]) for k in used] for line in lines])

    def __str__(self) -> str:
        return tabulate(self.lines, headers=self.heads, disable_numparse=True)
