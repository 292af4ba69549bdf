"""Galleries of few and of many methods: everything is there, upright, on one window, and nothing overlaps."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from fastmri.volumes import Volume
from trainer.comparison.gallery import Gallery, Row
from trainer.comparison.gallery_figure import FEW, gallery_figure
from trainer.evaluation.figures import ERROR_GAIN, WARNING

NAMES = ["zero-filled", "baseline", "unet", "global, mean of 8 samples", "global, sample", "tv"]
NAMES += ["experiments/spatial_long, mean of 8 samples", "experiments/spatial_long, sample", "pix2pix"]


def made_up(methods: int, accelerations: int, shape: tuple[int, int] = (64, 64)) -> Gallery:
    rng = np.random.default_rng(0)
    target = rng.random(shape, dtype=np.float32)
    names = (4, 8, 16, 32)[:accelerations]
    rows = [
        Row(name, {r: target + 0.1 * rng.standard_normal(shape).astype(np.float32) for r in names})
        for name in NAMES[:methods]
    ]
    volume = Volume(
        path="file1000019.h5",
        kspace_shape=(36, 2 * shape[0], shape[1]),
        recon_size=shape,
        acquired=(0, shape[1]),
        acquisition="CORPDFS_FBK",
        max_value=1.0,
        has_target=True,
        has_mask=False,
    )
    return Gallery(volume, 18, target, {r: 1.3 * r for r in names}, rows)


def drawn(figure: Figure) -> dict[str, Bbox]:
    """Where words and pictures are, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [*figure.texts]  # the title among them
    for axis in figure.axes:
        texts += [axis.title, axis.xaxis.label, axis.yaxis.label]
    places = {f"{k}: {t.get_text()}": t.get_window_extent() for k, t in enumerate(texts) if t.get_text()}
    return places | {f"axis {k}": axis.get_window_extent() for k, axis in enumerate(figure.axes)}


@pytest.mark.parametrize(
    ("methods", "accelerations", "shape"),
    [
        (2, 1, (64, 64)),
        (FEW, 4, (40, 64)),
        (FEW, 2, (80, 64)),
        (FEW + 1, 1, (64, 64)),
        (9, 4, (40, 64)),
        (9, 2, (80, 64)),
    ],
)
def test_nothing_overlaps_or_is_cut_off(methods, accelerations, shape):
    figure = gallery_figure(made_up(methods, accelerations, shape))
    places = drawn(figure)
    for (one, a), (other, b) in combinations(places.items(), 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(width, height) < 0.5, (one, other)
    for name, place in places.items():
        assert place.x0 > -0.5, name
        assert place.y0 > -0.5, name
        assert place.x1 < figure.bbox.x1 + 0.5, name
        assert place.y1 < figure.bbox.y1 + 0.5, name


@pytest.mark.parametrize("methods", [FEW, 9])
def test_every_method_has_its_image_its_error_and_its_scores(methods):
    gallery = made_up(methods, 2)
    figure = gallery_figure(gallery)
    assert WARNING in figure.get_suptitle()
    assert f"|error|, window 1/{ERROR_GAIN}" in figure.get_suptitle() + "".join(
        a.get_ylabel() for a in figure.axes
    )
    shown = [axis.images[0] for axis in figure.axes]
    drawn = [np.asarray(image.get_array()) for image in shown]
    windows = {image.get_clim() for image in shown if image.get_cmap().name == "gray"}
    assert len(windows) == 1
    for row in gallery.rows:
        for image in row.images.values():
            for wanted in (image, np.abs(image - gallery.target)):
                assert sum(np.array_equal(found, wanted[::-1]) for found in drawn) == 1
    assert sum(np.array_equal(found, gallery.target[::-1]) for found in drawn) == 2
    words = [axis.get_xlabel() for axis in figure.axes] + [text.get_text() for text in figure.texts]
    error = gallery.rows[-1].images[8] - gallery.target
    psnr = -10 * np.log10(np.mean(error.astype(np.float64) ** 2))
    assert len([text for text in words if f"{psnr:.2f}" in text]) >= 1


def test_many_methods_are_hardly_taller_than_a_few():
    def tall(methods: int) -> float:
        return gallery_figure(made_up(methods, 4)).get_size_inches()[1]

    assert tall(9) < 1.2 * tall(FEW)
