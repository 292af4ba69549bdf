"""Samples of a model for a batch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from custom_nn.model import Noise, Reconstruction
from custom_nn.models import Trained
from fastmri.slices import SliceBatch
from trainer.noise import evaluation_noise


def training_draws(model: Trained, batch: SliceBatch, noise: Noise, count: int) -> list[Reconstruction]:
    """`count` samples of each slice, in one pass; what they share is computed once."""
    data = (batch.masked_kspace, batch.mask)
    if count == 1:
        return [model(*data, noise, batch.scale)]
    assert model.stochastic
    latent = model.encode(*data, batch.scale)
    repeated = _mapped(lambda x: torch.cat([x] * count), (*data, batch.scale, latent))
    together = model(*repeated[:2], noise, *repeated[2:])
    return [_mapped(partial(_part, k, count), together) for k in range(count)]


def evaluation_draws(model: nn.Module, batch: SliceBatch, seed: int, samples: int) -> list[Reconstruction]:
    """The first `samples` samples of each slice: the same in any batch, order and number of processes."""
    data, device = (batch.masked_kspace, batch.mask), batch.mask.device
    noises = [evaluation_noise(seed, batch.fname, batch.slice_num, k, device) for k in range(samples)]
    first = model(*data, noises[0], batch.scale)
    return [first, *(model(*data, noise, batch.scale, latent=first.latent) for noise in noises[1:])]


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
