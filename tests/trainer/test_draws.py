"""Samples drawn together are those drawn one by one."""

from collections.abc import Iterator
from functools import partial

import pytest
import torch

from config.schema import Config
from custom_nn.gains import BandGains
from custom_nn.generative import Generative
from fastmri.slices import SliceBatch
from tests.custom_nn.test_generative import global_, spatial
from tests.custom_nn.test_models import scene
from tests.trainer.conftest import TINY
from trainer import draws
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process
from trainer.draws import KeptDraws, evaluation_draws, training_draws
from trainer.noise import evaluation_noise


def _next(fields: Iterator[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    field = next(fields)
    assert field.shape == shape
    return field


@pytest.mark.parametrize("make", [spatial, global_])
def test_samples_drawn_together_are_those_drawn_alone(make, tiny_data):
    config = Config.model_validate(TINY | {"data": TINY["data"] | {"path": str(tiny_data)}})
    loader = training_loader(config, find_volumes(config, "train"), Process(torch.device("cpu")))
    batch = next(iter(loader))
    model = make().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # at their start, strengths of noise are 0
            parameter.add_(0.1 * torch.randn_like(parameter))
    kept: list[torch.Tensor] = []

    def noise(shape: tuple[int, ...]) -> torch.Tensor:
        kept.append(torch.randn(shape))
        return kept[-1]

    together = training_draws(model, batch, noise, 3)
    assert not torch.equal(together[0].image, together[1].image)
    assert len(kept) > 1
    for k, sample in enumerate(together):
        fields = iter([field.chunk(3)[k] for field in kept])
        alone = model(batch.masked_kspace, batch.mask, partial(_next, fields), batch.scale)
        torch.testing.assert_close(sample.image, alone.image, rtol=1e-4, atol=1e-9)
        torch.testing.assert_close(sample.latent.scale, alone.latent.scale)


@pytest.fixture
def drawing() -> tuple[Generative, SliceBatch]:
    """A model with gains, and data of two slices."""
    _, mask, measured = scene(2, 1, 16, 24)
    model = spatial().eval()
    model.gains = BandGains({4: [[2.0, 0.5]] * 7}, {4: [[0.3, 0.1]] * 7})
    ones = torch.ones(2, 1, 1, 1)
    names: tuple = ["a", "b"], [3, 4], [4, 4], [""] * 2, [(0, 24)] * 2, [(16, 16)] * 2
    return model, SliceBatch(measured, mask, None, None, ones, 2 * ones, *names)


@torch.inference_mode()
def test_on_a_gpu_samples_are_drawn_together_which_changes_none(drawing, monkeypatch):
    model, batch = drawing
    alone = evaluation_draws(model, batch, 0, 5)
    monkeypatch.setattr(draws, "ROWS", {"cpu": 4})
    for one, other in zip(evaluation_draws(model, batch, 0, 5), alone, strict=True):
        torch.testing.assert_close(one.image, other.image, rtol=1e-4, atol=1e-7)


@torch.inference_mode()
def test_kept_draws_are_those_drawn_anew_with_the_gains_of_the_moment(drawing):
    model, batch = drawing
    kept, decoded = KeptDraws(model, 0, 3), []
    model.mapping.register_forward_hook(lambda *_: decoded.append(1))
    for gains in (model.gains, None, model.gains):
        model.gains = gains
        found = kept(batch)
        assert len(decoded) == 6
        expected = evaluation_draws(model, batch, 0, 3)
        del decoded[6:]
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one.image, other.image)
            torch.testing.assert_close(one.baseline, other.baseline, rtol=0, atol=0)


@pytest.mark.parametrize("side", [3, 200])  # in one thread, and in several
def test_noise_of_a_slice_is_its_own_whatever_is_drawn_beside_it(side):
    places = [("a.h5", 3), ("b.h5", 3), ("a.h5", 4)]

    def drawn(*chosen: tuple[str, int]) -> list[torch.Tensor]:
        fnames, slice_nums = [fname for fname, _ in chosen], [number for _, number in chosen]
        noise = evaluation_noise(1, fnames, slice_nums, [0], torch.device("cpu"))
        return [noise((len(chosen), 2, side, side)) for _ in range(2)]

    with torch.inference_mode():
        together = drawn(*places)
        for k, place in enumerate(places):
            for field, alone in zip(together, drawn(place), strict=True):
                assert torch.equal(field[k], alone[0])
    assert len({float(field[k, 0, 0, 0]) for field in together for k in range(3)}) == 6
