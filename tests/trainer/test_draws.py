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
