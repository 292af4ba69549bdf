"""Panels: every picture upright, on its window, under its title; and nothing overlaps."""

import gc
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from trainer.evaluation.figures import ERROR_GAIN, WARNING, Panel, draw_panels, panel_figure

CAPTION = "volume: 14.50 dB / SSIM 0.467"


def made_up(seed: int, shape: tuple[int, int], names: list[str], std: bool = False) -> Panel:
    rng = np.random.default_rng(seed)
    images = {name: 1e-4 * rng.random(shape) for name in ["zero_filled", *names]}
    target = 1e-4 * rng.random(shape)
    return Panel(
        label=f"file100000{seed}.h5 slice 17\nCORPDFS_FBK",
        images=images,
        target=target,
        std=1e-5 * rng.random(shape) if std else None,
        null_errors={name: image / 2 for name, image in images.items()},
        captions=dict.fromkeys(images, CAPTION),
    )


CASES = [
    [made_up(0, (32, 32), ["model"]), made_up(1, (32, 32), ["model"])],
    [made_up(0, (48, 32), ["tv"]), made_up(1, (20, 32), ["tv"])],
    [made_up(0, (32, 40), ["mean_8", "baseline", "sample"], std=True)],
    [made_up(0, (32, 32), ["model"])._replace(target=None, null_errors={}, captions={})],
]


def drawn(figure: Figure) -> dict[str, Bbox]:
    """Where everything with words or pictures is, in pixels."""
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    texts = [found for found in figure.findobj(Text) if isinstance(found, Text) and found.get_text()]
    places = {f"{k} {text.get_text()}": text.get_window_extent() for k, text in enumerate(texts)}
    return places | {f"picture {k}": image.get_window_extent() for k, image in enumerate(axes.images)}


def test_a_picture_leaves_no_memory_behind(tmp_path):
    def figures() -> int:
        return sum(type(thing) is Figure for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = figures()
        draw_panels(tmp_path / "a.png", CASES[0], "x4")
        assert figures() == before
    finally:
        gc.enable()
    assert (tmp_path / "a.png").exists()
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("panels", CASES)
def test_nothing_overlaps_or_is_cut_off(panels):
    figure = panel_figure(panels, "x4 (achieved x3.9)")
    places = drawn(figure)
    for (one, a), (other, b) in combinations(places.items(), 2):
        assert min(min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)) < 0.5, (one, other)
    for name, place in places.items():
        assert min(place.x0, place.y0) > -0.5, name
        assert place.x1 < figure.bbox.x1 + 0.5, name
        assert place.y1 < figure.bbox.y1 + 0.5, name


@pytest.mark.parametrize("panels", CASES)
def test_every_picture_is_upright_in_its_shape_and_on_the_truths_window(panels):
    figure = panel_figure(panels, "x4")
    images = figure.axes[0].images
    for panel in panels:
        best = list(panel.images)[1]
        reference = panel.images[best] if panel.target is None else panel.target
        wanted = {name: (image, 0, reference.max()) for name, image in panel.images.items()}
        if panel.target is not None:
            wanted["truth"] = (panel.target, 0, reference.max())
            error = np.abs(panel.images[best] - panel.target)
            wanted["error"] = (error, 0, reference.max() / ERROR_GAIN)
            wanted["null space"] = (panel.null_errors[best], 0, reference.max() / ERROR_GAIN)
        if panel.std is not None:
            wanted["std"] = (panel.std, 0, panel.std.max())
        if "sample" in panel.images:
            texture = panel.images["sample"] - panel.images["baseline"]
            wanted["texture"] = (texture, -reference.max() / ERROR_GAIN, reference.max() / ERROR_GAIN)
        for name, (image, low, high) in wanted.items():
            (found,) = [
                shown for shown in images if np.array_equal(np.asarray(shown.get_array()), image[::-1])
            ]
            assert found.get_clim() == pytest.approx((low, high)), name
            left, right, bottom, top = found.get_extent()
            assert (top - bottom) / (right - left) == pytest.approx(image.shape[0] / image.shape[1]), name


def test_pictures_stand_from_what_was_measured_to_what_was_added_each_under_its_title():
    (panel,) = CASES[2]
    best, truth = panel.images["mean_8"], panel.target
    wanted = {
        "zero-filled": panel.images["zero_filled"],
        "mean of 8 samples": best,
        "baseline": panel.images["baseline"],
        "sample": panel.images["sample"],
        "truth": truth,
        "|error| of mean of 8 samples [a.u.]": np.abs(best - truth),
        "null-space error [a.u.]": panel.null_errors["mean_8"],
        "standard deviation [a.u.]": panel.std,
        "texture: sample - baseline [a.u.]": panel.images["sample"] - panel.images["baseline"],
    }
    (axes,) = panel_figure([panel], "x8").axes
    height = max(text.get_position()[1] for text in axes.texts)
    titles = sorted(
        (text.get_position()[0], text.get_text()) for text in axes.texts if text.get_position()[1] == height
    )
    assert [title for _, title in titles] == list(wanted)
    for middle, title in titles:
        (shown,) = [
            found
            for found in axes.images
            if np.array_equal(np.asarray(found.get_array()), wanted[title][::-1])
        ]
        assert sum(shown.get_extent()[:2]) / 2 == pytest.approx(middle), title


def test_words_are_where_they_belong():
    (panel,) = CASES[2]
    figure = panel_figure([panel], "x8")
    assert figure.get_suptitle() == f"x8 · {WARNING}"
    (axes,) = figure.axes
    middles = {text.get_text(): text.get_position()[0] for text in axes.texts}
    for title, name in {
        "zero-filled": "zero_filled",
        "mean of 8 samples": "mean_8",
        "sample": "sample",
    }.items():
        (shown,) = [
            s for s in axes.images if np.array_equal(np.asarray(s.get_array()), panel.images[name][::-1])
        ]
        assert middles[title] == pytest.approx(sum(shown.get_extent()[:2]) / 2)
    assert [text.get_text() for text in axes.texts].count(CAPTION) == 4
    assert panel.std is not None
    assert f"{panel.std.max():.1e}" in middles  # the end of its scale of colours
