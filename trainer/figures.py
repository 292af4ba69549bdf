"""Pictures of slices: upright, on one window, labelled."""

from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fastmri.atomic import replacing

matplotlib.rcParams["font.size"] = 8
WARNING = "research only: not for diagnosis"
ERROR_GAIN = 4  # errors are shown on a window this much narrower


class Panel(NamedTuple):
    """One row of pictures of a slice, float (h, w), in the input's units."""

    label: str
    zero_filled: np.ndarray
    reconstruction: np.ndarray
    target: np.ndarray | None = None
    std: np.ndarray | None = None
    captions: dict[str, str] = {}  # noqa: RUF012  under 'zero_filled' and 'model'


def draw_panels(path: Path, panels: list[Panel], title: str) -> None:
    """Rows of zero-filled | reconstruction | truth | error | std, as far as they are known."""
    columns = max(len(_pictures(panel)) for panel in panels)
    height = sum(p.zero_filled.shape[0] / p.zero_filled.shape[1] for p in panels)
    figure = Figure(
        figsize=(2.6 * columns, 2.6 * height + 0.45 * len(panels) + 0.5), layout="constrained", dpi=130
    )
    axes = figure.subplots(len(panels), columns, squeeze=False)
    for row, panel in zip(axes, panels, strict=True):
        _draw_row(figure, row, panel)
    figure.suptitle(f"{title} · {WARNING}", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        figure.savefig(partial, format="png")


def _pictures(panel: Panel) -> dict[str, tuple[np.ndarray, float, str]]:
    """Title -> (image, upper end of its window, colour map)."""
    reference = panel.reconstruction if panel.target is None else panel.target
    top = float(reference.max()) or 1.0
    shown = {
        "zero-filled": (panel.zero_filled, top, "gray"),
        "reconstruction": (panel.reconstruction, top, "gray"),
    }
    if panel.target is not None:
        error = np.abs(panel.reconstruction - panel.target)
        shown["truth"] = (panel.target, top, "gray")
        shown[f"|error| x{ERROR_GAIN}"] = (error, top / ERROR_GAIN, "magma")
    if panel.std is not None:
        shown["standard deviation"] = (panel.std, float(panel.std.max()) or 1.0, "viridis")
    return shown


def _draw_row(figure: Figure, row: np.ndarray, panel: Panel) -> None:
    captions = {
        "zero-filled": panel.captions.get("zero_filled"),
        "reconstruction": panel.captions.get("model"),
    }
    for axis in row:
        axis.set_axis_off()
    for axis, (name, (image, top, colors)) in zip(row, _pictures(panel).items(), strict=False):
        axis.set_axis_on()
        axis.set(xticks=[], yticks=[], title=name)
        # fastMRI stores images upside down: rows are flipped for display alone
        drawn = axis.imshow(image[::-1], cmap=colors, vmin=0, vmax=top, interpolation="nearest")
        axis.set_xlabel(captions.get(name) or "")
        if colors != "gray":
            figure.colorbar(drawn, ax=axis, shrink=0.8, format="%.1e")
    row[0].set_ylabel(panel.label)
