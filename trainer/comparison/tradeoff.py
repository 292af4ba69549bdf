"""Distortion against perception (Blau & Michaeli, arXiv 1711.06077): what texture costs in PSNR.

Perception is here the power above half the band on unmeasured k-space, over the truth's: 1 is the truth's.
"""

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from config.load import changed
from config.schema import Config
from custom_nn.generative import Generative
from custom_nn.model import Noise, Reconstruction
from fastmri.volumes import Volume
from trainer.comparison import press
from trainer.comparison.records import Record, volume_scores
from trainer.distributed import Process
from trainer.evaluation.evaluate import evaluate
from trainer.log import progress_bar

AMPLITUDES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Point(NamedTuple):
    """Means over volumes."""

    title: str
    acceleration: int
    power_ratio: float
    psnr: float  # dB
    amplitude: float | None = None  # of a generative run's sample, as the knob was turned


Item = TypeVar("Item")


def spread_out(volumes: Sequence[Item], count: int) -> list[Item]:
    """`count` volumes at even distances in the list, the first among them; all if there are no more."""
    places = np.linspace(0, len(volumes), min(count, len(volumes)), endpoint=False)
    return [volumes[int(place)] for place in places]


def measure(records: list[Record], volumes: list[Volume], device: torch.device) -> list[Point]:
    """Points of all runs on the same volumes and masks; generative ones at every amplitude.

    Means of several samples are there if `validate` scored them on all of these volumes.
    """
    masks = records[0].config.masks
    turns = [(record, *turn) for record in records for turn in _turns(record)]
    points: list[Point] = []
    for record, model, amplitude in progress_bar(turns, desc="distortion and perception", unit="evaluation"):
        config = changed(record.config, masks=masks)
        points += _points(record, model, amplitude, volumes, config, device)
    points += [point for record in records for point in stored_means(record, volumes)]
    return list({(p.title, p.acceleration, p.amplitude): p for p in points}.values())


def _turns(record: Record) -> list[tuple[nn.Module, float | None]]:
    """A generative model at every amplitude above 0, another as it is."""
    if record.model.name != "generative":
        return [(record.model, None)]
    drawn = _Drawn(record.model)
    return [(_Turned(drawn, amplitude), amplitude) for amplitude in AMPLITUDES[1:]]


class _Drawn:
    """What a model draws of some data, once: the one sample of each slice, and its baseline, on the CPU."""

    def __init__(self, model: Generative):
        self.model = copy.copy(model)
        self.model.amplitude = 1.0
        self.kept: dict[bytes, tuple[Tensor, Tensor]] = {}

    def __call__(
        self, masked_kspace: Tensor, mask: Tensor, noise: Noise, scale: Tensor | None
    ) -> list[Tensor]:
        key = hashlib.sha256(masked_kspace.cpu().numpy().tobytes()).digest()
        if key not in self.kept:
            found = self.model(masked_kspace, mask, noise, scale)
            assert found.baseline is not None
            self.kept[key] = found.image.cpu(), found.baseline.cpu()
        return [image.to(mask.device) for image in self.kept[key]]


class _Turned(nn.Module):
    """A generative model at an amplitude, by what it draws at 1."""

    stochastic: Literal[True] = True

    def __init__(self, drawn: _Drawn, amplitude: float):
        super().__init__()
        self.drawn, self.amplitude = drawn, amplitude

    def forward(
        self, masked_kspace: Tensor, mask: Tensor, noise: Noise, scale: Tensor | None = None
    ) -> Reconstruction:
        image, baseline = self.drawn(masked_kspace, mask, noise, scale)
        return Reconstruction(baseline + self.amplitude * (image - baseline), baseline, latent=())


def _points(
    record: Record,
    model: nn.Module,
    amplitude: float | None,
    volumes: list[Volume],
    config: Config,
    device: torch.device,
) -> list[Point]:
    """One evaluation, by one sample of each slice; amplitude 0 is the baseline within."""
    config = changed(config, validation={"samples": 1 if config.draws > 1 else None})
    scores = evaluate(model, volumes, config, Process(device)).scores
    points = []
    for method in dict.fromkeys(score.method for score in scores):
        for acceleration in config.masks.accelerations:
            found = [s.metrics for s in scores if (s.method, s.acceleration) == (method, acceleration)]
            power, psnr = (float(np.mean([getattr(m, n) for m in found])) for n in ("power_ratio", "psnr"))
            turned = {"sample": amplitude, "baseline": None if amplitude is None else 0.0}.get(method)
            title = record.title("sample") if turned is not None else record.title(method)
            points.append(Point(title, acceleration, power, psnr, turned))
    return points


def stored_means(record: Record, volumes: list[Volume]) -> list[Point]:
    """Means of samples as `validate` scored them, if it did so on all of these volumes."""
    if record.summary is None:
        return []
    points = []
    for (method, acceleration), found in volume_scores(record.summary).items():
        chosen = [found[volume.fname] for volume in volumes if volume.fname in found]
        if method.startswith("mean_") and len(chosen) == len(volumes):
            power, psnr = (float(np.mean([c[name] for c in chosen])) for name in ("power_ratio", "psnr"))
            points.append(Point(record.title(method), acceleration, power, psnr))
    return points


def draw_tradeoff(path: Path, points: list[Point], volumes: int) -> Path:
    """PSNR over the power ratio, a plot per acceleration: the knob as a line, all else as points."""
    accelerations = sorted({point.acceleration for point in points})
    titles = list(dict.fromkeys(point.title for point in points))
    columns = min(len(accelerations), 4)
    rows = -(-len(accelerations) // columns)
    figure = Figure(figsize=(press.WIDTH, 2.5 * rows + 0.7), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.set_axis_off()
    for axis, acceleration in zip(axes, accelerations, strict=False):
        _draw(axis, [p for p in points if p.acceleration == acceleration], titles)
        axis.set_title(f"x{acceleration}", fontsize=8)
    figure.supxlabel("power above half the band over the truth's", fontsize=8)
    figure.supylabel(f"PSNR [dB], mean of {volumes} volume{'s' * (volumes > 1)}", fontsize=8)
    press.legend(figure, "outside upper center")
    return press.write(figure, path)


def _draw(axis: Axes, points: list[Point], titles: list[str]) -> None:
    axis.set_axis_on()
    press.tidy(axis)
    axis.axvline(1, color=press.GREY, linewidth=0.8, linestyle=":")
    for k, title in enumerate(titles):
        mine = [point for point in points if point.title == title]
        turned = [(point.amplitude, point) for point in mine if point.amplitude is not None]
        knob = [point for _, point in sorted(turned, key=lambda pair: pair[0])]
        style: dict[str, Any] = {
            "color": press.color(k),
            "marker": press.MARKERS[k % len(press.MARKERS)],
            "markersize": 4,
        }
        if knob:
            x, y = [p.power_ratio for p in knob], [p.psnr for p in knob]
            axis.plot(x, y, linewidth=1.2, label=f"{title}, amplitude 0 to 1", **style)
            for point in (knob[0], knob[-1]):
                place = (point.power_ratio, point.psnr)
                axis.annotate(f"{point.amplitude:g}", place, (0, 4), textcoords="offset points", fontsize=6.5)
        others = [point for point in mine if point.amplitude is None]
        if others:
            style |= {"linestyle": "", "label": title}
            axis.plot([p.power_ratio for p in others], [p.psnr for p in others], **style)
    axis.margins(0.12)
