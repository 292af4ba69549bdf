"""The energy score is least for draws of the truth's own kind, where spectra alone tell no difference."""

import pytest
import torch
from torch import Tensor

from custom_nn.energy_score import edge_features, energy_score
from fastmri.morlet import OCTAVES

SIZE = 48


def edges(count: int, generator: torch.Generator) -> Tensor:
    """Steps along a random line through each image (count, 1, SIZE, SIZE), 0 and 1."""
    angle, offset = torch.rand(2, count, 1, 1, generator=generator)
    rows, columns = torch.meshgrid(*[torch.arange(SIZE) - SIZE / 2] * 2, indexing="ij")
    turned = rows * torch.cos(2 * torch.pi * angle) + columns * torch.sin(2 * torch.pi * angle)
    return (turned > (offset - 0.5) * SIZE / 2).float()[:, None]


def grain_like(images: Tensor, generator: torch.Generator) -> Tensor:
    """Noise with the spectrum of each image."""
    noise = torch.fft.fft2(torch.randn(images.shape, generator=generator))
    spectrum = torch.fft.fft2(images).abs() * noise.sgn()
    spectrum[..., 0, 0] = torch.fft.fft2(images)[..., 0, 0]
    return torch.fft.ifft2(spectrum).real


@pytest.fixture(scope="module")
def scenes() -> tuple[Tensor, Tensor, Tensor]:
    """Truths, draws of their kind (2, N, 1, SIZE, SIZE), and grain of the draws' spectra."""
    generator = torch.Generator().manual_seed(0)
    truth = edges(100, generator)
    draws = torch.stack([edges(100, generator), edges(100, generator)])
    return truth, draws, grain_like(draws, generator)


def test_edges_are_told_from_grain_of_the_same_spectrum(scenes):
    truth, draws, grain = scenes
    assert energy_score(draws, truth) < 0.9 * energy_score(grain, truth)
    # and not because edges are always better
    generator = torch.Generator().manual_seed(1)
    noisy = grain_like(truth, generator)
    assert energy_score(grain, noisy) < energy_score(draws, noisy)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_right_spread_is_the_best(factor):
    generator = torch.Generator().manual_seed(0)
    truth, *draws = torch.randn(3, 100, 1, 32, 32, generator=generator)
    samples = torch.stack(draws)
    assert energy_score(samples, truth) < 0.9 * energy_score(factor * samples, truth)


def test_of_a_batch_it_is_the_mean(scenes):
    truth, draws, _ = (part[..., :3, :, :, :] for part in scenes)
    each = [energy_score(draws[:, k : k + 1], truth[k : k + 1]) for k in range(3)]
    torch.testing.assert_close(energy_score(draws, truth), torch.stack(each).mean())


def test_samples_that_are_the_truth_score_nothing(scenes):
    truth = scenes[0][:2]
    assert energy_score(torch.stack([truth, truth]), truth).abs() < 1e-6


def test_black_images_have_finite_gradients():
    samples = torch.zeros(2, 1, 1, 16, 16, requires_grad=True)
    energy_score(samples, torch.rand(1, 1, 16, 16)).backward()
    assert samples.grad is not None
    assert samples.grad.isfinite().all()


def test_features_have_the_unit_of_the_image(scenes):
    image = 10 * scenes[0][:2]  # so strong that nothing is faint
    for octave in range(OCTAVES):
        for one, twice in zip(edge_features(image, octave), edge_features(2 * image, octave), strict=True):
            torch.testing.assert_close(twice, 2 * one, rtol=0.02, atol=0.05)


def test_a_window_has_the_mean_moduli_of_its_pixels(scenes):
    moduli, windows = edge_features(scenes[0][:2], 0)
    directions = moduli.shape[-3]
    expected = moduli[..., 12:20, 20:28].mean(dim=(-2, -1))
    torch.testing.assert_close(windows[..., :directions, 3, 5], expected)
    assert len({round(float(mean), 6) for mean in expected.flatten()}) > directions  # told apart by direction


def test_scales_meet_in_an_edge_and_not_in_grain(scenes):
    """The phase harmonics over the moduli of their windows, which of the finest octave hold some periods."""

    def coherence(images: Tensor) -> float:
        _, windows = edge_features(images, 0)
        moduli, harmonics = windows[..., :4, :, :], windows[..., 4:, :, :]
        return float(harmonics.norm() / moduli.norm())

    assert coherence(scenes[1][0]) > 2 * coherence(scenes[2][0])


def test_the_gradient_is_that_of_the_score():
    generator = torch.Generator().manual_seed(0)
    truth, *draws, step = torch.randn(4, 1, 1, 24, 24, dtype=torch.float64, generator=generator)
    samples = torch.stack(draws).requires_grad_()
    energy_score(samples, truth).backward()
    assert samples.grad is not None
    change = 1e-4 * torch.stack([step, -step])
    with torch.no_grad():
        slope = energy_score(samples + change, truth) - energy_score(samples - change, truth)
    assert float((samples.grad * 2 * change).sum()) == pytest.approx(float(slope), rel=1e-3)


def test_images_smaller_than_a_window_are_scored():
    assert energy_score(torch.rand(2, 1, 1, 5, 12), torch.rand(1, 1, 5, 12)).isfinite()


def test_the_score_of_two_samples_is_by_hand():
    from custom_nn.energy_score import edge_features
    from fastmri.morlet import OCTAVES

    truth, *draws = torch.rand(3, 2, 1, 32, 32)
    expected = torch.zeros(())
    for octave in range(OCTAVES):
        features = [edge_features(x, octave) for x in (truth, *draws)]
        for true, one, two in zip(*features, strict=True):
            wrong, other, apart = (
                (a - b).norm(dim=-3).mean() for a, b in ((true, one), (true, two), (one, two))
            )
            expected += (wrong + other) / 2 - apart / 2
    torch.testing.assert_close(energy_score(torch.stack(draws), truth), expected)
