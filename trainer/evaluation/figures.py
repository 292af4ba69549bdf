"""Pictures of slices: upright, on one window, labelled."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from fastmri.atomic import replacing

matplotlib.rcParams["font.size"] = 8
WARNING = "research use, not diagnostic"
BRIGHTEST = 0.998  # part of the truth's pixels that the window of galleries and pages holds
ERROR_GAIN = 4  # errors are shown on a window this much narrower
SIDE, GAP, SCALE = 2.4, 0.1, 0.65  # inches of a picture's width, between pictures, and of a colour scale
HEAD, ABOVE, BELOW, LEFT = 0.25, 0.25, 0.25, 0.45  # inches that words take around pictures


class Panel(NamedTuple):
    """One row of pictures of a slice, float (h, w), in the input's units."""

    label: str
    images: dict[str, np.ndarray]  # by method: zero_filled first, the best estimate before any sample
    target: np.ndarray | None = None
    std: np.ndarray | None = None
    null_errors: dict[str, np.ndarray] = {}  # noqa: RUF012  by method: the error's part that was not measured
    captions: dict[str, str] = {}  # noqa: RUF012  by method


class Picture(NamedTuple):
    """An image on a window from `low` to `high`."""

    image: np.ndarray
    low: float
    high: float
    colors: str
    caption: str = ""


def draw_panels(path: Path, panels: list[Panel], title: str) -> None:
    """Rows of zero-filled | methods | truth | error | std | texture added, as far as they are known."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with freed_at_once(), replacing(path) as partial:
        panel_figure(panels, title).savefig(partial, format="png")


@contextmanager
def freed_at_once() -> Iterator[None]:
    """What the block made is freed at its end, cycles too.

    A figure is one, with all its pixels, and Python looks for cycles so seldom that dozens would pile up.
    """
    gc.freeze()  # what was there before is not looked at: milliseconds instead of a third of a second
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


def panel_figure(panels: list[Panel], title: str) -> Figure:
    """All pictures on one pair of axes in inches: one for each takes four times as long; training waits."""
    rows = [_pictures(panel) for panel in panels]
    talls = [SIDE * tall / wide for tall, wide in (panel.images["zero_filled"].shape for panel in panels)]
    width = LEFT + max(sum(map(_wide, row.values())) for row in rows)
    bottom = height = HEAD + sum(talls) + (ABOVE + BELOW) * len(rows)
    figure = Figure(figsize=(width, height), dpi=130)
    figure.suptitle(f"{title} · {WARNING}", fontsize=9, y=1 - 0.1 / height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height), autoscale_on=False)
    axes.set_axis_off()
    bottom -= HEAD
    for panel, row, tall in zip(panels, rows, talls, strict=True):
        bottom -= ABOVE + tall
        axes.text(LEFT / 2, bottom + tall / 2, panel.label, rotation=90, ha="center", va="center")
        _draw_row(axes, row, bottom, tall)
        bottom -= BELOW
    return figure


def _pictures(panel: Panel) -> dict[str, Picture]:
    """The pictures of a row, by title; images and truth share one window."""
    best = best_method(panel.images)
    reference = panel.images[best] if panel.target is None else panel.target
    top = float(reference.max()) or 1.0
    shown = {
        method_title(name): Picture(image, 0, top, "gray", panel.captions.get(name, ""))
        for name, image in panel.images.items()
    }
    if panel.target is not None:
        error = np.abs(panel.images[best] - panel.target)
        shown["truth"] = Picture(panel.target, 0, top, "gray")
        shown[f"|error| of {method_title(best)}"] = Picture(error, 0, top / ERROR_GAIN, "magma")
    if best in panel.null_errors:
        shown["null-space error"] = Picture(panel.null_errors[best], 0, top / ERROR_GAIN, "magma")
    if panel.std is not None:
        shown["standard deviation"] = Picture(panel.std, 0, float(panel.std.max()) or 1.0, "viridis")
    if "sample" in panel.images and "baseline" in panel.images:
        texture = panel.images["sample"] - panel.images["baseline"]
        shown["texture: sample - baseline"] = Picture(texture, -top / ERROR_GAIN, top / ERROR_GAIN, "RdBu_r")
    return shown


def best_method(methods: Iterable[str]) -> str:
    """The method whose error is shown: the model or the mean of its samples, else the last but a donor."""
    names = [name for name in methods if name != "donor"]
    models = [name for name in names if name.startswith(("mean_", "model"))]
    return models[0] if models else names[-1]


TITLES = {
    "zero_filled": "zero-filled",
    "low_pass": "low-pass",
    "tv": "total variation",
    "wavelet": "l1-wavelet",
    "donor": "donor (control)",
    "model": "reconstruction",
}


def method_title(method: str) -> str:
    """A method's name as people write it."""
    if method.startswith("mean_"):
        return f"mean of {method.removeprefix('mean_')} samples"
    return TITLES.get(method, method)


def _wide(picture: Picture) -> float:
    """Inches from a picture to the next."""
    return SIDE + GAP + (SCALE if picture.colors != "gray" else 0)


def _draw_row(axes: Axes, pictures: dict[str, Picture], bottom: float, tall: float) -> None:
    """Pictures with their titles above and captions below."""
    left = LEFT
    for title, picture in pictures.items():
        show(axes, picture, (left, left + SIDE, bottom, bottom + tall))
        scaled = picture.colors != "gray"
        axes.text(left + SIDE / 2, bottom + tall + 0.05, title + " [a.u.]" * scaled, fontsize=9, ha="center")
        axes.text(left + SIDE / 2, bottom - 0.05, picture.caption, ha="center", va="top")
        if scaled:
            _draw_scale(axes, picture, left + SIDE + 0.06, bottom, tall)
        left += _wide(picture)


def _draw_scale(axes: Axes, picture: Picture, left: float, bottom: float, tall: float) -> None:
    """What the colours of a picture mean."""
    values = np.linspace(picture.low, picture.high, 256)
    show(axes, picture._replace(image=values[:, None]), (left, left + 0.12, bottom, bottom + tall))
    for value, place, side in zip(values[[0, -1]], (0, tall), ("bottom", "top"), strict=True):
        axes.text(left + 0.16, bottom + place, f"{value:.1e}", va=side)


def show(axes: Axes, picture: Picture, place: tuple[float, float, float, float] | None = None) -> AxesImage:
    """A picture upright on its window, from left to right and from bottom to top of the axes if not all."""
    # fastMRI stores images upside down: rows are flipped for display alone
    image, low, high = picture.image[::-1], picture.low, picture.high
    shown = axes.imshow(image, cmap=picture.colors, interpolation="nearest", vmin=low, vmax=high)
    if place:
        axes.set_aspect("auto")
        shown.set_extent(place)
    return shown
