"""Texture over spatial frequency: how much of the truth's power a method has, and how much of it is right."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastmri.spectrum import RINGS
from trainer.comparison import press
from trainer.comparison.records import Record

FAINTEST = 1e-3  # of the truth's power: the axis ends there


class Spectrum(NamedTuple):
    """A method at an acceleration, ring by ring of unmeasured k-space; NaN where a ring has none."""

    title: str
    acceleration: int
    power_ratio: np.ndarray  # (RINGS,)
    correlation: np.ndarray  # (RINGS,)


def read_spectra(records: list[Record]) -> list[Spectrum]:
    """What the runs' metrics.json tells of rings; what several runs share, such as a frozen baseline, once.

    Images without power on unmeasured k-space, such as zero-filled ones, are left out.
    """
    found: list[Spectrum] = []
    for record in records:
        for row in (record.summary or {}).get("spectra", []):
            spectrum = Spectrum(record.title(row["method"]), row["acceleration"], *_rings(row))
            if _visible(spectrum) and not any(_same(spectrum, other) for other in found):
                found.append(spectrum)
    return found


def _visible(spectrum: Spectrum) -> bool:
    return bool((spectrum.power_ratio > FAINTEST).any())


def _same(one: Spectrum, other: Spectrum) -> bool:
    """Whether two methods have the same spectrum, up to the order of additions."""
    close = np.allclose(one.power_ratio, other.power_ratio, rtol=1e-4, equal_nan=True)
    return close and one.acceleration == other.acceleration


def _rings(row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Power ratio and correlation; where both are 0, all of a ring was measured."""
    power, correlation = np.array(row["power_ratio"]), np.array(row["correlation"])
    nothing = (power == 0) & (correlation == 0)
    return np.where(nothing, np.nan, power), np.where(nothing, np.nan, correlation)


def draw_spectra(path: Path, spectra: list[Spectrum]) -> Path:
    """Power ratio above correlation, a column per acceleration."""
    accelerations = sorted({spectrum.acceleration for spectrum in spectra})
    titles = list(dict.fromkeys(spectrum.title for spectrum in spectra))
    figure = Figure(figsize=(press.WIDTH, 4.2), layout="constrained")
    axes = figure.subplots(2, len(accelerations), sharex=True, sharey="row", squeeze=False)
    for spectrum in spectra:
        column, k = accelerations.index(spectrum.acceleration), titles.index(spectrum.title)
        _draw(axes[:, column], spectrum, press.line(k))
    for axis, acceleration in zip(axes[0], accelerations, strict=True):
        axis.axhline(1, color=press.GREY, linewidth=0.8, linestyle=":")
        axis.set_title(f"x{acceleration}", fontsize=8)
        axis.set(yscale="log")
        axis.set_ylim(bottom=max(FAINTEST, axis.get_ylim()[0]))
    for axis in axes[1]:
        axis.set_xlabel("cycles per pixel", fontsize=8)
    axes[0, 0].set_ylabel("power over the truth's", fontsize=8)
    axes[1, 0].set_ylabel("correlation with the truth", fontsize=8)
    press.legend(figure, "outside lower center")
    return press.write(figure, path)


def _draw(column: np.ndarray, spectrum: Spectrum, style: dict[str, Any]) -> None:
    """One method's two lines."""
    frequency = (np.arange(RINGS) + 0.5) * 0.5 / RINGS  # middles of the rings
    power: Axes
    power, correlation = column
    for axis, values in ((power, spectrum.power_ratio), (correlation, spectrum.correlation)):
        press.tidy(axis)
        axis.plot(frequency, values, linewidth=1.3, label=spectrum.title, **style)
        axis.set_xlim(0, 0.5)
