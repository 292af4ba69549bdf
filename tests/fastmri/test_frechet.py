"""The Frechet distance of tiles: what it sees, what it must not see, and that volumes add up."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter

from fastmri.frechet import (
    FEATURES,
    TILE,
    TileMoments,
    frechet_distance,
    frechet_distances,
    tile_features,
    tile_moments,
)
from tests.conftest import smooth_images

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    """Magnitudes float32 (40, 128, 128) up to about 1, with some grain."""
    smooth = np.abs(smooth_images(40, 128, 128, seed=1))
    grain = np.random.default_rng(1).standard_normal(smooth.shape)
    return np.abs(smooth / smooth.max() + 0.02 * grain).astype(np.float32)


def moments(images: np.ndarray, top: float) -> list[TileMoments]:
    found = tile_moments(images, top, CPU)
    assert found is not None
    return [found]


def test_the_same_tiles_have_no_distance_and_order_does_not_matter(volume):
    top = float(volume.max())
    one, other = moments(volume, top), moments(gaussian_filter(volume, (0, 1, 1)), top)
    assert frechet_distance(one, one) < 1e-8
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), rel=1e-6)


@pytest.mark.parametrize("damage", ["blur", "grain"])
def test_more_damage_is_further_away(volume, damage):
    top, grain = float(volume.max()), np.random.default_rng(0).standard_normal(volume.shape)
    distances = []
    for strength in (0.5, 1, 2):
        if damage == "blur":
            worse = gaussian_filter(volume, (0, strength, strength))
        else:
            worse = np.abs(volume + 0.05 * strength * top * grain)
        distances.append(frechet_distance(moments(volume, top), moments(worse.astype(np.float32), top)))
    assert 0.01 < distances[0] < distances[1] < distances[2]


def test_units_of_the_volume_change_nothing(volume):
    top = float(volume.max())
    features = [tile_features(torch.from_numpy(volume * unit / (top * unit)).float()) for unit in (1, 1e-6)]
    torch.testing.assert_close(*features, rtol=1e-4, atol=1e-4)


def test_tiles_are_96_pixels_every_32(volume):
    wide = np.ones((3, TILE + 64, TILE + 31), np.float32)
    assert moments(wide, 1.0)[0].tiles == 3 * 3 * 1
    assert moments(volume, 1.0)[0].second.shape == (FEATURES, FEATURES)
    assert tile_moments(np.ones((3, TILE - 1, 200), np.float32), 1.0, CPU) is None


def test_volumes_add_up_to_all_their_tiles(volume):
    parts = moments(volume[:10], 1.0) + moments(volume[10:], 1.0)
    blurred = moments(gaussian_filter(volume, (0, 1, 1)), 1.0)
    assert frechet_distance(parts, blurred) == pytest.approx(
        frechet_distance(moments(volume, 1.0), blurred), rel=1e-6
    )


def test_the_distance_is_its_definition():
    def samples(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.standard_normal((200, 5)) @ rng.standard_normal((5, 5)) + rng.standard_normal(5)

    a, b = samples(1), samples(2)
    ca, cb = (np.cov(x.T, bias=True) for x in (a, b))
    wanted = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
    found = [[TileMoments(len(x), x.sum(0), x.T @ x)] for x in (a, b)]
    assert frechet_distance(*found) == pytest.approx(wanted, rel=1e-8)


def test_weights_count_volumes_more_than_once(volume):
    parts = moments(volume[:10], 1.0) + moments(volume[10:], 1.0)
    truth = moments(volume[:10] * 0.9, 1.0) + moments(volume[10:] * 0.9, 1.0)
    drawn = frechet_distances(parts, truth, np.array([[1.0, 1.0], [2.0, 0.0]]))
    assert drawn[0] == pytest.approx(frechet_distance(parts, truth))
    assert drawn[1] == pytest.approx(frechet_distance(parts[:1], truth[:1]))
