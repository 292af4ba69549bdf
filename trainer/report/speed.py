"""The report's section on speed and scale, all of which comes from what `benchmark` wrote."""

import json
from pathlib import Path
from typing import Any

from trainer.benchmark.benchmark_tables import (
    breakdown_table,
    breakdown_words,
    data_table,
    rate_lines,
    step_table,
)
from trainer.benchmark.columns import Table
from trainer.benchmark.scaling_tables import (
    UNFIT,
    Row,
    assumption_table,
    case_table,
    device_words,
    epoch_table,
    exchange_table,
    many_table,
    ratio_table,
)
from trainer.report.origins import where

ALONE = ("breakdown", "scaling")  # parts of one row, which is no line of a table
NEEDED = {
    "batch_size",
    "command",
    "device",
    "files",
    "floor_leaves_out",
    "machine",
    "model",
    "rates",
    "rows",
    "time",
}


def speed_contents(paths: list[Path]) -> list[dict[str, Any]]:
    """Words and tables of each benchmark. Raises ValueError for a file that is none."""
    return [{"name": f"B{k + 1}", **_read(path)} for k, path in enumerate(paths)]


def _read(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not what `benchmark` writes ({type(error).__name__})") from None
    if not isinstance(report, dict) or not report.keys() >= NEEDED:
        raise ValueError(f"{path}: not what `benchmark` writes, which has {', '.join(sorted(NEEDED))}")
    return benchmark_contents(report)


def benchmark_contents(report: dict[str, Any]) -> dict[str, Any]:
    """Where a benchmark is from, what its machine does at best, and a table of every part that it has."""
    rows, words = report["rows"], {}
    steps = rows.get("train", []) + rows.get("inference", [])
    tables = {"data": data_table(rows.get("data", [])), "steps": step_table(steps)}
    for row in _succeeded(rows, "breakdown"):
        tables["breakdown"] = breakdown_table(row)
        words["breakdown"] = "; ".join(breakdown_words(row))
    for row in _succeeded(rows, "scaling"):
        tables |= scaling_tables(row)
        words |= scaling_words(row)
    return {
        "model": report["model"],
        "command": report["command"],
        "where": f"{where(report)}, {report['time']}",
        "machine": report["machine"],
        "batch_size": str(report["batch_size"]),
        "rates": rate_lines(report),
        "failed": [
            f"{part}: {row['failed']}" for part in ALONE for row in rows.get(part, []) if "failed" in row
        ],
        "words": words,
        "floor_leaves_out": report["floor_leaves_out"],
        "tables": {name: found._asdict() for name, found in tables.items() if found.lines},
    }


def _succeeded(rows: dict[str, list[Row]], part: str) -> list[Row]:
    return [row for row in rows.get(part, []) if "failed" not in row]


def scaling_tables(row: Row) -> dict[str, Table]:
    """What two processes do, and many would."""
    found = row["beyond"]
    return {
        "cases": case_table(row),
        "ratios": ratio_table(row),
        "exchange": exchange_table(row),
        "many": many_table(found),
        "epochs": epoch_table(found),
        "assumptions": assumption_table(found),
    }


def scaling_words(row: Row) -> dict[str, Any]:
    """What is said beside these tables."""
    return {
        "slices": f"{row['slices']:g}",
        "alone": row["alone"],
        "device": device_words(row),
        "unfit": UNFIT,
        "leaves_out": row["beyond"]["leaves_out"],
    }
