"""Samples drawn together are those drawn one by one."""

from collections.abc import Iterator
from functools import partial

import pytest
import torch

from config.schema import Config
from tests.custom_nn.test_generative import global_, spatial
from tests.trainer.conftest import TINY
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process
from trainer.draws import training_draws
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


@pytest.mark.parametrize("side", [3, 200])  # in one thread, and in several
def test_noise_of_a_slice_is_its_own_whatever_is_drawn_beside_it(side):
    places = [("a.h5", 3), ("b.h5", 3), ("a.h5", 4)]

    def drawn(*chosen: tuple[str, int]) -> list[torch.Tensor]:
        fnames, slice_nums = [fname for fname, _ in chosen], [number for _, number in chosen]
        noise = evaluation_noise(1, fnames, slice_nums, 0, torch.device("cpu"))
        return [noise((len(chosen), 2, side, side)) for _ in range(2)]

    with torch.inference_mode():
        together = drawn(*places)
        for k, place in enumerate(places):
            for field, alone in zip(together, drawn(place), strict=True):
                assert torch.equal(field[k], alone[0])
    assert len({float(field[k, 0, 0, 0]) for field in together for k in range(3)}) == 6
