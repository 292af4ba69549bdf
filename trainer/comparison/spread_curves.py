"""spread.png: how training tuned how much samples differ, by wavelet band and acceleration."""

from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from config.schema import Config
from custom_nn.wavelets import band_count
from fastmri.posterior import law
from trainer.comparison import press
from trainer.comparison.records import Record
from trainer.gaps import PARTS, band_figure, drawn_samples

LINES = dict(zip(PARTS, ("-", ":"), strict=True))


class Tuning(NamedTuple):
    """How a run tuned the spread of its samples at an acceleration."""

    title: str
    acceleration: int
    steps: list[int]
    betas: dict[tuple[int, str], list[float]]  # by band, from fine to coarse, and part
    gaps: list[float]  # of the image in dB, before gains
    settled: tuple[int, float] | None  # step, and the gap once gains were settled last
    law: float  # dB


def read_tuning(records: list[Record]) -> list[Tuning]:
    """What the runs' metrics.jsonl tell; nothing of runs that tuned nothing."""
    found = []
    for record in records:
        lines = [line for line in record.history if line["kind"] == "tune"]
        settled = [line for line in record.history if line["kind"] == "settle"]
        for r in record.config.masks.accelerations if lines else []:
            gap, last = f"gap_x{r}_image", settled[-1] if settled else None
            found.append(
                Tuning(
                    record.label,
                    r,
                    [line["step"] for line in lines],
                    _betas(lines, record.config, r),
                    [line[gap] for line in lines],
                    None if last is None else (last["step"], last[gap]),
                    law(drawn_samples(record.config)),
                )
            )
    return found


def _betas(
    lines: list[dict[str, Any]], config: Config, acceleration: int
) -> dict[tuple[int, str], list[float]]:
    return {
        (band, part): [line[band_figure("beta", acceleration, band, part)] for line in lines]
        for band, part in product(range(band_count(config.loss.octaves)), PARTS)
    }


def draw_tuning(path: Path, found: list[Tuning]) -> Path:
    """Weights of the reward over steps, and below them what the mean of samples gains on one."""
    return press.write(tuning_figure(found), path)


def tuning_figure(found: list[Tuning]) -> Figure:
    """Two rows a run, of betas by band and of the gap, a column for each acceleration."""
    titles = list(dict.fromkeys(each.title for each in found))
    accelerations = sorted({each.acceleration for each in found})
    figure = Figure(figsize=(press.WIDTH, 3.2 * len(titles) + 0.6), layout="constrained")
    axes = figure.subplots(2 * len(titles), len(accelerations), sharex="row", sharey="row", squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for each in found:
        row, column = 2 * titles.index(each.title), accelerations.index(each.acceleration)
        _draw_betas(axes[row, column], each)
        _draw_gap(axes[row + 1, column], each)
        if column == 0:
            axes[row, 0].set_ylabel(f"{each.title}\nbeta" if len(titles) > 1 else "beta", fontsize=8)
            axes[row + 1, 0].set_ylabel("gain of the mean [dB]", fontsize=8)
    press.legend(figure, "outside lower center")
    return figure


def _draw_betas(axis: Axes, found: Tuning) -> None:
    axis.set_axis_on()
    press.tidy(axis)
    bands = 1 + max(band for band, _ in found.betas)
    for (band, part), values in found.betas.items():
        color = colormaps["viridis"](band / bands)
        where = "finest band" if band == 0 else "coarsest" if band == bands - 1 else ""
        label = f"{where}, {part.replace('_', ' ')}" if where else f"_{band}"  # of which no legend tells
        axis.plot(found.steps, values, LINES[part], color=color, linewidth=1, label=label)
    axis.set_title(f"x{found.acceleration}", fontsize=8)


def _draw_gap(axis: Axes, found: Tuning) -> None:
    axis.set_axis_on()
    press.tidy(axis)
    axis.axhline(found.law, color=press.GREY, linewidth=0.9, label="a posterior's")
    axis.plot(
        found.steps, found.gaps, color=press.color(0), linewidth=1.2, label="the network's, averaged weights"
    )
    if found.settled is not None:
        axis.plot(*found.settled, "o", color=press.color(1), markersize=4, label="once gains are settled")
    axis.set_xlabel("step", fontsize=7, labelpad=1)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.set_ylim(bottom=0, top=1.15 * max(found.law, *found.gaps))
