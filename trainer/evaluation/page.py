"""The page of `validate --html`: volumes, slices, accelerations and methods side by side, in one file.

It loads nothing from elsewhere. Pictures within are PNG of 8 bits, all on a window from 0 to the maximum of
the volume's truth; the browser takes errors from them. Labels come from data files and are never markup.
"""

import base64
import io
import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from loguru import logger
from PIL import Image

from config.schema import Validate
from fastmri.atomic import replacing
from fastmri.metrics import psnr, ssim
from fastmri.volumes import Volume
from trainer.data import spread_evenly
from trainer.evaluation.figures import BRIGHTEST, ERROR_GAIN, best_method, method_title
from trainer.evaluation.scores import Result, Score
from trainer.evaluation.tables import COLUMNS, PERCEPTUAL

COLORS = {"error": "magma", "std": "viridis"}  # colour-blind readers see their order as well
PARTS = ("page.css", "page_pictures.js", "page_words.js", "page.js")


class View(NamedTuple):
    """What the page holds of a volume at an acceleration; pictures as PNG in base64."""

    fname: str
    acceleration: int
    volume: dict[str, Any]  # what is the same at every acceleration
    achieved: float
    methods: dict[str, dict[str, Any]]  # pictures, and PSNR and SSIM of each
    std: list[str] | None  # pictures, of a stochastic model's samples
    measures: list[dict[str, Any]]  # of the whole volume: a title and a text per method


class Selection(NamedTuple):
    """Which volumes a page shows, and how many slices of each."""

    fnames: list[str]
    slices: int

    def views(self, result: Result, scores: list[Score]) -> list[View]:
        """What the page shows of one volume at one acceleration: nothing, unless it is selected."""
        return [_view(result, scores, self.slices)] if result.volume.fname in self.fnames else []


def select_views(volumes: list[Volume], options: Validate) -> Selection:
    """Select as many volumes as asked, alike of every acquisition and spread over its volumes."""
    groups: dict[str, list[str]] = {}
    for volume in volumes:
        groups.setdefault(volume.acquisition, []).append(volume.fname)
    turns = (name for k in range(len(volumes)) for name in sorted(groups) if k < len(groups[name]))
    shares = Counter(islice(turns, options.page_volumes))
    chosen = {groups[name][k] for name in shares for k in spread_evenly(len(groups[name]), shares[name])}
    return Selection([v.fname for v in volumes if v.fname in chosen], options.page_slices)


def _view(result: Result, scores: list[Score], slices: int) -> View:
    target, estimates = result.target, result.estimates
    top, chosen = float(target.max()), spread_evenly(len(target), slices)
    volume = {
        "fname": result.volume.fname,
        "acquisition": result.volume.acquisition,
        "num_slices": len(target),
        "slices": chosen,
        "shape": target.shape[1:],
        "maximum": top,
        "window": float(np.quantile(target, BRIGHTEST)) / top,
        "truth": _pictures(target[chosen], top),
    }
    methods = {
        name: _method(target[chosen], found.magnitude.numpy()[chosen], top)
        for name, found in estimates.methods.items()
    }
    sampled = any(name.startswith("mean_") for name in methods)
    std = _pictures(estimates.std.numpy()[chosen], top) if sampled and estimates.std is not None else None
    achieved = scores[0].achieved_acceleration
    return View(result.volume.fname, result.acceleration, volume, achieved, methods, std, _measures(scores))


def _method(target: np.ndarray, images: np.ndarray, top: float) -> dict[str, Any]:
    """Some slices (S, h, w), scored one by one with the volume's maximum, as fastMRI's metrics have it."""
    values = [psnr(truth, image, top) for truth, image in zip(target, images, strict=True)]
    return {
        "pictures": _pictures(images, top),
        "psnr": [f"{value:.2f}" if np.isfinite(value) else "∞" for value in values],
        "ssim": [f"{ssim(t[None], i[None], top):.3f}" for t, i in zip(target, images, strict=True)],
    }


def _pictures(images: np.ndarray, top: float) -> list[str]:
    """Slices (S, h, w) from 0 to `top` as PNG of 8 bits in base64, upright: fastMRI's are upside down."""
    pictures = []
    for values in np.rint(np.clip(images / top, 0, 1) * 255).astype(np.uint8):
        content = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(values[::-1])).save(content, "png", optimize=True)
        pictures.append(base64.b64encode(content.getvalue()).decode())
    return pictures


def _measures(scores: list[Score]) -> list[dict[str, Any]]:
    """What was measured of the whole volume, as the tables have it."""
    found = {score.method: score.metrics._asdict() | score.perceptual for score in scores}
    lines = []
    for name, (title, form) in (COLUMNS | PERCEPTUAL).items():
        values = {method: all_of[name] for method, all_of in found.items() if all_of.get(name) is not None}
        if values:
            lines.append({"title": title, "values": {m: f"{value:{form}}" for m, value in values.items()}})
    return lines


def write_page(folder: Path, views: list[View], run: str, volumes: int) -> Path:
    """Write index.html, of views in order of their volumes and accelerations, out of so many volumes."""
    path, text = folder / "index.html", _html(_content(views, run, volumes))
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    shown = {view.fname: view.volume for view in views}
    slices = sum(len(volume["slices"]) for volume in shown.values())
    logger.info(
        "{}: {} of {} volumes, {} of their {} slices, {:.1f} MB",
        *(path, len(shown), volumes, slices, sum(volume["num_slices"] for volume in shown.values())),
        path.stat().st_size / 1e6,
    )
    return path


def _content(views: list[View], run: str, volumes: int) -> dict[str, Any]:
    """Everything that the page's script reads."""
    shown: dict[str, dict[str, Any]] = {}
    for view in views:
        volume = shown.setdefault(view.fname, view.volume | {"views": {}})
        volume["views"][view.acceleration] = {
            name: getattr(view, name) for name in ("achieved", "methods", "std", "measures")
        }
    methods = list(views[0].methods)
    return {
        "run": run,
        "volumes_in_all": volumes,
        "accelerations": list(dict.fromkeys(view.acceleration for view in views)),
        "methods": {name: method_title(name) for name in [*methods, "truth"]},
        "best": best_method(methods),
        "gain": ERROR_GAIN,
        "colors": {name: _lookup(colors) for name, colors in COLORS.items()},
        "volumes": list(shown.values()),
    }


def _lookup(colors: str) -> list[int]:
    """256 colours, red, green and blue of each."""
    return matplotlib.colormaps[colors](np.arange(256), bytes=True)[:, :3].ravel().tolist()


def _html(content: dict[str, Any]) -> str:
    """The template with its parts and the data put in; no `<` of the data is left to open a tag."""
    here = Path(__file__).parent
    text = (here / "page.html").read_text(encoding="utf-8")
    for name in PARTS:
        text = text.replace(f"/* {name} */", (here / name).read_text(encoding="utf-8"))
    return text.replace("/* data */", json.dumps(content, allow_nan=False).replace("<", "\\u003c"))
