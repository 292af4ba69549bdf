"""One slice as several runs reconstruct it: two rows per method, image and error; columns: accelerations."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from config.schema import Config
from fastmri.dataset import EvaluationDraw, EvaluationSlices, collate, to_device
from fastmri.masks import achieved_acceleration
from fastmri.metrics import psnr, ssim
from fastmri.volumes import Volume, read_target
from trainer import press
from trainer.data import mask_settings
from trainer.estimates import estimate
from trainer.figures import ERROR_GAIN, WARNING, Picture, show
from trainer.records import Record

SIDE = 1.45  # inches of a picture's width
NARROWEST = 3.0  # inches that the words above need
BRIGHTEST = 0.998  # part of the truth's pixels that the window holds


class Row(NamedTuple):
    """A method on a slice."""

    title: str
    images: dict[int, np.ndarray]  # float32 (h, w) by acceleration


class Gallery(NamedTuple):
    """A slice, what is known of it, and what each method makes of it."""

    volume: Volume
    slice_num: int
    target: np.ndarray  # float32 (h, w)
    achieved: dict[int, float]  # by acceleration
    rows: list[Row]


def choose_slice(volumes: list[Volume], fname: str | None, slice_num: int | None) -> tuple[Volume, int]:
    """The asked slice, else the middle one of the first volume. Raises ValueError if there is no such."""
    named = {volume.fname: volume for volume in volumes}
    if fname is not None and fname not in named:
        raise ValueError(
            f"--fname {fname}: not among the {len(named)} validation volumes, {', '.join(named)}"
        )
    volume = volumes[0] if fname is None else named[fname]
    if slice_num is not None and slice_num >= volume.num_slices:
        raise ValueError(f"--slice {slice_num}: {volume.path} has slices 0 to {volume.num_slices - 1}")
    return volume, volume.num_slices // 2 if slice_num is None else slice_num


def reconstruct_slice(records: list[Record], volume: Volume, slice_num: int, device: torch.device) -> Gallery:
    """Every method of every run on a slice, under the first run's masks; what several runs share once."""
    masks, achieved, rows = records[0].config.masks, {}, []
    for record in records:
        config = record.config.model_copy(update={"masks": masks})
        images: dict[str, dict[int, np.ndarray]] = {}
        for acceleration in masks.accelerations:
            found, mask = _methods(record.model, volume, slice_num, acceleration, config, device)
            achieved[acceleration] = achieved_acceleration(mask, volume.acquired)
            for method, image in found.items():
                images.setdefault(method, {})[acceleration] = image
        for method, by_acceleration in images.items():
            row = Row(record.title(method), by_acceleration)
            if not any(_same(row, other) for other in rows):
                rows.append(row)
    return Gallery(volume, slice_num, read_target(volume.path, slice_num), achieved, rows)


@torch.inference_mode()
def _methods(
    model: nn.Module, volume: Volume, slice_num: int, acceleration: int, config: Config, device: torch.device
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Magnitudes (h, w) by method, as `validate` has them, and the mask (W,)."""
    slices = EvaluationSlices([volume], mask_settings(config), adjacent_slices=config.data.adjacent_slices)
    batch = to_device(collate([slices[EvaluationDraw(slice_num, acceleration)]]), device)
    methods = estimate(model, batch, config).methods
    return {name: e.magnitude[0].numpy() for name, e in methods.items()}, batch.mask[0, 0, 0].cpu().numpy()


def _same(one: Row, other: Row) -> bool:
    """Whether two methods give the same images, up to the order of additions."""
    return all(
        np.abs(image - other.images[r]).max() <= 1e-4 * np.abs(image).max() for r, image in one.images.items()
    )


def draw_gallery(path: Path, gallery: Gallery) -> Path:
    """The picture of a gallery."""
    return press.write(gallery_figure(gallery), path)


def gallery_figure(gallery: Gallery) -> Figure:
    """Image and error of every method, then the truth, all on the truth's window, errors on a part of it."""
    accelerations = list(gallery.achieved)
    height, width = gallery.target.shape
    rows = 2 * len(gallery.rows) + 1
    side = SIDE * height / width
    figure = Figure(
        figsize=(
            max(SIDE * len(accelerations) + 0.45, NARROWEST),
            (side + 0.2) * rows - 0.2 * len(gallery.rows) + 0.75,
        ),
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.005)
    axes = figure.subplots(rows, len(accelerations), squeeze=False)
    top = float(np.quantile(gallery.target, BRIGHTEST)) or 1.0
    for k, acceleration in enumerate(accelerations):
        _draw_column(axes[:, k], gallery, acceleration, top)
        title = f"x{acceleration} (achieved {gallery.achieved[acceleration]:.1f})"
        axes[0, k].set_title(title, fontsize=8, pad=3)
    for axis, row in zip(axes[::2, 0], [*gallery.rows, Row("truth", {})], strict=True):
        axis.set_ylabel(row.title.replace(", ", "\n"), fontsize=8)
    for axis in axes[1::2, 0]:
        axis.set_ylabel(f"|error|, x{ERROR_GAIN}", fontsize=7)
    volume = gallery.volume
    name = f"{volume.fname}, slice {gallery.slice_num}, {volume.acquisition}"
    figure.suptitle(f"{name}\nPSNR [dB] / SSIM of the slice\n{WARNING}", fontsize=8)
    return figure


def _draw_column(column: np.ndarray, gallery: Gallery, acceleration: int, top: float) -> None:
    target = gallery.target
    for axis, row in zip(column[::2], gallery.rows, strict=False):
        image = row.images[acceleration]
        show(axis, Picture(image, 0, top, "gray", _caption(target, image, gallery.volume)))
    for axis, row in zip(column[1::2], gallery.rows, strict=True):
        show(axis, Picture(np.abs(row.images[acceleration] - target), 0, top / ERROR_GAIN, "magma"))
    show(column[-1], Picture(target, 0, top, "gray"))
    for axis in column:
        axis.spines[:].set_visible(False)
        axis.xaxis.set_tick_params(pad=0)
        axis.xaxis.labelpad = 1


def _caption(target: np.ndarray, image: np.ndarray, volume: Volume) -> str:
    """The slice's PSNR and SSIM, with the volume's maximum as fastMRI's metrics have it."""
    top = volume.max_value
    return f"{psnr(target, image, top):.2f} / {ssim(target[None], image[None], top):.3f}"
