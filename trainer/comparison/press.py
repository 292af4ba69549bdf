"""How figures for print look: size, colours, lines; figures are read without their program."""

from pathlib import Path
from typing import Literal

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastmri.atomic import replacing

WIDTH = 7.2  # inches: a page's text
DPI = 220
# Okabe & Ito 2008, Color Universal Design: told apart by colour-blind readers; yellow is too faint for lines
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
GREY = "#777777"
MARKERS = "osD^vP*X"
Place = Literal["outside upper center", "outside lower center"]


def color(index: int) -> str:
    """The colour of the n-th run; they repeat after the last."""
    return COLORS[index % len(COLORS)]


def line(index: int) -> dict[str, object]:
    """Colour and dashes of the n-th line: no two are alike, up to three times the colours."""
    return {"color": color(index), "linestyle": DASHES[index // len(COLORS) % len(DASHES)]}


def tidy(axis: Axes) -> None:
    """A light grid behind, and no frame on the sides without an axis."""
    axis.grid(color="#dddddd", linewidth=0.5)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=7)


def legend(figure: Figure, place: Place) -> None:
    """Outside of the plots, with each name of any of them once."""
    handles: dict[str, Artist] = {}
    for axis in figure.axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    figure.legend([*handles.values()], [*handles], loc=place, ncols=3, frameon=False)


def write(figure: Figure, path: Path) -> Path:
    """Save as PNG, at print resolution."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=DPI)
    return path
