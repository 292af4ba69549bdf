"""The conditional patch discriminator and its losses.

Isola et al., arXiv 1611.07004; it sees an image beside the zero-filled one, both in phase with the latter,
and judges each patch: logits are a map.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from custom_nn.model import Noise
from fastmri.image import image_size


class PatchDiscriminator(nn.Module):
    """Convolutions that halve the size, then one that takes off a pixel, and one that keeps it.

    (N, 2, h, w) twice -> logits (N, 1, h', w'). Raises ValueError of images below `smallest_side`.
    """

    def __init__(self, filters: list[int], spectral: bool):
        super().__init__()
        self.smallest_side = 2 ** len(filters)  # of which one logit is left
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(zip([4, *filters[:-1]], filters, strict=True)):
            stride = 1 if level and level == len(filters) - 1 else 2
            layers += [nn.Conv2d(inputs, outputs, 4, stride, padding=1), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv2d(filters[-1], 1, 3, padding=1))
        if spectral:  # Miyato et al., arXiv 1802.05957
            layers = [spectral_norm(layer) if isinstance(layer, nn.Conv2d) else layer for layer in layers]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        height, width = image_size(image)
        if min(height, width) < self.smallest_side:
            raise ValueError(
                f"adversarial.filters: so many need images of {self.smallest_side} pixels a side, "
                f"got {height}x{width}"
            )
        return self.layers(torch.cat([image, condition], dim=1))


def generator_loss(logits: Tensor, kind: str) -> Tensor:
    """What the generator minimises: softplus(-D), non-saturating (arXiv 1406.2661), or -D, Wasserstein's."""
    return F.softplus(-logits).mean() if kind == "non_saturating" else -logits.mean()


def discriminator_loss(real: Tensor, fake: Tensor, kind: str) -> Tensor:
    """What the discriminator minimises on logits of true and drawn images."""
    if kind == "non_saturating":
        return F.softplus(fake).mean() + F.softplus(-real).mean()
    return fake.mean() - real.mean() + 1e-3 * real.square().mean()  # the last holds the logits near 0


def r1_penalty(discriminator: nn.Module, real: Tensor, condition: Tensor) -> Tensor:
    """Half the squared gradient at true images, mean over the batch (Mescheder et al., arXiv 1801.04406)."""
    return 0.5 * _gradient(discriminator, real, condition).square().sum(dim=1).mean()


def gradient_penalty(
    discriminator: nn.Module, real: Tensor, fake: Tensor, condition: Tensor, noise: Noise
) -> Tensor:
    """(|gradient| - 1)^2 between true and drawn images (WGAN-GP, Gulrajani et al., arXiv 1704.00028)."""
    place = torch.special.ndtr(noise((len(real), 1, 1, 1)))  # uniform in (0, 1)
    gradient = _gradient(discriminator, torch.lerp(real, fake, place), condition)
    return ((gradient.square().sum(dim=1) + 1e-12).sqrt() - 1).square().mean()


def _gradient(discriminator: nn.Module, image: Tensor, condition: Tensor) -> Tensor:
    """Gradient of the mean logit of each image with respect to it, flattened: (N, 2 h w)."""
    image = image.detach().requires_grad_()
    logits = discriminator(image, condition).mean(dim=(1, 2, 3))
    (gradient,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
    return gradient.flatten(1)
