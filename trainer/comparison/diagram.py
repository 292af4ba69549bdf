"""Diagrams: boxes and arrows at places in inches, from the lower left corner, drawn for print."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Line
from matplotlib.text import Text

from trainer.comparison import press

KINDS = {  # tints of press.COLORS: fill, and what the legend says
    "data": ("#FFFFFF", "data"),
    "physics": ("#BBDDF0", "physics"),
    "conv": ("#FBE3C0", "convolutions"),
    "threshold": ("#F6CDB4", "soft thresholds"),
    "norm": ("#EEEEEE", "normalisation"),
    "style": ("#BFE6DA", "texture vectors"),
    "noise": ("#F0D3E3", "ε: noise"),
    "attention": ("#009E73", "A: attention"),
    "modulated": ("#D9F0E9", "modulated convolutions"),
    "gains": ("#F6CDB4", "after training alone"),
    "training": ("#F7F4C8", "training alone"),
}
FONT, SMALLEST = 7.0, 4.5  # points
MARGIN = 0.03  # inches between a text and its box
PORT = 0.075  # inches, radius


class Box(NamedTuple):
    """A box around its centre."""

    x: float
    y: float
    width: float
    height: float
    text: str
    kind: str

    @property
    def left(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y

    @property
    def top(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x, self.y - self.height / 2


class Arrow(NamedTuple):
    """A line through points, with a head at its last unless it is plain."""

    points: list[tuple[float, float]]
    dashed: bool = False
    plain: bool = False
    color: str = "#333333"


class Port(NamedTuple):
    """A mark on a box's border: something that enters there."""

    x: float
    y: float
    text: str
    kind: str


class Note(NamedTuple):
    """Words beside boxes, centred unless said otherwise."""

    x: float
    y: float
    text: str
    align: str = "center"
    size: float = 6.5


class Diagram(NamedTuple):
    """Everything drawn, on a page of a size in inches."""

    title: str = ""
    width: float = 0.0
    height: float = 0.0
    boxes: Sequence[Box] = ()
    arrows: Sequence[Arrow] = ()
    ports: Sequence[Port] = ()
    notes: Sequence[Note] = ()
    frames: Sequence[Box] = ()  # behind boxes that belong together


def joined(page: Diagram, *others: Diagram) -> Diagram:
    """What several diagrams show, on the first's page."""
    pages = (page, *others)
    parts: dict[str, Any] = {
        name: [*itertools.chain.from_iterable(getattr(one, name) for one in pages)]
        for name in Diagram._fields[3:]
    }
    return page._replace(**parts)


def chain(*boxes: Box) -> list[Arrow]:
    """Arrows from each box to the next, on one row or in one column."""
    return [connect(a, b) for a, b in itertools.pairwise(boxes)]


def connect(one: Box, other: Box) -> Arrow:
    """A straight arrow between facing sides."""
    if abs(one.y - other.y) < 1e-6:
        ends = [one.right, other.left] if one.x < other.x else [one.left, other.right]
    else:
        ends = [one.bottom, other.top] if one.y > other.y else [one.top, other.bottom]
        ends[0] = (ends[1][0] if one.width > other.width else ends[0][0], ends[0][1])
        ends[1] = (ends[0][0], ends[1][1])
    return Arrow(ends)


def draw_diagram(path: Path, diagram: Diagram) -> Path:
    """The picture; its legend names the kinds of boxes that occur."""
    figure = render(diagram)
    return press.write(figure, path)


def render(diagram: Diagram) -> Figure:
    """The drawn figure, whose one axis is in inches."""
    figure = Figure(figsize=(diagram.width, diagram.height), dpi=press.DPI)  # as written: texts are fitted
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, diagram.width), ylim=(0, diagram.height))
    axis.set_axis_off()
    for frame in diagram.frames:
        _draw_box(axis, frame._replace(text=""), linestyle=(0, (4, 2)), zorder=0, edgecolor="#999999")
        x, y = frame.left[0] + 0.06, frame.top[1] - 0.05
        axis.text(x, y, frame.text, fontsize=FONT, va="top", style="italic", color="#444444")
    for arrow in diagram.arrows:
        _draw_arrow(axis, arrow)
    for box in diagram.boxes:
        _draw_box(axis, box)
    for port in diagram.ports:
        face = KINDS[port.kind][0]
        axis.add_patch(Circle((port.x, port.y), PORT, facecolor=face, edgecolor="#333333", lw=0.6, zorder=4))
        style: dict[str, Any] = {"fontsize": 6, "ha": "center", "va": "center_baseline", "zorder": 5}
        axis.text(port.x, port.y, port.text, color="white" if port.kind == "attention" else "black", **style)
    for note in diagram.notes:
        axis.text(note.x, note.y, note.text, fontsize=note.size, ha=note.align, va="center", color="#444444")
    title_place = (diagram.width / 2, diagram.height - 0.12)
    axis.text(*title_place, diagram.title, fontsize=9, ha="center", va="center", weight="bold")
    used = {box.kind for box in diagram.boxes} | {port.kind for port in diagram.ports}
    handles = [
        Patch(facecolor=f, edgecolor="#333333", lw=0.6, label=t) for k, (f, t) in KINDS.items() if k in used
    ]
    columns = len(handles) if len(handles) < 6 else -(-len(handles) // 2)
    style = {"frameon": False, "fontsize": 6.5, "handlelength": 1.2, "columnspacing": 1.2}
    axis.legend(handles=handles, loc="lower center", ncols=columns, borderaxespad=0.1, **style)
    return figure


def _draw_box(axis: Axes, box: Box, **style: Any) -> None:
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    style = {"edgecolor": "#333333", "zorder": 2, **style}
    rounded = f"round,pad=0,rounding_size={min(0.05, box.height / 4)}"
    axis.add_patch(
        FancyBboxPatch(
            corner, box.width, box.height, boxstyle=rounded, facecolor=KINDS[box.kind][0], lw=0.7, **style
        )
    )
    if box.text:
        _fit(axis.text(box.x, box.y, box.text, fontsize=FONT, ha="center", va="center", zorder=3), box)


def _fit(text: Text, box: Box) -> None:
    """Make the text small enough for its box; by steps, because hinting makes widths uneven."""
    size, inch = FONT, text.figure.dpi
    while size > SMALLEST:
        extent = text.get_window_extent()
        if extent.width <= (box.width - 2 * MARGIN) * inch and extent.height <= (box.height - MARGIN) * inch:
            return
        size -= 0.25
        text.set_fontsize(size)


def _draw_arrow(axis: Axes, arrow: Arrow) -> None:
    style: dict[str, Any] = {
        "color": arrow.color,
        "lw": 0.8,
        "linestyle": (0, (3, 2)) if arrow.dashed else "-",
        "zorder": 1,
    }
    head = "-" if arrow.plain else "-|>,head_length=2.4,head_width=1.3"
    axis.add_patch(FancyArrowPatch(path=Line(arrow.points), arrowstyle=head, mutation_scale=1, **style))
