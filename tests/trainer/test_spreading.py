"""Samples are to differ as a posterior's would, in every band by itself."""

import math

import pytest
import torch
from torch import nn

from config.load import make_config
from custom_nn.gains import BandTable
from custom_nn.model import Reconstruction
from custom_nn.wavelets import band_count
from fastmri.posterior import law
from fastmri.volumes import Volume
from tests.gaussian import GaussianScene
from tests.trainer.conftest import TINY
from tests.trainer.test_objectives import batch_of
from trainer.data import find_volumes
from trainer.distributed import Process
from trainer.gaps import Gaps, measure_gaps, measure_means, tuning_batches
from trainer.spreading import drawing, tune_betas, tune_gains

ALONE = Process(torch.device("cpu"))
SAMPLES = 8
LAW = law(SAMPLES)


def config(**loss):
    return make_config(
        {
            "model": {"name": "generative", "freeze_baseline": False},
            "masks": {"accelerations": [4, 8]},
            "validate": {"samples": SAMPLES},
            "loss": {"std_reward": True, "samples": 2, "beta_rate": 0.1, "octaves": 1, **loss},
        }
    )


class Exact(nn.Module):
    """Exact samples of a Gaussian scene's posterior; with `wide` above 1 they differ by more, finely."""

    def __init__(self, scene: GaussianScene, wide: float = 1.0):
        super().__init__()
        self.scene, self.wide = scene, wide

    def forward(self, masked_kspace, mask, noise, scale=None, latent=None):
        image = self.scene.posterior_sample(masked_kspace)
        other = self.scene.posterior_sample(masked_kspace)
        fine = image - other - 0.5 * ((image - other).roll(1, -1) + (image - other).roll(-1, -1))
        return Reconstruction(image + (self.wide - 1) * fine, latent=())


def scene_gaps(wide: float) -> list[float]:
    torch.manual_seed(0)
    scene = GaussianScene(16)
    image, measured = scene.draw(20000)
    model = Exact(scene, wide)
    return (
        measure_gaps(drawing(model, config()), [batch_of(image, measured, scene.mask)], config(), ALONE)[4]
        .bands.flatten()
        .tolist()
    )


def test_exact_samples_obey_the_law_in_every_band():
    gaps = scene_gaps(1.0)
    finest, fine, coarse = gaps[2:4], gaps[8:10], gaps[12:14]  # of one row, other bands have nothing
    assert [*finest, *fine, *coarse] == pytest.approx([LAW] * 6, abs=0.05)


def test_too_much_in_one_band_shows_in_that_band():
    right, wrong = scene_gaps(1.0), scene_gaps(2.0)
    for fine, coarse in ((2, 12), (3, 13)):
        assert wrong[fine] > right[fine] + 1
        assert abs(wrong[coarse] - right[coarse]) < 0.5 * (wrong[fine] - right[fine])


class Adding(nn.Module):
    """Noise as the baseline; the texture's mean is so much of what is lacking, and so much that is wrong."""

    def __init__(self, truth, right: float, wrong: float):
        super().__init__()
        self.truth, self.right, self.wrong = truth, right, wrong
        self.baseline, self.error = torch.randn_like(truth), torch.randn_like(truth)

    def forward(self, masked_kspace, mask, noise, scale=None, latent=None):
        mean = self.right * (self.truth - self.baseline) + self.wrong * self.error
        return Reconstruction(self.baseline + mean + torch.randn_like(mean), self.baseline, latent=())


@pytest.mark.parametrize(
    ("right", "wrong", "kept"), [(1, 0, 1), (0.5, 0, 1), (2, 0, 0.5), (0, 1, 0), (-1, 0, 0)]
)
def test_of_a_textures_mean_as_much_is_kept_as_is_right(right, wrong, kept):
    torch.manual_seed(0)
    scene = GaussianScene(16)
    image, measured = scene.draw(20000)
    draw = drawing(Adding(image, right, wrong), config())
    found = measure_means(draw, [batch_of(image, measured, scene.mask)], config(), ALONE)
    assert [found[4][1][0], found[4][-1][1]] == pytest.approx([kept] * 2, abs=0.02)


def test_betas_move_by_what_is_missing_and_stay_below_where_the_reward_would_win():
    betas = ones()
    tune_betas(betas, gaps(LAW - 1, LAW + 1), config())
    assert betas == {4: [pytest.approx([1.1, 1.0])], 8: [pytest.approx([0.9, 1.0])]}
    for _ in range(30):
        tune_betas(betas, gaps(0.0, 9.0), config())
    assert 1.5 < betas[4][0][0] < 3**0.5
    assert betas[8] == [pytest.approx([0.0, 1.0])]


def ones() -> BandTable:
    return {4: [[1.0, 1.0]], 8: [[1.0, 1.0]]}


def gaps(first: float, second: float, image: float = LAW) -> dict[int, Gaps]:
    whole = torch.tensor(image).double()
    return {r: Gaps(whole, torch.tensor([[gap, LAW]]).double()) for r, gap in ((4, first), (8, second))}


def gap_of(spread: float) -> float:
    return 10 * math.log10((1 + spread**2) / (1 + spread**2 / SAMPLES))


@pytest.mark.parametrize(("fine", "coarse"), [(0.6, 2.0), (1.7, 0.6), (0.6, 0.6)])
@pytest.mark.parametrize("image", [0.95, 1.05])
def test_gains_mend_a_wrong_spread_of_the_image_and_make_it_alike_in_all_bands(fine, coarse, image):
    """`image`: what magnitudes make of the spread that all bands have."""
    gains, levels = ones(), {4: 1.0}
    for _ in range(40):
        drawn = fine * gains[4][0][0], coarse * gains[4][0][1]
        whole = image * math.sqrt((drawn[0] ** 2 + 3 * drawn[1] ** 2) / 4)
        found = Gaps(*(torch.tensor(x).double() for x in (gap_of(whole), [[gap_of(x) for x in drawn]])))
        tune_gains(gains, levels, {4: found}, config(gain_rate=0.7))
    assert gains[4][0] == pytest.approx([1 / fine / image, 1 / coarse / image], rel=0.02)


def test_nothing_is_amplified_without_end():
    gains, levels = ones(), {4: 1.0, 8: 1.0}
    for _ in range(30):
        tune_gains(gains, levels, gaps(0.0, 9.0, image=0.0), config(gain_rate=0.7))
    assert gains[4][0][0] == 4
    assert levels == {4: 1.2, 8: 1.2}


def test_without_a_rate_nothing_is_made_up():
    gains = ones()
    tune_gains(gains, {4: 1.0, 8: 1.0}, gaps(0.0, 9.0, image=0.0), config(gain_rate=0))
    assert gains == ones()


def places(batches) -> list[tuple[str, int, int]]:
    return sorted(
        place
        for batch in batches
        for place in zip(batch.fname, batch.slice_num, batch.acceleration, strict=True)
    )


@pytest.mark.parametrize(
    ("wanted", "per_volume"), [(2, [[1], [1]]), (5, [[0, 2], [0, 1]]), (100, [[0, 1, 2], [0, 1]])]
)
def test_slices_to_tune_by_are_spread_over_volumes_and_shared_by_processes(tiny_data, wanted, per_volume):
    content = {"device": "cpu", "data": TINY["data"] | {"path": str(tiny_data)}, "masks": TINY["masks"]}
    options = make_config(content | {"loss": {"tune_slices": wanted}})
    volumes: list[Volume] = find_volumes(options, "val")[:2]
    found = places(tuning_batches(options, volumes, ALONE))
    accelerations = options.masks.accelerations
    assert found == sorted(
        (volume.fname, k, r)
        for volume, slices in zip(volumes, per_volume, strict=True)
        for k in slices
        for r in accelerations
    )
    shares = [tuning_batches(options, volumes, Process(torch.device("cpu"), rank, 3)) for rank in range(3)]
    assert places(batch for share in shares for batch in share) == found


def test_each_octave_has_three_bands_the_finest_twice_and_what_is_left_is_one():
    assert [band_count(octaves) for octaves in (0, 1, 3)] == [1, 7, 13]
