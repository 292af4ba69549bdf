"""What an evaluation found, as metrics.json, as CSV and as a table to read."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from config.load import config_sha256, plain_config
from config.schema import Config
from fastmri.atomic import replacing
from trainer.evaluate import Score

SCHEMA = 1


def summarize(scores: list[Score], config: Config, data: Path) -> dict[str, Any]:
    """The content of metrics.json: rows per method, acceleration and acquisition; volumes one by one."""
    return {
        "schema": SCHEMA,
        "data": str(data),
        "config_sha256": config_sha256(config),
        "masks": plain_config(config)["masks"],
        "rows": rows(scores),
        "volumes": [_volume(score) for score in scores],
    }


def rows(scores: list[Score]) -> list[dict[str, Any]]:
    """Mean and standard deviation over volumes, first of all acquisitions, then of each."""
    acquisitions = ["all", *sorted({score.acquisition for score in scores})]
    methods = list(dict.fromkeys(score.method for score in scores))
    accelerations = list(dict.fromkeys(score.acceleration for score in scores))
    table = []
    for acceleration in accelerations:
        for acquisition in acquisitions:
            for method in methods:
                chosen = [
                    s
                    for s in scores
                    if (s.method, s.acceleration) == (method, acceleration)
                    and acquisition in ("all", s.acquisition)
                ]
                table.append(_row(method, acceleration, acquisition, chosen))
    return table


def _row(method: str, acceleration: int, acquisition: str, scores: list[Score]) -> dict[str, Any]:
    achieved = [score.achieved_acceleration for score in scores]
    row = {
        "method": method,
        "acceleration": acceleration,
        "acquisition": acquisition,
        "volumes": len(scores),
        "achieved_acceleration": {
            "mean": float(np.mean(achieved)),
            "min": float(np.min(achieved)),
            "max": float(np.max(achieved)),
        },
    }
    for name in scores[0].metrics._fields:
        values = [getattr(score.metrics, name) for score in scores]
        row[name] = {"mean": float(np.mean(values)), "std": float(np.std(values))}
    return row


def _volume(score: Score) -> dict[str, Any]:
    fields = score._asdict()
    return fields | fields.pop("metrics")._asdict()


def write_summary(summary: dict[str, Any], folder: Path) -> None:
    """Write metrics.json and, with the volumes one by one, metrics.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "metrics.json") as partial:
        partial.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
    with replacing(folder / "metrics.csv") as partial, open(partial, "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(summary["volumes"][0]))
        writer.writeheader()
        writer.writerows(summary["volumes"])


def format_rows(table: list[dict[str, Any]]) -> str:
    """The rows as an aligned table; a single acquisition is not shown apart from all."""
    if len({row["acquisition"] for row in table}) == 2:
        table = [row for row in table if row["acquisition"] == "all"]
    lines, last = [], None
    for row in table:
        group = (row["acceleration"], row["acquisition"])
        achieved = row["achieved_acceleration"]
        head = [
            f"x{row['acceleration']}",
            f"{achieved['mean']:.1f} ({achieved['min']:.1f}-{achieved['max']:.1f})",
            row["acquisition"],
            row["volumes"],
        ]
        if group == last:
            head = [""] * len(head)
        lines.append([*head, row["method"], *(_spread(row[name], digits) for name, digits in COLUMNS)])
        last = group
    headers = ["", "achieved", "acquisition", "volumes", "method", "PSNR [dB]", "SSIM", "NMSE"]
    return tabulate(lines, headers=headers, disable_numparse=True)


COLUMNS = (("psnr", 2), ("ssim", 3), ("nmse", 4))


def _spread(value: dict[str, float], digits: int) -> str:
    return f"{value['mean']:.{digits}f} ± {value['std']:.{digits}f}"
