"""What a validation of a posterior sampler decides."""

import pytest

from fastmri.posterior import law
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.scores import Measures, Score, Spread
from trainer.evaluation.selection import rating

SAMPLES = 8
LAW = law(SAMPLES)


def found(gaps: dict[int, float], power: float = 1.0, correlation: float = 0.5) -> Evaluation:
    """A validation of one volume, whose mean of 8 samples gains `gaps` dB on one, by acceleration."""
    measures = Measures(30.0, 0.8, 0.01, power, correlation, 1.0, 0.5, 0.0)
    scores = [Score("sample", "file1.h5", r, "PD", float(r), measures, {}, [], None) for r in gaps]
    spreads = [Spread("file1.h5", r, {1: 30.0, SAMPLES: 30.0 + gap}) for r, gap in gaps.items()]
    return Evaluation(scores, spreads, [], [], 0.0)


def test_a_sampler_is_rated_by_each_acceleration_not_by_the_mean_of_gaps():
    right = rating(found({4: LAW, 8: LAW}), posterior=True)
    assert right == pytest.approx(0.5)
    assert rating(found({4: LAW + 1, 8: LAW - 1}), posterior=True) == pytest.approx(-1)
    assert rating(found({4: LAW + 0.2, 8: LAW - 0.2}), posterior=True) == right
    assert rating(found({4: LAW, 8: LAW, 16: LAW, 32: LAW - 0.9}), posterior=True) == pytest.approx(-0.9)


def test_of_right_gaps_the_right_texture_is_best():
    gaps = {4: LAW}
    assert rating(found(gaps, correlation=0.6), True) > rating(found(gaps, correlation=0.5), True)
    assert rating(found(gaps, power=1.5), True) == pytest.approx(rating(found(gaps, power=1 / 1.5), True))
    assert rating(found(gaps, power=1.5), True) < rating(found(gaps), True)


def test_other_models_are_rated_by_ssim():
    assert rating(found({4: 0.0, 8: 0.0}), posterior=False) == pytest.approx(0.8)


def test_a_texture_of_the_opposite_sign_is_worth_nothing():
    assert rating(found({4: LAW}, correlation=-0.5), True) == 0


def test_rating_is_of_what_the_run_draws_alone():
    evaluation = found({4: LAW})
    other = [
        s._replace(method=name, metrics=s.metrics._replace(ssim=0.1, correlation=0.0))
        for s in evaluation.scores
        for name in ("zero_filled", "baseline", "mean_8")
    ]
    for posterior in (True, False):
        more = evaluation._replace(scores=[*evaluation.scores, *other])
        assert rating(more, posterior) == rating(evaluation, posterior)
