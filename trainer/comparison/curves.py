"""Curves of runs over steps: training losses, and validation metrics per acceleration."""

import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from trainer.comparison import press
from trainer.comparison.records import Record
from trainer.evaluation.figures import method_title

COLUMNS = 4
NO_LOSSES = ("step", "kind", "lr", "slices_per_second", "gradient_norm", "discriminator_norm")
TERMS = {
    "total": "total loss",
    "ms_ssim": "1 - MS-SSIM",
    "ssim": "1 - SSIM",
    "l1": "L1",
    "complex_l1": "complex L1",
}
TERMS |= {"std": "reward of std", "kl": "KL divergence", "penalty": "discriminator's penalty"}
METRICS = {"psnr": "PSNR [dB]", "ssim": "SSIM"}
VALIDATED = re.compile(r"(psnr|ssim)_x(\d+)_(\w+)")
Dashes = Literal["-", "--", "-.", ":"]
LINES: dict[str, tuple[Dashes, str]] = {
    "zero_filled": (":", ""),
    "baseline": ("--", "s"),
    "mean": ("-.", "^"),
    "sample": ("-", "o"),
    "model": ("-", "o"),
}
SPAN = 20.0  # largest over smallest value, from which a logarithmic axis helps


class Curve(NamedTuple):
    """A quantity of a run over steps."""

    run: int  # its place among the records
    method: str  # "" of a training loss
    steps: list[int]
    values: list[float]


def draw_losses_and_metrics(path: Path, records: list[Record]) -> Path:
    """A small plot per loss term, and per metric and acceleration; runs by colour, methods by line."""
    losses, metrics = loss_curves(records), metric_curves(records)
    accelerations = sorted({acceleration for _, acceleration in metrics})
    columns = max(COLUMNS, len(accelerations))
    loss_rows = -(-len(losses) // columns)
    rows = loss_rows + len(METRICS) * bool(metrics)
    figure = Figure(figsize=(press.WIDTH, 1.65 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, curves) in zip(axes[:loss_rows].flat, losses.items(), strict=False):
        _draw_loss(axis, TERMS.get(name, name.replace("_", " ")), curves)
    for (name, acceleration), curves in metrics.items():
        row, column = loss_rows + list(METRICS).index(name), accelerations.index(acceleration)
        _draw_metric(axes[row, column], f"{METRICS[name]}, x{acceleration}", curves)
    methods = dict.fromkeys(_family(curve.method) for curves in metrics.values() for curve in curves)
    style: dict[str, Any] = {"loc": "outside lower center", "ncols": 4, "frameon": False}
    note = "validated on different volumes: hold each against its own zero-filled image"
    title = note if _different_volumes(metrics) else None
    figure.legend(handles=_handles(records, list(methods)), title=title, title_fontsize=7.5, **style)
    return press.write(figure, path)


def _different_volumes(metrics: dict[tuple[str, int], list[Curve]]) -> bool:
    """Whether the zero-filled images of runs, which training does not change, score differently."""
    zero = [[c.values[0] for c in curves if c.method == "zero_filled"] for curves in metrics.values()]
    return any(max(values) - min(values) > 1e-3 for values in zero if values)


def loss_curves(records: list[Record]) -> dict[str, list[Curve]]:
    """Every logged loss term by its name, the total first."""
    curves: dict[str, list[Curve]] = {"total": []}
    for run, record in enumerate(records):
        lines = [line for line in record.history if line["kind"] == "train"]
        for name in dict.fromkeys(name for line in lines for name in line if name not in NO_LOSSES):
            told = [(line["step"], line[name]) for line in lines if name in line]
            curves.setdefault(name, []).append(Curve(run, "", *map(list, zip(*told, strict=True))))
    return {name: found for name, found in curves.items() if found}


def metric_curves(records: list[Record]) -> dict[tuple[str, int], list[Curve]]:
    """PSNR and SSIM of every method in the validations of training, by metric and acceleration."""
    curves: dict[tuple[str, int], list[Curve]] = {}
    for run, record in enumerate(records):
        lines = [line for line in record.history if line["kind"] == "validate"]
        named = {name: VALIDATED.fullmatch(name) for line in lines for name in line}
        for name, parts in named.items():
            if parts is None:
                continue
            metric, acceleration, method = parts.groups()
            told = [(line["step"], line[name]) for line in lines if name in line]
            curve = Curve(run, method, *map(list, zip(*told, strict=True)))
            curves.setdefault((metric, int(acceleration)), []).append(curve)
    return curves


def smooth(values: list[float]) -> np.ndarray:
    """Running mean over a twentieth of a curve, over what there is of it at the ends."""
    window = np.ones(max(1, len(values) // 20) | 1)
    totals = np.convolve(values, window, mode="same")
    return totals / np.convolve(np.ones(len(values)), window, mode="same")


def _draw_loss(axis: Axes, title: str, curves: list[Curve]) -> None:
    axis.set_axis_on()
    press.tidy(axis)
    for curve in curves:
        color = press.color(curve.run)
        axis.plot(curve.steps, curve.values, color=color, alpha=0.25, linewidth=0.8)
        axis.plot(curve.steps, smooth(curve.values), color=color, linewidth=1.2)
    # a start from nothing or a single spike must not flatten the rest
    shown = [*(smooth(c.values) for c in curves), *(np.quantile(c.values, [0.02, 0.98]) for c in curves)]
    low, high = np.concatenate(shown).min(), np.concatenate(shown).max()
    if min(min(c.values) for c in curves) > 0 and high > SPAN * low:
        axis.set_yscale("log")
        axis.set_ylim(low / 1.3, high * 1.3)
    elif high > low:
        axis.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    _label(axis, title)


def _draw_metric(axis: Axes, title: str, curves: list[Curve]) -> None:
    axis.set_axis_on()
    press.tidy(axis)
    for curve in curves:
        line, marker = LINES[_family(curve.method)]
        axis.plot(
            curve.steps,
            curve.values,
            color=press.color(curve.run),
            linestyle=line,
            marker=marker or "x",
            linewidth=1.2,
            markersize=3.5,
        )
    axis.margins(x=0.08, y=0.1)
    _label(axis, title)


def _label(axis: Axes, title: str) -> None:
    axis.set_title(title, fontsize=8)
    axis.set_xlabel("step", fontsize=7, labelpad=1)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _family(method: str) -> str:
    """Means of any number of samples are drawn alike."""
    return "mean" if method.startswith("mean_") else method


def _handles(records: list[Record], methods: list[str]) -> list[Line2D]:
    runs = [
        Line2D([], [], color=press.color(k), linewidth=2.5, label=record.label)
        for k, record in enumerate(records)
    ]
    titles = {"mean": "mean of samples", "model": "reconstruction"}
    styles: dict[tuple[Dashes, str], list[str]] = {}
    for method in methods:
        line, marker = LINES[method]
        styles.setdefault((line, marker), []).append(titles.get(method, method_title(method)))
    return runs + [
        Line2D(
            [],
            [],
            color=press.GREY,
            linestyle=line,
            marker=marker or "x",
            markersize=3.5,
            label=" / ".join(names),
        )
        for (line, marker), names in styles.items()
    ]
