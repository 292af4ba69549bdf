"""Samples of a model for a batch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from custom_nn.generative import Condition, Generative
from custom_nn.model import Noise, Reconstruction
from custom_nn.models import Trained
from fastmri.slices import SliceBatch
from trainer.noise import evaluation_noise

ROWS = {"cpu": 1, "cuda": 16}  # drawn at once: a GPU is idle otherwise, a CPU slower by it

Draw = Callable[[SliceBatch], list[Reconstruction]]  # samples of each slice, the same in every call


def training_draws(model: Trained, batch: SliceBatch, noise: Noise, count: int) -> list[Reconstruction]:
    """`count` samples of each slice, in one pass; what they share is computed once."""
    data = (batch.masked_kspace, batch.mask)
    if count == 1:
        return [model(*data, noise, batch.scale)]
    assert model.stochastic
    latent = model.encode(*data, batch.scale)
    return _drawn(model, batch, latent, noise, count)


def evaluation_draws(model: nn.Module, batch: SliceBatch, seed: int, samples: int) -> list[Reconstruction]:
    """The first `samples` samples of each slice: the same in any batch, order and number of processes."""
    first = model(batch.masked_kspace, batch.mask, _noise(batch, seed, range(1)), batch.scale)
    draws = [first]
    for numbers in _groups(range(1, samples), batch):
        found = _drawn(model, batch, first.latent, _noise(batch, seed, numbers), len(numbers))
        draws += [draw._replace(latent=first.latent) for draw in found]  # not one for each
    return draws


class KeptDraws:
    """`evaluation_draws` of a model of which nothing but gains changes from call to call.

    So textures are decoded once, and kept in the host's memory: 1.9 MB a slice and sample at full size. Not
    of a model that draws again, for which gains decide from what.
    """

    def __init__(self, model: Generative, seed: int, samples: int):
        assert not model.redraws
        self.model, self.seed, self.samples = model, seed, samples
        self.kept: dict[tuple, tuple[Condition, list[list[Tensor]]]] = {}

    def __call__(self, batch: SliceBatch) -> list[Reconstruction]:
        key = (*batch.fname, *batch.slice_num, *batch.acceleration)
        if key not in self.kept:
            self.kept[key] = _mapped(Tensor.cpu, self._decoded(batch))
        condition, samples = _mapped(lambda x: x.to(batch.mask.device), self.kept[key])
        return [self.model.rendered(condition, decoded, batch.mask) for decoded in samples]

    def _decoded(self, batch: SliceBatch) -> tuple[Condition, list[list[Tensor]]]:
        """Two draws of each sample, and of what they share no more than a sample is made with."""
        condition = self.model.encode(batch.masked_kspace, batch.mask, batch.scale)
        samples: list[list[Tensor]] = []
        for numbers in _groups(range(self.samples), batch):
            count, noise = len(numbers), _noise(batch, self.seed, numbers)
            samples += _split(self.model.decoded(_repeated(condition, count), noise, 2), count)
        return condition._replace(units=[], features=[]), samples


def _noise(batch: SliceBatch, seed: int, numbers: range) -> Noise:
    return evaluation_noise(seed, batch.fname, batch.slice_num, numbers, batch.mask.device)


def _groups(numbers: range, batch: SliceBatch) -> list[range]:
    """Samples that are drawn together."""
    size = max(ROWS[batch.mask.device.type] // len(batch.fname), 1)
    return [numbers[k : k + size] for k in range(0, len(numbers), size)]


def _drawn(
    model: nn.Module, batch: SliceBatch, latent: Any, noise: Noise, count: int
) -> list[Reconstruction]:
    """Samples of each slice, in one pass, by what they share."""
    shared = (batch.masked_kspace, batch.mask, batch.scale, latent)
    masked_kspace, mask, scale, latent = _repeated(shared, count)
    return _split(model(masked_kspace, mask, noise, scale, latent), count)


def _repeated(tree: Any, count: int) -> Any:
    """All rows so many times, one time after the other."""
    return tree if count == 1 else _mapped(lambda x: torch.cat([x] * count), tree)


def _split(tree: Any, count: int) -> list[Any]:
    """The rows of each time."""
    return [_mapped(partial(_part, k, count), tree) for k in range(count)]


def _part(k: int, count: int, x: Tensor) -> Tensor:
    return x.chunk(count)[k]


def _mapped(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """A function of every tensor in nested tuples and lists, in their place."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, list | tuple):
        parts = [_mapped(function, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree
