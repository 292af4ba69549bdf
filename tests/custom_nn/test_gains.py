"""Gains of a texture's bands."""

import pytest
import torch

from custom_nn.gains import BandGains
from custom_nn.wavelets import band_count, wavelets

BANDS = band_count(1)
FIRST, SECOND = [[2.0, 0.5]] * BANDS, [[8.0, 0.5]] * BANDS


def mask(acceleration: int) -> torch.Tensor:
    return (torch.arange(64) % acceleration == 0).view(1, 1, 1, 64)


@pytest.mark.parametrize(("acceleration", "factor"), [(2, 2.0), (4, 2.0), (8, 4.0), (16, 8.0), (32, 8.0)])
def test_between_known_accelerations_they_are_between_and_beyond_them_no_more(acceleration, factor):
    texture = torch.randn(1, 2, 12, 64)
    strengthened = BandGains({16: SECOND, 4: FIRST})(texture, mask(acceleration))
    torch.testing.assert_close(strengthened, texture * torch.tensor([factor, 0.5]).view(1, 2, 1, 1))


def test_each_slice_has_those_of_its_own_mask():
    texture = torch.randn(2, 2, 12, 64)
    both = BandGains({4: FIRST, 16: SECOND})
    together = both(texture, torch.cat([mask(4), mask(16)]))
    alone = [both(texture[k : k + 1], mask(r)) for k, r in enumerate((4, 16))]
    torch.testing.assert_close(together, torch.cat(alone))


def test_one_acceleration_alone_serves_all():
    texture = torch.randn(1, 2, 12, 64)
    gains = BandGains({8: FIRST})
    torch.testing.assert_close(gains(texture, mask(2)), gains(texture, mask(32)))


def test_a_gain_of_one_band_touches_that_band():
    texture = torch.randn(1, 2, 12, 64)
    table = [[1.0, 1.0] for _ in range(BANDS)]
    table[1] = [3.0, 1.0]
    change = BandGains({4: table})(texture, mask(4)) - texture
    torch.testing.assert_close(change[:, 0], 2 * wavelets(texture, 1)[1, :, 0])
    torch.testing.assert_close(change[:, 1], torch.zeros_like(change[:, 1]))
