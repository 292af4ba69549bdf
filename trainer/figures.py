"""Pictures of slices: upright, on one window, labelled."""

from collections.abc import Iterable
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
    rows = [_pictures(panel) for panel in panels]
    columns = max(map(len, rows))
    shapes = [panel.images["zero_filled"].shape for panel in panels]
    height = sum(tall / wide for tall, wide in shapes)
    figure = Figure(
        figsize=(2.6 * columns, 2.6 * height + 0.45 * len(panels) + 0.5), layout="constrained", dpi=130
    )
    axes = figure.subplots(len(panels), columns, squeeze=False)
    for row, panel, pictures in zip(axes, panels, rows, strict=True):
        _draw_row(figure, row, pictures)
        row[0].set_ylabel(panel.label)
    figure.suptitle(f"{title} · {WARNING}", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        figure.savefig(partial, format="png")


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
        shown[f"|error| of {method_title(best)}, x{ERROR_GAIN}"] = Picture(
            error, 0, top / ERROR_GAIN, "magma"
        )
    if best in panel.null_errors:
        title = f"null-space error, x{ERROR_GAIN}"
        shown[title] = Picture(panel.null_errors[best], 0, top / ERROR_GAIN, "magma")
    if panel.std is not None:
        shown["standard deviation"] = Picture(panel.std, 0, float(panel.std.max()) or 1.0, "viridis")
    if "sample" in panel.images and "baseline" in panel.images:
        texture = panel.images["sample"] - panel.images["baseline"]
        shown["texture: sample - baseline"] = Picture(texture, -top / ERROR_GAIN, top / ERROR_GAIN, "RdBu_r")
    return shown


def best_method(methods: Iterable[str]) -> str:
    """The method whose error is shown: a mean of samples before one sample."""
    methods = list(methods)
    names = [name for name in methods if name.startswith(("mean_", "model"))]
    return names[0] if names else methods[-1]


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


def _draw_row(figure: Figure, row: np.ndarray, pictures: dict[str, Picture]) -> None:
    for axis in row:
        axis.set_axis_off()
    for axis, (title, picture) in zip(row, pictures.items(), strict=False):
        drawn = show(axis, picture)
        axis.set_title(title)
        if picture.colors != "gray":
            figure.colorbar(drawn, ax=axis, shrink=0.8, format="%.1e")


def show(axis: Axes, picture: Picture) -> AxesImage:
    """A picture upright on its window, its caption below."""
    axis.set_axis_on()
    axis.set(xticks=[], yticks=[], xlabel=picture.caption)
    # fastMRI stores images upside down: rows are flipped for display alone
    image, low, high = picture.image[::-1], picture.low, picture.high
    return axis.imshow(image, cmap=picture.colors, interpolation="nearest", vmin=low, vmax=high)
