"""What a training step minimises."""

import torch
from torch import Tensor

from config.schema import Loss
from custom_nn.latent import Guidance
from custom_nn.layers import to_channels
from custom_nn.losses import misfit, ssim_terms
from custom_nn.model import Reconstruction
from fastmri.image import center_crop, image_size
from fastmri.physics import zero_filled
from fastmri.slices import SliceBatch


def magnitude(image: Tensor, recon_size: tuple[int, int]) -> Tensor:
    """Magnitude of a native image, cropped last as fastMRI does: (N, 1, h, W) -> (N, 1, *recon_size)."""
    return center_crop(image.abs(), recon_size)


def generator_terms(
    draws: list[Reconstruction], guidance: Guidance | None, batch: SliceBatch, weights: Loss, beta: Tensor
) -> dict[str, Tensor]:
    """Every weighted term by its name, unweighted, and under 'total' their weighted sum.

    `draws` are samples of the same slices, in units of the volume's maximum: the image terms are of their
    mean. With each L1 goes a reward of their standard deviation, weighed by `beta` (bands, N) in each
    wavelet band.
    """
    assert batch.target is not None
    assert batch.kspace is not None
    size, top = image_size(batch.target), batch.max_value
    target, truth = batch.target / top, center_crop(zero_filled(batch.kspace), size) / top
    magnitudes = torch.stack([magnitude(draw.image, size) / top for draw in draws])  # (P, N, 1, h, w)
    channels = torch.stack([to_channels(center_crop(draw.image, size) / top) for draw in draws])
    terms = ssim_terms(magnitudes.mean(0), target, weights.ms_ssim, weights.ssim)
    total = sum(getattr(weights, name) * term for name, term in terms.items())
    rewards = []
    compared = {"l1": (magnitudes, target), "complex_l1": (channels, to_channels(truth))}
    for name, (samples, wanted) in compared.items():
        if weight := getattr(weights, name):
            terms[name], reward = misfit(samples, wanted, weights.octaves)
            rewards.append(weight * (beta * reward).sum(0).mean())
            total = total + weight * terms[name]
    if weights.std_reward:
        terms["std"] = sum(rewards)
        total = total - terms["std"]
    if guidance is not None:
        terms |= {"kl": guidance.kl, "texture": guidance.texture}
        total = total + weights.kl * guidance.kl + weights.texture * guidance.texture
    return {"total": total, **terms}
