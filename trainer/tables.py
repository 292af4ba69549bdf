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
from fastmri.posterior import law
from trainer.evaluate import Evaluation, Score, Spread, mean_gaps

SCHEMA = 1


def summarize(evaluation: Evaluation, config: Config, data: Path) -> dict[str, Any]:
    """The content of metrics.json: rows per method, acceleration and acquisition; volumes one by one."""
    scores = evaluation.scores
    summary = {
        "schema": SCHEMA,
        "data": str(data),
        "config_sha256": config_sha256(config),
        "masks": plain_config(config)["masks"],
        "rows": rows(scores),
        "volumes": [_volume(score) for score in scores],
    }
    return summary | ({"posterior": posterior_rows(evaluation.spreads)} if evaluation.spreads else {})


def posterior_rows(spreads: list[Spread]) -> list[dict[str, Any]]:
    """Mean PSNR of the means of 1, 2, 4, ... samples, and their gap beside the law's, per acceleration."""
    table = []
    for acceleration, gap in mean_gaps(spreads).items():
        chosen = [spread.psnr for spread in spreads if spread.acceleration == acceleration]
        psnr = {str(count): float(np.mean([found[count] for found in chosen])) for count in chosen[0]}
        table.append({"acceleration": acceleration, "psnr": psnr, "gap": gap, "law": law(max(chosen[0]))})
    return table


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
        lines.append([*head, row["method"], *(_cell(name, row[name]) for name in COLUMNS)])
        last = group
    titles = [title for title, _ in COLUMNS.values()]
    headers = ["", "achieved", "acquisition", "volumes", "method", *titles]
    return tabulate(lines, headers=headers, disable_numparse=True)


COLUMNS = {
    "psnr": ("PSNR [dB]", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "nmse": ("NMSE", ".4f"),
    "power_ratio": ("power", ".2f"),
    "correlation": ("correlation", ".2f"),
    "dc_residual": ("misfit", ".0e"),
}
SPREAD = ("psnr", "ssim", "nmse")  # the others are shown without their standard deviation


def format_posterior(table: list[dict[str, Any]]) -> str:
    """How much the mean of P samples gains on one, beside what a posterior's samples would, in dB."""
    counts = list(table[0]["psnr"])
    lines = [
        [
            f"x{row['acceleration']}",
            *(f"{row['psnr'][c]:.2f}" for c in counts),
            f"{row['gap']:.2f}",
            f"{row['law']:.2f}",
        ]
        for row in table
    ]
    headers = ["", *(f"PSNR of {c} [dB]" if c != "1" else "PSNR of 1 sample" for c in counts), "gain", "law"]
    return tabulate(lines, headers=headers, disable_numparse=True)


def _cell(name: str, value: dict[str, float]) -> str:
    form = COLUMNS[name][1]
    spread = f" ± {value['std']:{form}}" if name in SPREAD else ""
    return f"{value['mean']:{form}}{spread}"
