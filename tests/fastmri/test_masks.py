"""Masks equal the official code's to the column, and evaluation masks depend on the base name alone."""

import json
import re

import numpy as np
import pytest

from fastmri.masks import (
    KINDS,
    MaskSettings,
    achieved_acceleration,
    center_lines,
    evaluation_mask,
    training_mask,
)
from tests.conftest import ROOT, shared

PAIRS = [(4, 0.08), (8, 0.04), (16, 0.02), (32, 0.01)]


def test_a_sample_of_the_reference_masks_that_travels_with_the_tests():
    """Columns that the official code (facebookresearch/fastMRI, commit 91f2df4) samples."""
    check_masks(json.loads((ROOT / "tests" / "oracles" / "masks.json").read_text()), count=20)


def test_every_reference_mask():
    check_masks(json.loads(shared("oracles/masks.json").read_text()), count=320)


def check_masks(rows: list[dict], *, count: int) -> None:
    assert len(rows) == count
    for row in rows:
        setting = (row["kind"], row["width"], row["acceleration"], row["center_fraction"])
        mask = evaluation_mask(row["kind"], row["fname"], *setting[1:])
        assert np.flatnonzero(mask).tolist() == row["sampled_columns"], row
        assert center_lines(*setting) == row["num_low_frequencies"], row


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("acceleration", "fraction"), PAIRS)
@pytest.mark.parametrize("width", [40, 128, 368, 401])
def test_centre_is_always_sampled(kind, acceleration, fraction, width):
    low = center_lines(kind, width, acceleration, fraction)
    mask = evaluation_mask(kind, "file1000001.h5", width, acceleration, fraction)
    pad = (width - low + 1) // 2
    assert mask.dtype == bool
    assert mask.shape == (width,)
    assert mask[pad : pad + low].all()
    assert mask[width // 2]


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_mask_depends_on_the_base_name_alone(kind):
    masks = [
        evaluation_mask(kind, name, 368, 8, 0.04) for name in ("file1.h5", "/a/b/file1.h5", "../file1.h5")
    ]
    assert np.array_equal(masks[0], masks[1])
    assert np.array_equal(masks[0], masks[2])
    others = [evaluation_mask(kind, f"file{k}.h5", 368, 8, 0.04) for k in range(20)]
    assert any(not np.array_equal(masks[0], other) for other in others)


@pytest.mark.parametrize(("acceleration", "fraction"), PAIRS)
@pytest.mark.parametrize("width", [128, 368, 401])
def test_random_exact_keeps_exactly_so_many_lines(acceleration, fraction, width):
    for seed in range(20):
        mask = training_mask("random_exact", width, acceleration, fraction, np.random.default_rng(seed))
        assert mask.sum() == round(width / acceleration)


def test_random_varies_about_its_acceleration_as_the_reference_says():
    counts = [
        training_mask("random", 368, 32, 0.01, np.random.default_rng(seed)).sum() for seed in range(400)
    ]
    assert 10.5 < np.mean(counts) < 12.5  # 368 / 32 = 11.5
    assert min(counts) >= 4
    assert max(counts) > 16


def test_training_masks_are_new_at_every_draw_and_repeat_with_the_seed():
    draw = lambda seed: training_mask("random", 368, 8, 0.04, np.random.default_rng(seed))  # noqa: E731
    assert np.array_equal(draw((0, 1, 2)), draw((0, 1, 2)))
    assert not np.array_equal(draw((0, 1, 2)), draw((0, 1, 3)))
    assert not np.array_equal(draw((0, 1, 2)), draw((0, 0, 2)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("magic", "magic_fraction")])
def test_impossible_settings_are_named(kind):
    rule = "acceleration 32 with centre fraction 0.04 at width 368"
    with pytest.raises(ValueError, match=re.escape(rule)):
        evaluation_mask(kind, "file1.h5", 368, 32, 0.04)


def test_a_centre_that_is_all_of_the_lines_is_named():
    with pytest.raises(ValueError, match="width 128 would leave no line outside the centre"):
        evaluation_mask("equispaced_fraction", "file1.h5", 128, 4, 0.25)


def test_achieved_acceleration_counts_acquired_columns_alone():
    mask = np.zeros(10, dtype=bool)
    mask[[0, 3, 5]] = True
    assert achieved_acceleration(mask, (0, 10)) == pytest.approx(10 / 3)
    assert achieved_acceleration(mask, (2, 8)) == 3.0


def test_centre_fractions_follow_the_rule_unless_given():
    assert MaskSettings.make("random", [4, 8, 16, 32], None).pairs == tuple(PAIRS)
    settings = MaskSettings.make("random", [4], [0.1])
    assert settings.center_fraction(4) == 0.1
    assert settings.center_fraction(8) == 0.04
