"""Samples of a model for a batch."""

import torch
from torch import nn

from custom_nn.model import Noise, Reconstruction
from fastmri.dataset import Slice
from trainer.noise import evaluation_noise


def draw(model: nn.Module, batch: Slice, noises: list[Noise]) -> list[Reconstruction]:
    """One reconstruction per noise; what they share is computed once."""
    data = (batch.masked_kspace, batch.mask)
    first = model(*data, noises[0], batch.scale)
    return [first, *(model(*data, noise, batch.scale, latent=first.latent) for noise in noises[1:])]


def evaluation_draws(model: nn.Module, batch: Slice, seed: int, samples: int) -> list[Reconstruction]:
    """The first `samples` samples of each slice: the same in any batch, order and number of processes."""
    device: torch.device = batch.mask.device
    return draw(
        model,
        batch,
        [evaluation_noise(seed, batch.fname, batch.slice_num, k, device) for k in range(samples)],
    )
