"""What is said of a latent."""

import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as exact

from custom_nn.latent import Gaussian, kl_divergence


def test_a_divergence_is_torchs_summed_over_the_latent_and_a_draw_has_its_variance():
    one, two = (Gaussian(torch.randn(3, 2, 4), torch.randn(3, 2, 4)) for _ in range(2))
    normals = [Normal(each.mean, (each.log_variance / 2).exp()) for each in (one, two)]
    torch.testing.assert_close(kl_divergence(one, two), exact(*normals).sum() / 3)
    drawn = Gaussian(torch.full((10**5,), 3.0), torch.full((10**5,), 2.0)).sample(torch.randn)
    assert (drawn.mean().item(), drawn.var().item()) == pytest.approx((3, torch.e**2), rel=0.05)
