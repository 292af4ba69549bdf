"""Samples drawn again from some of their own columns, as if those were measured."""

from itertools import count

import pytest
import torch

from custom_nn.gains import BandGains
from custom_nn.generative import Generative
from custom_nn.model import Noise
from custom_nn.redrawing import STRIDE, believed, taken_columns
from fastmri.fourier import fft1c
from fastmri.masks import CENTER
from fastmri.physics import apply_mask, sampling_density
from tests.custom_nn.test_generative import spatial
from tests.custom_nn.test_models import scene
from trainer.noise import evaluation_noise

DENSEST = BandGains({2: [[1.0, 1.0]] * 7}, {2: [[0.9, 0.9]] * 7})


def redrawing(redraws: int = 2, **changes) -> Generative:
    model = spatial(redraws=redraws, **changes).eval()
    model.gains = DENSEST
    return model


def sparse_scene(
    slices: int = 2, adjacent_slices: int = 1
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two columns of 24: 12 times fewer."""
    image, _, _ = scene(slices, adjacent_slices, 16, 24)
    mask = ((torch.arange(24) == 12) | (torch.arange(24) == 5)).expand(slices, 1, 1, 24)
    return image, mask, apply_mask(fft1c(image), mask)


def seeded() -> Noise:
    generator = torch.Generator().manual_seed(1)
    return lambda shape: torch.randn(shape, generator=generator)


def still_at_first() -> Noise:
    """The same, but that there is none in the first call."""
    noise, calls = seeded(), count()
    return lambda shape: noise(shape) * (next(calls) > 0)


def seen_by_the_baseline(
    model: Generative, measured: torch.Tensor, mask: torch.Tensor, noise: Noise
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Data and mask of each of its calls."""
    calls = []
    hook = model.baseline.register_forward_pre_hook(lambda _, arguments: calls.append(arguments[:2]))
    model(measured, mask, noise)
    hook.remove()
    return calls


def test_taken_are_the_measured_columns_the_centre_and_others_at_random():
    mask = (torch.arange(100) == 3).expand(500, 1, 1, 100)
    taken = taken_columns(mask, torch.full((500, 1, 1, 1), 2.0), torch.randn(500, 1, 1, 100))
    assert taken[..., 3].all()
    assert (taken.sum(-1) == 25).all()
    center = (torch.arange(100) - 50).abs() < CENTER / 2 * 25
    assert taken[..., center].all()
    others = ~center & (torch.arange(100) != 3)
    expected = (25 - 1 - center.sum()) / others.sum()
    torch.testing.assert_close(
        taken[..., others].float().mean(0), expected.expand(1, 1, 92), atol=0.09, rtol=0
    )


@pytest.mark.parametrize("columns", [128, 322, 368, 372])
def test_four_times_as_many_columns_are_exactly_that(columns):
    """Though a density is a logarithm, which rounds, on a GPU otherwise than here."""
    counts = torch.arange(1, columns // 4)
    mask = torch.arange(columns) < counts[:, None, None, None]
    for rounding in (-1e-6, 0.0, 1e-6):
        density = sampling_density(mask) - STRIDE + rounding
        taken = taken_columns(mask, density, torch.randn(len(counts), 1, 1, columns))
        assert torch.equal(taken.sum(-1).flatten(), 4 * counts)


def test_no_measured_column_is_left_out_where_there_are_more_than_wanted():
    mask = torch.rand(4, 1, 1, 60) < 0.5
    taken = taken_columns(mask, torch.full((4, 1, 1, 1), 3.0), torch.randn(4, 1, 1, 60))
    assert torch.equal(taken, mask)


def test_texture_is_believed_where_there_may_be_something():
    found = believed(torch.tensor([0.0, 0.05, 0.3, 1.0, 3.0]))
    assert found[0] == 0
    assert found[-2] > 0.98
    assert found.diff().min() > 0


@pytest.mark.parametrize("adjacent_slices", [1, 3])
def test_each_time_the_baseline_sees_measured_columns_and_more_of_the_samples_own(adjacent_slices):
    _, mask, measured = sparse_scene(adjacent_slices=adjacent_slices)
    model = redrawing(redraws=3, adjacent_slices=adjacent_slices)
    first, *calls = seen_by_the_baseline(model, measured, mask, seeded())
    assert torch.equal(first[0], measured)
    assert len(calls) == 3
    for turn, (data, taken) in enumerate(calls):
        halvings = min((turn + 1) * STRIDE, float(sampling_density(mask[:1])) - 1)
        assert (taken.sum(-1) == round(2 * 2**halvings)).all()
        assert torch.equal(apply_mask(data, mask), measured)
        assert torch.equal(apply_mask(data, taken), data)
        assert apply_mask(data, ~mask).abs().sum() > 0
    assert not torch.equal(calls[1][1], calls[2][1])  # other columns, of as many


def test_what_is_drawn_again_depends_on_what_was_drawn_before():
    _, mask, measured = sparse_scene()
    noises = seeded(), still_at_first()
    calls = [seen_by_the_baseline(redrawing(redraws=1), measured, mask, noise) for noise in noises]
    (_, (one, taken)), (_, (other, same)) = calls
    assert torch.equal(taken, same)
    assert not torch.allclose(one, other)


def test_slices_of_dense_and_sparse_data_are_alone_what_they_are_in_a_batch():
    image, mask, _ = sparse_scene(3)
    mask = mask.clone()
    mask[1] = torch.arange(24) % 2 == 0  # as dense as what gains are tuned for: not drawn again
    measured = apply_mask(fft1c(image), mask)
    model, names = redrawing(), ["a", "b", "c"]

    def drawn(*places: int) -> torch.Tensor:
        noise = evaluation_noise(0, [names[k] for k in places], [0] * len(places), [0], torch.device("cpu"))
        return model(measured[list(places)], mask[list(places)], noise).image

    together = drawn(0, 1, 2)
    for place in range(3):
        assert (together[place] - drawn(place)[0]).abs().max() < 1e-3 * together[place].abs().max()
    plain = redrawing(redraws=0)
    plain_noise = evaluation_noise(0, ["b"], [0], [0], torch.device("cpu"))
    assert torch.equal(drawn(1), plain(measured[1:2], mask[1:2], plain_noise).image)
    assert not torch.allclose(drawn(0), redrawing(redraws=1)(measured[:1], mask[:1], seeded()).image)


def test_training_knows_nothing_of_it():
    _, mask, measured = sparse_scene()
    model = redrawing()
    model.gains = None  # as in training
    assert len(seen_by_the_baseline(model, measured, mask, seeded())) == 1
