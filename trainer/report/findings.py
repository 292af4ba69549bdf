"""What methods score, as tables of the report: a line per method, a cell per acceleration."""

from typing import Any

import numpy as np

from trainer.comparison.records import Record, Row, Rows, titled_rows
from trainer.evaluation.tables import PERCEPTUAL, measure_words


def result_rows(records: list[Record]) -> Rows:
    """Those with a title, once where several runs have the same under two."""
    found: Rows = {}
    for title, rows in titled_rows(records).items():
        if not any(_same(rows, other) for other in found.values()):
            found[title] = rows
    return dict(sorted(found.items(), key=lambda item: _order(item[1])))


def _same(one: dict[int, Row], other: dict[int, Row]) -> bool:
    """Whether two methods score alike, as a frozen baseline does in the run that holds it."""
    return all(r in other and abs(one[r]["psnr"]["mean"] - other[r]["psnr"]["mean"]) < 1e-3 for r in one)


def _order(rows: dict[int, Row]) -> int:
    """What is not trained first, the control last."""
    method = next(iter(rows.values()))["method"]
    first = {"zero_filled": 0, "low_pass": 1, "tv": 2, "wavelet": 3, "donor": 5}
    return first.get(method, 4)


def measure_table(found: Rows, measures: dict[str, str]) -> dict[str, Any]:
    """A line per method, a cell per acceleration: measures, given as name and format, and their intervals."""
    accelerations = sorted({r for rows in found.values() for r in rows})
    lines = [
        [title, *(_cell(rows[r], measures) if r in rows else None for r in accelerations)]
        for title, rows in found.items()
    ]
    achieved = [next(rows[r] for rows in found.values() if r in rows) for r in accelerations]
    heads = [
        [f"x{r}", f"{row['achieved_acceleration']['mean']:.1f}"]
        for r, row in zip(accelerations, achieved, strict=True)
    ]
    return {"heads": heads, "lines": lines}


def _cell(row: Row, measures: dict[str, str]) -> dict[str, str]:
    values = [_value(row, name, form) for name, form in measures.items()]
    spans = [_span(row[name]["interval"], form) for name, form in measures.items() if name in row]
    return {"value": " / ".join(values), "interval": " / ".join(spans)}


def _value(row: Row, name: str, form: str) -> str:
    return measure_words(row[name], form) if name in row else "-"


def _span(interval: list[float] | None, form: str) -> str:
    return "–".join(f"{bound:{form}}" for bound in interval) if interval else ""


def perceptual_blocks(found: Rows) -> list[Row]:
    """For each acceleration, a line per method with every further measure that was taken."""
    blocks = []
    for r in sorted({r for rows in found.values() for r in rows}):
        chosen = {title: rows[r] for title, rows in found.items() if r in rows}
        names = [name for name in PERCEPTUAL if any(name in row for row in chosen.values())]
        lines = [[title, *(_value(row, n, PERCEPTUAL[n][1]) for n in names)] for title, row in chosen.items()]
        heads = [PERCEPTUAL[name][0] for name in names]
        blocks.append({"acceleration": f"x{r}", "heads": heads, "lines": lines})
    return blocks


def mean_of(found: dict[int, Row], name: str) -> float:
    """A measure's mean over accelerations."""
    return float(np.mean([row[name]["mean"] for row in found.values()]))
