"""Calibration curves: honest samples lie on the diagonal, boasting ones below it, and figures say which."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from config.schema import Config
from tests.custom_nn.test_models import cascade
from trainer.comparison.calibration_curves import Reliability, read_reliability, reliability_figure
from trainer.comparison.records import Record
from trainer.evaluation.reliability import LEVELS, NORMAL, exact_coverage, held, reliability_rows
from trainer.evaluation.trust import FACTORS, Trust, trust


def volume(seed: int, honest: float = 1.0, samples: int | None = None, acquisition: str = "PD") -> Trust:
    """Normal errors; `honest`: what is said of their std. The std is known, or that of so many samples."""
    rng = np.random.default_rng(seed)
    center, spread = 1 + rng.random((4, 40, 40)), 0.05 * (1 + rng.random((4, 40, 40)))
    target = center + spread * rng.standard_normal(center.shape)
    mean, std = center, spread
    if samples:
        draws = center + spread * rng.standard_normal((samples, *center.shape))
        mean, std = draws.mean(0), draws.std(0, ddof=1)
    return trust(f"file{seed}.h5", 8, acquisition, mean, honest * std, target, samples or 1000)


def test_the_right_std_lies_on_the_diagonal():
    (row, _) = reliability_rows([volume(k) for k in range(6)], 1000)
    assert row["coverage"]["mean"] == pytest.approx(LEVELS, abs=0.01)  # 38400 pixels: 3 x 0.0026
    assert exact_coverage(1000) == pytest.approx(LEVELS, abs=0.001)


@pytest.mark.parametrize("samples", [2, 4, 8])
def test_a_few_samples_of_the_right_law_hold_what_is_told_of_them(samples):
    (row, _) = reliability_rows([volume(k, samples=samples) for k in range(6)], samples)
    assert row["coverage"]["mean"] == pytest.approx(exact_coverage(samples), abs=0.012)
    assert row["exact"] == exact_coverage(samples).tolist()
    assert (exact_coverage(samples) < LEVELS).all()


@pytest.mark.parametrize("honest", [0.5, 2.0])
def test_too_small_a_std_falls_below_and_too_large_a_one_rises_above(honest):
    found = held(volume(0, honest))
    expected = 2 * norm.cdf(honest * norm.ppf((1 + LEVELS) / 2)) - 1
    assert found == pytest.approx(expected, abs=0.02)
    assert ((found < LEVELS) == (honest < 1)).all()


def test_rows_are_over_volumes_and_by_acquisition():
    volumes = [volume(0), volume(1, 0.5, acquisition="FS"), volume(2, 0.7, acquisition="FS")]
    rows = reliability_rows(volumes, 4)
    assert [(row["acquisition"], row["volumes"]) for row in rows] == [("all", 3), ("FS", 2), ("PD", 1)]
    parts = np.array([held(each) for each in volumes])
    over = rows[0]["coverage"]
    assert over["mean"] == pytest.approx(parts.mean(0))
    assert over["min"] == pytest.approx(parts[1])  # the least honest one
    assert over["max"] == pytest.approx(parts[0])
    for (low, high), mean in zip(over["interval"], over["mean"], strict=True):
        assert low <= mean <= high
    assert rows[2]["coverage"]["interval"] == [None] * len(LEVELS)  # of one volume
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    for row in rows:
        assert (np.diff(row["coverage"]["mean"]) >= 0).all()
    assert FACTORS[0] < NORMAL[0]  # no level is beyond what was counted


def record(label: str, summary: dict | None) -> Record:
    return Record(label, Path(), 1, 1, Config(), cascade(), [], summary)


@pytest.fixture
def found() -> list[Reliability]:
    """One run calibrated at one of two accelerations, and one of an older program, and one not validated."""
    rows = reliability_rows([volume(k, 0.6) for k in range(3)], 4)
    rows += [row | {"acceleration": 4} for row in rows]
    held_out = {"acceleration": 8, "acquisition": "all", "level": 0.8, "coverage": {"mean": 0.83, "min": 0.7}}
    told = {"reliability": rows, "trust": [held_out, held_out | {"acquisition": "PD"}]}
    return read_reliability([record("texture", told), record("old", {"trust": []}), record("new", None)])


def test_runs_that_tell_nothing_are_left_out(found):
    assert [(each.title, each.acceleration) for each in found] == [("texture", 8), ("texture", 4)]
    assert found[0].calibrated == (0.8, 0.83, 0.7)
    assert found[1].calibrated is None


def test_places_that_no_acceleration_takes_are_empty(found):
    figure = reliability_figure([found[0]._replace(acceleration=2 + k) for k in range(5)])
    assert [axis.axison for axis in figure.axes] == [True] * 5 + [False] * 3


def test_the_figure_has_the_curve_and_the_calibrated_point_at_its_level(found):
    figure = reliability_figure(found)
    panels = {axis.get_title(): axis for axis in figure.axes}
    assert list(panels) == ["x4", "x8"]
    for axis in panels.values():
        lines = {line.get_label(): np.asarray(line.get_xydata()) for line in axis.lines}
        assert (lines["as stated"][:, 0] == lines["as stated"][:, 1]).all()
        expected = np.stack([found[0].level, found[0].mean], 1)
        assert np.array_equal(lines["texture (band: 3 volumes)"], expected)
        assert len(axis.collections) >= 1  # the band
    points = {
        title: [np.asarray(line.get_xydata()).tolist() for line in a.lines] for title, a in panels.items()
    }
    assert [[0.8, 0.83]] in points["x8"]
    assert [[0.8, 0.83]] not in points["x4"]
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[:3] == ["as stated", "4 exact samples", "texture (band: 3 volumes)"]
    assert words[3] == "texture, calibrated to 80%"
