"""The objective of posterior samples ends at the posterior, where it is known."""

import pytest
import torch
from torch import nn

from config.schema import Adversarial, Loss
from custom_nn.latent import Guidance
from custom_nn.layers import to_channels, to_complex
from custom_nn.model import Reconstruction
from custom_nn.wavelets import band_count
from fastmri.fourier import fft1c
from fastmri.metrics import psnr_of_error
from fastmri.physics import apply_mask, null_space, zero_filled
from fastmri.posterior import law, sample_counts, squared_errors
from fastmri.slices import SliceBatch
from tests.gaussian import GaussianScene
from trainer.adversary import Adversary, adversarial_term, discriminator_gradients, make_discriminator, seen
from trainer.objectives import cropped, generator_terms, turned
from trainer.step import batch_betas

COLUMNS = 16


class LinearSampler(nn.Module):
    """The zero-filled image, and in its null space a linear map of data and noise."""

    mask: torch.Tensor

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)
        self.mean = nn.Linear(2 * COLUMNS, 2 * COLUMNS)
        self.spread = nn.Linear(2 * COLUMNS, 2 * COLUMNS, bias=False)

    def forward(self, measured):
        zero = zero_filled(measured)
        known = torch.cat([zero.real, zero.imag], dim=-1)
        parts = self.mean(known) + self.spread(torch.randn_like(known))
        texture = torch.complex(*parts.chunk(2, dim=-1))
        return Reconstruction(zero + null_space(texture, self.mask), latent=())


def batch_of(image, measured, mask) -> SliceBatch:
    count = len(image)
    ones = torch.ones(count, 1, 1, 1)
    return SliceBatch(
        masked_kspace=measured,
        mask=mask.expand(count, 1, 1, -1),
        target=image.abs(),
        kspace=fft1c(image),
        max_value=ones,
        scale=ones,
        fname=["a"] * count,
        slice_num=[0] * count,
        acceleration=[4] * count,
        acquisition=[""] * count,
        acquired=[(0, COLUMNS)] * count,
        recon_size=[(1, COLUMNS)] * count,
    )


@pytest.mark.parametrize(
    ("octaves", "edges", "count", "steps"),
    [(0, 0.0, 512, 1200), (1, 0.0, 1024, 800), (0, 1.0, 128, 600), (5, 1.0, 128, 600)],
)
def test_a_generator_trained_on_it_samples_the_posterior(octaves, edges, count, steps):
    samples = 2
    scene = GaussianScene(COLUMNS)
    sampler = LinearSampler(scene.mask)
    options = {"octaves": octaves, "energy_score": edges, "samples": samples, "std_reward": True}
    weights = Loss(ms_ssim=0, l1=0, complex_l1=1, **options)
    optimizer = torch.optim.Adam(sampler.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        image, measured = scene.draw(count)
        draws = [sampler(measured) for _ in range(samples)]
        batch = batch_of(image, measured, scene.mask)
        terms = generator_terms(draws, None, batch, weights, torch.ones(band_count(octaves), 2, count))
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        truth, measured = scene.draw(4000)
        drawn = torch.stack([sampler(measured).image for _ in range(8)])
    errors = squared_errors(drawn.abs(), truth.abs(), sample_counts(8)).tolist()
    gap = psnr_of_error(errors[-1], 1.0) - psnr_of_error(errors[0], 1.0)
    assert gap == pytest.approx(law(8), abs=0.3)
    spread = to_channels(drawn.flatten(0, 1) - drawn.mean(0).repeat(8, 1, 1, 1)).square().mean(dim=(0, 1, 2))
    std = (spread * 8 / 7).sqrt()
    torch.testing.assert_close(std, scene.std(), rtol=0.1, atol=0)


def test_a_larger_beta_rewards_a_larger_spread():
    scene = GaussianScene(COLUMNS)
    image, measured = scene.draw(8)
    batch = batch_of(image, measured, scene.mask)
    weights = Loss(ms_ssim=0, l1=0, complex_l1=1, samples=2, std_reward=True)

    def gain(beta: torch.Tensor) -> torch.Tensor:
        """What doubling the spread around the same mean changes."""
        noise = torch.randn_like(image)
        totals = [
            generator_terms(
                [Reconstruction(image + s * noise), Reconstruction(image - s * noise)],
                None,
                batch,
                weights,
                beta,
            )["total"]
            for s in (1.0, 2.0)
        ]
        return totals[1] - totals[0]

    assert gain(torch.zeros(1, 2, 8)).abs() < 1e-5
    torch.manual_seed(1)
    one = gain(torch.ones(1, 2, 8))
    torch.manual_seed(1)
    half = gain(0.5 * torch.ones(1, 2, 8))
    assert one < 0
    assert half == pytest.approx(float(one) / 2, rel=1e-4)


def test_complex_pairs_survive_the_channels():
    image = torch.randn(2, 1, 3, 4, dtype=torch.complex64)
    assert torch.equal(to_complex(to_channels(image)), image)


def test_a_phase_of_the_whole_slice_changes_nothing_for_the_discriminator():
    """As a scanner's is arbitrary; nor does the unit that samples are in."""
    image, mask = torch.randn(2, 1, 20, COLUMNS, dtype=torch.complex64), torch.rand(1, 1, 1, COLUMNS) < 0.5
    options = Adversarial(weight=1, filters=[4, 8])
    adversary = Adversary(make_discriminator(options), torch.optim.AdamW([nn.Parameter(torch.ones(()))]))
    found = []
    for factor in (torch.ones(()), 3 * torch.exp(torch.tensor(1.3j))):
        batch = batch_of(factor * image, apply_mask(fft1c(factor * image), mask), mask)
        batch = batch._replace(scale=factor.abs().expand(2, 1, 1, 1))
        drawn = factor * torch.roll(image, 1, dims=-2)
        found.append(adversarial_term(adversary, seen(drawn, batch), options))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_objective_is_the_weighted_sum():
    scene = GaussianScene(COLUMNS)
    image, measured = scene.draw(8)
    image, measured = image.expand(-1, -1, 16, -1), measured.expand(-1, -1, 16, -1)
    batch = batch_of(image, measured, scene.mask)
    names = {"ssim": 0.3, "l1": 0.5, "complex_l1": 0.7, "energy_score": 0.2, "kl": 0.11, "texture": 0.13}
    weights = Loss(ms_ssim=0, samples=2, std_reward=True, **names)
    draws = [Reconstruction(image + torch.randn_like(image)) for _ in range(2)]
    guidance = Guidance(torch.tensor(3.0), torch.tensor(5.0))
    beta = torch.rand(1, 2, 8)
    terms = generator_terms(draws, guidance, batch, weights, beta)
    expected = sum(weight * terms[name] for name, weight in names.items()) - terms["std"]
    torch.testing.assert_close(terms["total"], expected)


def test_a_baseline_that_is_trained_along_has_a_term_of_its_own():
    """So that it stays an estimate by itself: amplitude 0. One that is frozen has none."""
    scene = GaussianScene(COLUMNS)
    image, measured = scene.draw(8)
    batch = batch_of(image, measured, scene.mask)
    baseline = torch.zeros_like(image).requires_grad_()
    found = []
    for given in (baseline, baseline.detach()):
        draws = [Reconstruction(image + torch.randn_like(image), given) for _ in range(2)]
        weights = Loss(ms_ssim=0, complex_l1=0.7, samples=2, baseline=0.3)
        found.append(generator_terms(draws, None, batch, weights, torch.zeros(1, 2, 8)))
    joint, frozen = found
    assert "baseline" not in frozen
    rest = weights.l1 * joint["l1"] + weights.complex_l1 * joint["complex_l1"]
    torch.testing.assert_close(joint["total"], rest + 0.3 * joint["baseline"])
    (gradient,) = torch.autograd.grad(joint["total"], baseline)
    assert gradient.abs().min() > 0


@pytest.mark.parametrize("name", ["l1", "complex_l1"])
def test_a_reward_weighs_as_much_as_its_l1(name):
    image, measured = GaussianScene(COLUMNS).draw(4)
    batch = batch_of(image, measured, GaussianScene(COLUMNS).mask)
    draws = [Reconstruction(image + torch.randn_like(image)) for _ in range(2)]
    common = {"ms_ssim": 0, "l1": 0, "samples": 2, "std_reward": True}
    rewards = [
        generator_terms(draws, None, batch, Loss(**common | {name: weight}), torch.ones(1, 2, 4))["std"]
        for weight in (0.5, 1.5)
    ]
    assert rewards[0] > 0
    torch.testing.assert_close(rewards[1], 3 * rewards[0])


def test_a_penalty_has_its_weight():
    image, mask = torch.randn(2, 1, 20, COLUMNS, dtype=torch.complex64), torch.rand(1, 1, 1, COLUMNS) < 0.5
    images = seen(image.flip(-2), batch_of(image, apply_mask(fft1c(image), mask), mask))
    found = []
    for penalty in (0.0, 1.0, 3.0):
        options = Adversarial(weight=1, filters=[4, 8], regularizer="r1", penalty=penalty)
        torch.manual_seed(0)
        network = make_discriminator(options)
        adversary = Adversary(network, torch.optim.AdamW(network.parameters()))
        _, gradients = discriminator_gradients(adversary, images, torch.ones(()), torch.randn, options)
        found.append(torch.cat([g.flatten() for g in gradients if g is not None]))
    none, one, three = found
    assert (one - none).norm() > 1e-3 * none.norm()
    torch.testing.assert_close(three - none, 3 * (one - none), rtol=1e-3, atol=1e-5)


def test_image_terms_are_of_the_mean():
    scene = GaussianScene(COLUMNS)
    image, measured = scene.draw(4)
    image, measured = image.expand(-1, -1, 16, -1), measured.expand(-1, -1, 16, -1)
    batch = batch_of(image, measured, scene.mask)
    weights = Loss(ms_ssim=0, ssim=1, l1=1, samples=2)
    draws = [Reconstruction(f * image) for f in (0.5, 1.5)]
    terms = generator_terms(draws, None, batch, weights, torch.ones(1, 2, 4))
    assert float(terms["ssim"]) == pytest.approx(0, abs=1e-5)
    assert float(terms["l1"]) == pytest.approx(0, abs=1e-5)


def test_each_slice_has_the_betas_of_its_acceleration():
    scene = GaussianScene(COLUMNS)
    batch = batch_of(*scene.draw(3), scene.mask)._replace(acceleration=[8, 4, 8])
    found = batch_betas({4: [[1.0, 2.0], [3.0, 4.0]], 8: [[5.0, 6.0], [7.0, 8.0]]}, batch)
    assert found[:, :, 1].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert torch.equal(found[:, :, 0], found[:, :, 2])
    assert found[1, 0].tolist() == [7, 3, 7]


def test_units_and_phase_are_left_out():
    image = torch.rand(2, 1, 20, COLUMNS) + 0j
    mask = torch.ones(1, 1, 1, COLUMNS, dtype=torch.bool)
    phased = 7 * image * torch.exp(torch.tensor(1.3j))
    batch = batch_of(phased, fft1c(phased), mask)._replace(max_value=torch.full((2, 1, 1, 1), 7.0))
    (found,) = turned([phased], batch)
    torch.testing.assert_close(found, torch.cat([image.real, image.imag], dim=1), rtol=1e-4, atol=1e-4)
    assert cropped(phased, batch).abs().max() <= 1.01
