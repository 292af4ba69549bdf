"""calibration.png: how much of the truth intervals hold, against how much they are stated to hold."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.comparison import press
from trainer.comparison.records import Record


class Point(NamedTuple):
    """A calibrated interval on volumes that did not calibrate it."""

    level: float
    mean: float  # of volumes
    least: float


class Reliability(NamedTuple):
    """A run at an acceleration: part of the truth held at each stated level, over volumes."""

    title: str
    acceleration: int
    samples: int
    volumes: int
    level: np.ndarray
    mean: np.ndarray
    least: np.ndarray
    most: np.ndarray
    exact: np.ndarray  # of so many samples of the truth's own law
    calibrated: Point | None


def read_reliability(records: list[Record]) -> list[Reliability]:
    """What the runs' metrics.json tells, over all acquisitions; nothing of runs that tell nothing."""
    found = []
    for record in records:
        summary = record.summary or {}
        points = {row["acceleration"]: _point(row) for row in _rows(summary, "trust")}
        for row in _rows(summary, "reliability"):
            r, over = row["acceleration"], row["coverage"]
            found.append(
                Reliability(
                    record.label,
                    r,
                    row["samples"],
                    row["volumes"],
                    level=np.array(row["level"]),
                    mean=np.array(over["mean"]),
                    least=np.array(over["min"]),
                    most=np.array(over["max"]),
                    exact=np.array(row["exact"]),
                    calibrated=points.get(r),
                )
            )
    return found


def _rows(summary: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [row for row in summary.get(key, []) if row["acquisition"] == "all"]


def _point(row: dict[str, Any]) -> Point:
    return Point(row["level"], row["coverage"]["mean"], row["coverage"]["min"])


def draw_reliability(path: Path, found: list[Reliability]) -> Path:
    """Measured over stated coverage, a panel per acceleration."""
    return press.write(reliability_figure(found), path)


def reliability_figure(found: list[Reliability]) -> Figure:
    """A line per run with a band over its volumes, below the diagonal where its samples are too sure."""
    accelerations = sorted({each.acceleration for each in found})
    titles = list(dict.fromkeys(each.title for each in found))
    columns = min(len(accelerations), 4)
    rows = -(-len(accelerations) // columns)
    figure = Figure(figsize=(press.WIDTH, 1.95 * rows + 0.75), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(accelerations) :]:
        axis.set_axis_off()
    for axis, acceleration in zip(axes.flat, accelerations, strict=False):
        alike = [each for each in found if each.acceleration == acceleration]
        _draw_references(axis, alike)
        for each in alike:
            _draw(axis, each, titles.index(each.title))
        axis.set_title(f"x{acceleration}", fontsize=8)
    figure.supxlabel("stated part of the truth in the interval", fontsize=8)
    figure.supylabel("measured part", fontsize=8)
    press.legend(figure, "outside upper center")
    return figure


def _draw_references(axis: Axes, found: list[Reliability]) -> None:
    """The diagonal, and what exact samples would hold, of which a few are always a little too sure."""
    press.tidy(axis)
    axis.plot([0, 1], [0, 1], color=press.GREY, linewidth=0.8, label="as stated")
    for k, (samples, each) in enumerate({each.samples: each for each in found}.items()):
        name, line = f"{samples} exact samples", (0, (1, 1.5 + 2.5 * k))  # the next one has wider gaps
        axis.plot(each.level, each.exact, color=press.GREY, linewidth=0.9, linestyle=line, label=name)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=ticks, yticks=ticks)
    axis.set(xticklabels=(names := ["0", "", "0.5", "", "1"]), yticklabels=names)


def _draw(axis: Axes, found: Reliability, k: int) -> None:
    """A line and a band; where the run is calibrated, a point with a whisker down to the least volume."""
    color, marker = press.color(k), press.MARKERS[k % len(press.MARKERS)]
    band = f" (band: {found.volumes} volumes)" * (found.volumes > 1)
    axis.fill_between(found.level, found.least, found.most, color=color, alpha=0.2, linewidth=0)
    axis.plot(found.level, found.mean, color=color, linewidth=1.3, label=f"{found.title}{band}")
    if found.calibrated is None:
        return
    level, mean, least = found.calibrated
    axis.errorbar(
        [level],
        [mean],
        yerr=[[mean - least], [0.0]],
        marker=marker,
        linestyle="",
        elinewidth=1,
        capsize=4,
        clip_on=False,
        label=f"{found.title}, calibrated to {level:.0%}",
        color=color,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.6,
    )
