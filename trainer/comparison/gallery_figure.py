"""reconstruction.png: methods below each other, accelerations beside each other, with errors."""

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from fastmri.metrics import psnr, ssim
from trainer.comparison import press
from trainer.comparison.gallery import Gallery, Row
from trainer.evaluation.figures import BRIGHTEST, ERROR_GAIN, WARNING, Picture, show

SIDE = 1.45  # inches of a picture's width
NARROWEST = 3.2  # inches that the words above need
FEW = 4  # methods that have errors of full size below them; of more, errors of half the size are beside
GAP, HEAD = 0.05, 0.75  # inches between the rows of many methods, and above them
LETTER, LINE = 0.066, 0.135  # inches of a letter of a row's name, and from line to line


def draw_gallery(path: Path, gallery: Gallery) -> Path:
    """The picture of a gallery."""
    return press.write(gallery_figure(gallery), path)


def gallery_figure(gallery: Gallery) -> Figure:
    """Image and error of every method, then the truth, all on the truth's window, errors on a part of it."""
    return _errors_below(gallery) if len(gallery.rows) <= FEW else _errors_beside(gallery)


def _errors_below(gallery: Gallery) -> Figure:
    """Two rows per method."""
    accelerations = list(gallery.achieved)
    rows, tall = 2 * len(gallery.rows) + 1, _tall(gallery)
    width = max(SIDE * len(accelerations) + 0.45, NARROWEST)
    height = (tall + 0.2) * rows - 0.2 * len(gallery.rows) + HEAD
    layout = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.005)
    figure = Figure(figsize=(width, height), layout=layout)
    figure.suptitle(_words(gallery, "PSNR [dB] / SSIM of the slice"), fontsize=8)
    axes = figure.subplots(rows, len(accelerations), squeeze=False)
    for column, acceleration in zip(axes.T, accelerations, strict=True):
        column[0].set_title(_heading(gallery, acceleration), fontsize=8, pad=3)
        for axis, row in zip(column[::2], [*gallery.rows, _truth(gallery)], strict=True):
            _show_image(axis, gallery, row.images[acceleration])
        for k, row in enumerate(gallery.rows):
            column[2 * k].set_xlabel(" / ".join(_scores(gallery, row.images[acceleration])))
            _show_error(column[2 * k + 1], gallery, row.images[acceleration])
        for axis in column:
            axis.xaxis.set_tick_params(pad=0)
            axis.xaxis.labelpad = 1
    for axis, row in zip(axes[::2, 0], [*gallery.rows, _truth(gallery)], strict=True):
        axis.set_ylabel(_name(row.title, tall), fontsize=8)
    for axis in axes[1::2, 0]:
        axis.set_ylabel(f"|error|, window 1/{ERROR_GAIN}", fontsize=7)
    return figure


def _errors_beside(gallery: Gallery) -> Figure:
    """One row per method: at the side of each image its scores, and the error at half the size."""
    accelerations, tall = list(gallery.achieved), _tall(gallery)
    rows = [*gallery.rows, _truth(gallery)]
    names = [_name(row.title, tall) for row in rows]
    left = 0.1 + LINE * max(name.count("\n") + 1 for name in names)
    cell = 1.5 * SIDE + 0.12
    width, height = max(left + cell * len(accelerations), NARROWEST), HEAD + (tall + GAP) * len(rows)
    figure = Figure(figsize=(width, height))
    words = _words(gallery, f"PSNR and SSIM of the slice; small: |error|, window 1/{ERROR_GAIN}")
    figure.suptitle(words, fontsize=8, y=1 - 0.06 / height)
    for k, acceleration in enumerate(accelerations):
        place = ((left + cell * k + SIDE / 2) / width, 1 - (HEAD - 0.04) / height)
        figure.text(*place, _heading(gallery, acceleration), fontsize=8, ha="center", va="bottom")
    for n, (row, name) in enumerate(zip(rows, names, strict=True)):
        bottom = height - HEAD - (tall + GAP) * (n + 1) + GAP
        place = (left / 2 / width, (bottom + tall / 2) / height)
        figure.text(*place, name, fontsize=8, rotation=90, ha="center", va="center", ma="center")
        for k, acceleration in enumerate(accelerations):
            _draw_cell(figure, gallery, row, acceleration, (left + cell * k, bottom))
    return figure


def _draw_cell(
    figure: Figure, gallery: Gallery, row: Row, acceleration: int, corner: tuple[float, float]
) -> None:
    """An image with what belongs to it, from its lower left corner in inches."""
    (x, y), (width, height), tall = corner, figure.get_size_inches(), _tall(gallery)
    image = row.images[acceleration]
    _show_image(figure.add_axes((x / width, y / height, SIDE / width, tall / height)), gallery, image)
    if image is gallery.target:
        return
    side = x + SIDE + 0.02
    _show_error(
        figure.add_axes((side / width, y / height, SIDE / 2 / width, tall / 2 / height)), gallery, image
    )
    place = ((side + SIDE / 4) / width, (y + 0.75 * tall) / height)
    words = "{} dB\nSSIM {}".format(*_scores(gallery, image))
    figure.text(*place, words, fontsize=8, ha="center", va="center")


def _tall(gallery: Gallery) -> float:
    """Inches of a picture's height."""
    height, width = gallery.target.shape
    return SIDE * height / width


def _truth(gallery: Gallery) -> Row:
    """The truth, the same in every column."""
    return Row("truth", dict.fromkeys(gallery.achieved, gallery.target))


def _words(gallery: Gallery, figures: str) -> str:
    """What is above all pictures."""
    volume = gallery.volume
    return f"{volume.fname}, slice {gallery.slice_num}, {volume.acquisition}\n{figures}\n{WARNING}"


def _heading(gallery: Gallery, acceleration: int) -> str:
    return f"x{acceleration} (achieved {gallery.achieved[acceleration]:.1f})"


def _name(title: str, room: float) -> str:
    """A method's name, in lines of so many inches."""
    letters = max(int(room / LETTER), 1)
    return "\n".join(line for part in title.split(", ") for line in textwrap.wrap(part, letters))


def _scores(gallery: Gallery, image: np.ndarray) -> tuple[str, str]:
    """The slice's PSNR and SSIM, with the volume's maximum as fastMRI's metrics have it."""
    top, target = gallery.volume.target_maximum, gallery.target
    return f"{psnr(target, image, top):.2f}", f"{ssim(target[None], image[None], top):.3f}"


def _show_image(axis: Axes, gallery: Gallery, image: np.ndarray) -> None:
    _show(axis, Picture(image, 0, _top(gallery), "gray"))


def _show_error(axis: Axes, gallery: Gallery, image: np.ndarray) -> None:
    _show(axis, Picture(np.abs(image - gallery.target), 0, _top(gallery) / ERROR_GAIN, "magma"))


def _show(axis: Axes, picture: Picture) -> None:
    show(axis, picture)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _top(gallery: Gallery) -> float:
    """Where the window of all images ends."""
    return float(np.quantile(gallery.target, BRIGHTEST)) or 1.0
