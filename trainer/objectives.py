"""What a training step minimises."""

from collections.abc import Sequence

import torch
from torch import Tensor

from config.schema import Loss
from custom_nn.energy_score import energy_score
from custom_nn.latent import Guidance
from custom_nn.layers import to_channels
from custom_nn.losses import l1_and_reward, ssim_terms
from custom_nn.model import Reconstruction
from fastmri.image import center_crop, image_size
from fastmri.physics import middle_slice, smooth_phase, zero_filled
from fastmri.slices import SliceBatch


def magnitude(image: Tensor, recon_size: tuple[int, int]) -> Tensor:
    """Magnitude of a native image, cropped last as fastMRI does: (N, 1, h, W) -> (N, 1, *recon_size)."""
    return center_crop(image.abs(), recon_size)


def cropped(image: Tensor, batch: SliceBatch) -> Tensor:
    """Real and imaginary parts of a native image in units of the volume's maximum: (N, 2, h, w)."""
    assert batch.target is not None
    return to_channels(center_crop(image, image_size(batch.target)) / batch.max_value)


def turned(images: Sequence[Tensor], batch: SliceBatch) -> list[Tensor]:
    """Each image's parts in phase and in quadrature with what was measured, as of `cropped`.

    That phase is known of the data alone, so no comparison of samples with a truth is biased by it.
    """
    back = smooth_phase(zero_filled(middle_slice(batch.masked_kspace))).conj()
    return [cropped(image * back, batch) for image in images]


def generator_terms(
    draws: list[Reconstruction], guidance: Guidance | None, batch: SliceBatch, weights: Loss, beta: Tensor
) -> dict[str, Tensor]:
    """Terms by name, before their weights, and under 'total' the weighted sum.

    'std', the reward of the standard deviation, is weighted already, and subtracted. `draws` are samples of
    the same slices, in the input's units; terms are of images over the volume's maximum, and of the draws'
    mean. With each L1 goes a reward of their standard deviation, weighted by `beta` (bands, 2, N) in each
    wavelet band of what is in phase and in quadrature; a magnitude counts as in phase.
    """
    assert batch.target is not None
    assert batch.kspace is not None
    size, target = image_size(batch.target), batch.target / batch.max_value
    magnitudes = torch.stack([magnitude(draw.image, size) / batch.max_value for draw in draws])
    terms = ssim_terms(magnitudes.mean(0), target, weights.ms_ssim, weights.ssim)
    total = sum(getattr(weights, name) * term for name, term in terms.items())
    rewards = []
    compared = {}
    if weights.l1:
        compared["l1"] = magnitudes, target
    if weights.complex_l1:
        compared["complex_l1"] = _complex_pair(draws, batch, weights)
    for name, pair in compared.items():
        weight = getattr(weights, name)
        terms[name], reward = l1_and_reward(*pair, weights.octaves)
        rewards.append(weight * (beta[:, : reward.shape[1]] * reward).sum(0).mean())
        total = total + weight * terms[name]
    if weights.energy_score:
        terms["energy_score"] = energy_score(magnitudes, target)
        total = total + weights.energy_score * terms["energy_score"]
    if weights.std_reward:
        terms["std"] = sum(rewards)
        total = total - terms["std"]
    trained_along = draws[0].baseline
    if trained_along is not None and trained_along.requires_grad:
        truth = zero_filled(batch.kspace)
        terms["baseline"] = (cropped(trained_along, batch) - cropped(truth, batch)).abs().mean()
        total = total + weights.baseline * terms["baseline"]
    if guidance is not None:
        terms |= {"kl": guidance.kl, "texture": guidance.texture}
        total = total + weights.kl * guidance.kl + weights.texture * guidance.texture
    return {"total": total, **terms}


def _complex_pair(draws: list[Reconstruction], batch: SliceBatch, weights: Loss) -> tuple[Tensor, Tensor]:
    """Channels of the samples (P, N, 2, h, w) and of the truth; turned where there are several."""
    assert batch.kspace is not None
    images = [zero_filled(batch.kspace), *(draw.image for draw in draws)]
    truth, *samples = turned(images, batch) if weights.posterior else [cropped(x, batch) for x in images]
    return torch.stack(samples), truth
