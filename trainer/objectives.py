"""What a training step minimises."""

import torch
from torch import Tensor

from config.schema import Loss
from custom_nn.latent import Guidance
from custom_nn.layers import to_channels
from custom_nn.losses import image_terms, std_reward, wavelets
from custom_nn.model import Reconstruction
from fastmri.dataset import Slice
from fastmri.image import center_crop
from fastmri.physics import zero_filled


def magnitude(image: Tensor, recon_size: tuple[int, int]) -> Tensor:
    """Magnitude of a native image, cropped last as fastMRI does: (N, 1, h, W) -> (N, 1, *recon_size)."""
    return center_crop(image.abs(), recon_size)


def generator_terms(
    draws: list[Reconstruction], guidance: Guidance | None, batch: Slice, weights: Loss, beta: Tensor
) -> dict[str, Tensor]:
    """Every weighted term by its name, unweighted, and under 'total' their weighted sum.

    `draws` are samples of the same slices, in units of the volume's maximum: the image terms are of their
    mean. `beta` (N,) weighs the reward of their standard deviation, which is of what the L1 compares.
    """
    size, top = batch.target.shape[-2:], batch.max_value
    magnitudes = torch.stack([magnitude(draw.image, size) / top for draw in draws])  # (P, N, 1, h, w)
    terms = image_terms(magnitudes.mean(0), batch.target / top, weights.ms_ssim, weights.ssim, weights.l1)
    compared, l1 = magnitudes[None], weights.l1  # compared: (bands, P, N, ...)
    if weights.complex_l1:
        truth = to_channels(center_crop(zero_filled(batch.kspace), size)) / top
        compared = torch.stack([to_channels(center_crop(draw.image, size)) / top for draw in draws])
        l1 = weights.complex_l1
        truth, compared = wavelets(truth, weights.octaves), wavelets(compared, weights.octaves)
        terms["complex_l1"] = (compared.mean(1) - truth).abs().sum(0).mean()
    total = sum(getattr(weights, name) * term for name, term in terms.items())
    if weights.std_reward:
        reward = torch.stack([std_reward(band) for band in compared]).sum(0)  # (N,)
        terms["std"] = reward.mean()
        total = total - l1 * (beta * reward).mean()
    if guidance is not None:
        terms |= {"kl": guidance.kl, "texture": guidance.texture}
        total = total + weights.kl * guidance.kl + weights.texture * guidance.texture
    return {"total": total, **terms}
