"""The discriminator of a run, what the generator feels of it, and what it learns from."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from config.schema import Adversarial, Config
from custom_nn.discriminator import (
    PatchDiscriminator,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    r1_penalty,
)
from custom_nn.layers import to_channels
from custom_nn.model import Noise
from fastmri.image import center_crop, image_size
from fastmri.physics import middle_slice, smooth_phase, zero_filled
from fastmri.slices import SliceBatch
from trainer.distributed import Process
from trainer.optimizer import Gradients, gradients_of, make_optimizer


@dataclass
class Adversary:
    """A discriminator, with gradients off but in its own step, and its optimizer."""

    discriminator: nn.Module
    optimizer: AdamW


def make_adversary(config: Config, process: Process) -> Adversary | None:
    """None where the weight of the adversarial term is 0."""
    options = config.adversarial
    if not options.weight:
        return None
    torch.manual_seed(config.seed)
    discriminator = make_discriminator(options).to(process.device).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(discriminator, config.train, betas=(0.0, 0.99))
    return Adversary(discriminator.requires_grad_(False), optimizer)


def make_discriminator(options: Adversarial) -> PatchDiscriminator:
    """A discriminator with new weights."""
    return PatchDiscriminator(options.filters, options.regularizer == "spectral_norm")


def adversarial_weight(step: int, options: Adversarial) -> float:
    """0 before `start`, then rising over `ramp` steps."""
    since = step - options.start + 1
    return options.weight * min(max(since / max(options.ramp, 1), 0.0), 1.0)


class Seen(NamedTuple):
    """Images (N, 2, h, w) as the discriminator gets them: scaled, in phase with the first, cropped."""

    condition: Tensor  # zero-filled
    real: Tensor
    fake: Tensor


def seen(image: Tensor, batch: SliceBatch) -> Seen:
    """What the discriminator is shown of a batch and a drawn image, complex64 (N, 1, h, W)."""
    assert batch.target is not None
    assert batch.kspace is not None
    zero = zero_filled(middle_slice(batch.masked_kspace))
    back, size = smooth_phase(zero).conj() / batch.scale, image_size(batch.target)
    images = zero, zero_filled(batch.kspace), image
    return Seen(*(center_crop(to_channels(each * back), size) for each in images))


def adversarial_term(adversary: Adversary, images: Seen, options: Adversarial) -> Tensor:
    """What the generator minimises, unweighted."""
    return generator_loss(adversary.discriminator(images.fake, images.condition), options.loss)


def discriminator_gradients(
    adversary: Adversary, images: Seen, share: Tensor, noise: Noise, options: Adversarial
) -> tuple[dict[str, Tensor], Gradients]:
    """Its losses by name on the truth and the drawn image, and its gradients, `share` times."""
    network = adversary.discriminator.requires_grad_(True)
    condition, real, fake = images.condition, images.real, images.fake.detach()
    on_real, on_fake = network(real, condition), network(fake, condition)
    losses = {"discriminator": discriminator_loss(on_real, on_fake, options.loss)}
    total = losses["discriminator"]
    if options.regularizer == "gradient_penalty":
        losses["penalty"] = gradient_penalty(network, real, fake, condition, noise)
    elif options.regularizer == "r1":
        losses["penalty"] = r1_penalty(network, real, condition)
    if "penalty" in losses:
        total = total + options.penalty * losses["penalty"]
    gradients = gradients_of(share * total, list(network.parameters()))
    network.requires_grad_(False)
    return losses, gradients
