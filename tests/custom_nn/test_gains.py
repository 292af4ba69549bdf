"""Gains of a texture's bands."""

import pytest
import torch

from custom_nn.gains import BandGains
from custom_nn.wavelets import band_count, wavelets

BANDS = band_count(1)
FIRST, SECOND = [[2.0, 0.5]] * BANDS, [[8.0, 0.5]] * BANDS


def mask(acceleration: int) -> torch.Tensor:
    return (torch.arange(64) % acceleration == 0).view(1, 1, 1, 64)


def strengthened(table, texture: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One draw, mean and all; the other counts for nothing."""
    return BandGains(table, table)(texture, torch.randn_like(texture), mask)


@pytest.mark.parametrize(("acceleration", "factor"), [(2, 2.0), (4, 2.0), (8, 4.0), (16, 8.0), (32, 8.0)])
def test_between_known_accelerations_they_are_between_and_beyond_them_no_more(acceleration, factor):
    texture = torch.randn(1, 2, 12, 64)
    constant = {4: [[1.0, 1.0]] * BANDS, 16: [[3.0, 1.0]] * BANDS}
    gains = BandGains({16: SECOND, 4: FIRST}, {4: [[0.0, 0.0]] * BANDS, 16: [[0.0, 0.0]] * BANDS})
    difference = gains(texture, torch.zeros_like(texture), mask(acceleration))
    torch.testing.assert_close(2**0.5 * difference, texture * torch.tensor([factor, 0.5]).view(1, 2, 1, 1))
    same = BandGains({4: [[9.0, 9.0]] * BANDS, 16: [[9.0, 9.0]] * BANDS}, constant)
    mean = 1 + 2 * min(max((acceleration.bit_length() - 3) / 2, 0), 1)
    expected = texture * torch.tensor([mean, 1.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(same(texture, texture, mask(acceleration)), expected, atol=1e-5, rtol=1e-5)


def test_each_slice_has_those_of_its_own_mask():
    texture, other = torch.randn(2, 2, 2, 12, 64)
    both = BandGains({4: FIRST, 16: SECOND}, {4: SECOND, 16: FIRST})
    together = both(texture, other, torch.cat([mask(4), mask(16)]))
    alone = [both(texture[k : k + 1], other[k : k + 1], mask(r)) for k, r in enumerate((4, 16))]
    torch.testing.assert_close(together, torch.cat(alone))


def test_one_acceleration_alone_serves_all():
    texture = torch.randn(1, 2, 12, 64)
    torch.testing.assert_close(
        strengthened({8: FIRST}, texture, mask(2)), strengthened({8: FIRST}, texture, mask(32))
    )


def test_a_gain_of_one_band_touches_that_band():
    texture = torch.randn(1, 2, 12, 64)
    table = [[1.0, 1.0] for _ in range(BANDS)]
    table[1] = [3.0, 1.0]
    change = strengthened({4: table}, texture, mask(4)) - texture
    torch.testing.assert_close(change[:, 0], 2 * wavelets(texture, 1)[1, :, 0])
    torch.testing.assert_close(change[:, 1], torch.zeros_like(change[:, 1]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("spread", "mean"), [(2.0, 0.0), (2.0, 0.5), (0.5, 0.7), (1.0, 1.0), (3.0, 1.0)])
def test_mean_and_spread_of_draws_have_each_its_factor(spread, mean):
    torch.manual_seed(0)
    middle, count = 3 * torch.randn(1, 2, 8, 64), 4000
    first, second = (middle + torch.randn(count, 2, 8, 64) for _ in range(2))
    gains = BandGains({4: [[spread] * 2] * BANDS}, {4: [[mean] * 2] * BANDS})
    drawn = gains(first, second, mask(4).expand(count, -1, -1, -1))
    torch.testing.assert_close(drawn.mean(0), mean * middle[0], atol=6 * spread / count**0.5, rtol=0)
    assert float(drawn.var(0).mean()) == pytest.approx(spread**2, rel=0.01)


def test_two_draws_that_may_hardly_differ_give_up_some_of_their_mean():
    texture, other = torch.randn(2, 1, 2, 12, 64)
    drawn = BandGains({4: [[0.5] * 2] * BANDS}, {4: [[1.0] * 2] * BANDS})(texture, other, mask(4))
    torch.testing.assert_close(drawn, (texture + other) / 8**0.5)
