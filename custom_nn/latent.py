"""Gaussian latents, and what guides them."""

from typing import NamedTuple

import torch
from torch import Tensor

from custom_nn.model import Noise

LOG_VARIANCE_LIMIT = 10.0


class Gaussian(NamedTuple):
    """Independent normal variables."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Noise) -> Tensor:
        """A draw that gradients pass (Kingma & Welling, arXiv 1312.6114)."""
        return self.mean + torch.exp(0.5 * self.log_variance) * noise(tuple(self.mean.shape))


class Guidance(NamedTuple):
    """Terms of the loss that hold the latent to the truth, each a scalar."""

    kl: Tensor  # mean over the batch
    texture: Tensor


def gaussian(parameters: Tensor, shape: tuple[int, ...]) -> Gaussian:
    """Means and log-variances from one vector per slice: (N, 2 prod(shape)) -> (N, *shape) each."""
    mean, log_variance = parameters.float().unflatten(1, (2, *shape)).unbind(1)
    return Gaussian(mean, log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT))


def kl_divergence(posterior: Gaussian, prior: Gaussian) -> Tensor:
    """KL(posterior || prior), summed over the latent, mean over the batch."""
    difference = posterior.log_variance - prior.log_variance
    distance = (posterior.mean - prior.mean).square() * torch.exp(-prior.log_variance)
    return 0.5 * (difference.exp() + distance - 1 - difference).flatten(1).sum(1).mean()


def standard_normal(like: Gaussian) -> Gaussian:
    """The normal distribution of mean 0 and variance 1, in the shape of another."""
    return Gaussian(torch.zeros_like(like.mean), torch.zeros_like(like.log_variance))
