"""The discriminator judges patches, and its penalties are the gradients they say."""

import pytest
import torch
from torch import nn

from config.schema import Adversarial
from custom_nn.discriminator import (
    PatchDiscriminator,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    r1_penalty,
)


class Slope(nn.Module):
    """Logits that rise by `weight` per pixel and channel."""

    def __init__(self, weight: float):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, image, condition):
        return self.weight * image.sum(dim=(1, 2, 3), keepdim=True)


@pytest.mark.parametrize("spectral", [True, False])
def test_logits_are_a_map(spectral):
    network = PatchDiscriminator([4, 8, 8, 8], spectral)
    logits = network(torch.randn(2, 2, 64, 80), torch.randn(2, 2, 64, 80))
    assert logits.shape[:2] == (2, 1)
    assert logits.shape[2] > 1
    assert logits.shape[3] > 1


@pytest.mark.parametrize("filters", [[4], [4, 4], [4, 8, 8, 8]])
def test_the_smallest_image_has_one_logit_and_a_smaller_one_is_refused(filters):
    network = PatchDiscriminator(filters, spectral=False)
    side = network.smallest_side
    assert side == Adversarial(filters=filters).smallest_side
    image = torch.randn(1, 2, side, side)
    assert network(image, image).shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match=f"need images of {side} pixels a side, got {side - 1}x{side}"):
        network(image[:, :, 1:], image[:, :, 1:])


@pytest.mark.parametrize("changed", ["image", "condition"])
@pytest.mark.parametrize("spectral", [True, False])
def test_a_patch_sees_its_neighbourhood_of_image_and_condition_alone(spectral, changed):
    network = PatchDiscriminator([4, 8, 8, 8], spectral).eval()  # in training norms are found anew each time
    inputs = {"image": torch.randn(1, 2, 160, 160), "condition": torch.randn(1, 2, 160, 160)}
    before = network(**inputs)
    inputs[changed][..., -8:, -8:] += 1
    difference = (network(**inputs) - before).abs()[0, 0]
    assert difference[-1, -1] > 0
    assert difference[0, 0] == 0


def test_penalties_of_a_known_slope():
    image, condition = torch.randn(3, 2, 4, 5), torch.zeros(3, 2, 4, 5)
    slope = Slope(0.5)
    norm = 0.5 * (2 * 4 * 5) ** 0.5
    assert r1_penalty(slope, image, condition).item() == pytest.approx(0.5 * norm**2, rel=1e-5)
    found = gradient_penalty(slope, image, -image, condition, torch.randn)
    assert found.item() == pytest.approx((norm - 1) ** 2, rel=1e-5)
    found.backward()
    assert slope.weight.grad is not None
    assert slope.weight.grad.item() == pytest.approx(2 * (norm - 1) * norm / 0.5, rel=1e-4)


@pytest.mark.parametrize("kind", ["wasserstein", "non_saturating"])
def test_both_sides_pull_apart(kind):
    high, low = torch.ones(2, 1, 3, 3), -torch.ones(2, 1, 3, 3)
    assert discriminator_loss(high, low, kind) < discriminator_loss(low, high, kind)
    assert generator_loss(high, kind) < generator_loss(low, kind)
