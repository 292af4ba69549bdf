"""What an evaluation found, as metrics.json and as CSV."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from config.load import config_sha256
from config.schema import Config
from fastmri.atomic import replacing
from fastmri.frechet import frechet_distance, frechet_distances
from fastmri.posterior import law
from fastmri.spectrum import Texture
from trainer.evaluation.calibration import Calibrations
from trainer.evaluation.conditions import conditions
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.intervals import bootstrap_interval, bootstrap_weights, percentile_interval
from trainer.evaluation.reliability import reliability_rows
from trainer.evaluation.scores import Score, Spread, Tiles, mean_gaps
from trainer.evaluation.trust import Trust, bounds_held, coverage

SCHEMA = 1


def summarize(evaluation: Evaluation, config: Config) -> dict[str, Any]:
    """The content of metrics.json: rows per method, acceleration and acquisition; volumes one by one."""
    scores = evaluation.scores
    summary = {
        "schema": SCHEMA,
        "config_sha256": config_sha256(config),
        **conditions(config),
        "rows": rows(scores),
        "volumes": [_volume(score) for score in scores],
        "spectra": _spectra(scores),
    }
    if evaluation.spreads:
        summary["posterior"] = posterior_rows(evaluation.spreads)
    if evaluation.trusts:
        summary["reliability"] = reliability_rows(evaluation.trusts, config.draws)
    return summary


def trust_rows(trusts: list[Trust], calibrations: Calibrations) -> list[dict[str, Any]]:
    """What calibrated intervals and bounds hold on volumes that did not calibrate them, as `rows`."""
    table = []
    for acceleration, calibration in calibrations.accelerations.items():
        others = [t for t in trusts if t.acceleration == acceleration and not calibrations.knows(t)]
        for acquisition in ["all", *sorted({t.acquisition for t in others})] if others else []:
            chosen = [t for t in others if acquisition in ("all", t.acquisition)]
            held = [bounds_held(t, calibration) for t in chosen]
            covered = [coverage(t, calibration) for t in chosen]
            table.append(
                {
                    "acceleration": acceleration,
                    "acquisition": acquisition,
                    "volumes": len(chosen),
                    "level": calibrations.level,
                    "coverage": {"mean": float(np.mean(covered)), "min": float(np.min(covered))},
                    "width": float(np.mean([2 * calibration.factor * t.std for t in chosen])),
                    "psnr_bound_held": float(np.mean(held)),
                    "psnr_bound": float(np.mean([t.foretold.mean() - calibration.slack for t in chosen])),
                    "psnr": float(np.mean([t.psnr.mean() for t in chosen])),
                }
            )
    return table


def posterior_rows(spreads: list[Spread]) -> list[dict[str, Any]]:
    """Mean PSNR of the means of 1, 2, 4, ... samples, what each gains on one, and the law's, in dB.

    Per acceleration; `gap` and `law` are the largest mean's.
    """
    table = []
    for acceleration, gap in mean_gaps(spreads).items():
        chosen = [spread.psnr for spread in spreads if spread.acceleration == acceleration]
        psnr = {str(count): float(np.mean([found[count] for found in chosen])) for count in chosen[0]}
        gains = {count: value - psnr["1"] for count, value in psnr.items()}
        laws = {count: law(int(count)) for count in psnr}
        table.append(
            {"acceleration": acceleration, "psnr": psnr, "gains": gains, "laws": laws}
            | {"gap": gap, "law": law(max(chosen[0]))}
        )
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
    for name in _measures(scores[0]):
        values = [value for score in scores if (value := _measures(score)[name]) is not None]
        if values:
            row[name] = {
                "mean": float(np.mean(values)),
                "std": float(np.std(values)),
                "interval": bootstrap_interval(values),
            }
    if tiles := [score.tiles for score in scores if score.tiles]:
        row["frechet_wavelet"] = _frechet(tiles)
    return row


def _frechet(tiles: list[Tiles]) -> dict[str, Any]:
    """The distance of all volumes' tiles together, with its bootstrap interval over volumes."""
    estimates, truths = zip(*tiles, strict=True)
    drawn = frechet_distances(estimates, truths, bootstrap_weights(len(tiles)))
    return {
        "distance": frechet_distance(estimates, truths),
        "tiles": sum(each.tiles for each in truths),
        "interval": percentile_interval(drawn) if len(tiles) > 1 else None,
    }


def _measures(score: Score) -> dict[str, float | None]:
    return score.metrics._asdict() | score.perceptual


def _volume(score: Score) -> dict[str, Any]:
    fields = score._asdict()
    for name in ("curve", "metrics", "perceptual", "tiles"):
        del fields[name]
    return fields | _measures(score)


def _spectra(scores: list[Score]) -> list[dict[str, Any]]:
    """Texture by ring of spatial frequency: means over volumes, per acceleration and method."""
    groups: dict[tuple[int, str], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.acceleration, score.method), []).append(score)
    return [
        {"method": method, "acceleration": acceleration}
        | {
            name: np.mean(
                [[getattr(ring, name) for ring in score.curve] for score in chosen], axis=0
            ).tolist()
            for name in Texture._fields
        }
        for (acceleration, method), chosen in groups.items()
    ]


def write_summary(summary: dict[str, Any], folder: Path) -> None:
    """Write metrics.json and, with the volumes one by one, metrics.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "metrics.json") as partial:
        partial.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
    with replacing(folder / "metrics.csv") as partial, open(partial, "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(summary["volumes"][0]))
        writer.writeheader()
        writer.writerows(summary["volumes"])
