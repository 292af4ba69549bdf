"""What each method makes of the slices of a volume, and the sums that its measures need."""

import time
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn

from config.schema import Config
from custom_nn.model import Reconstruction, ZeroFilled
from custom_nn.models import Untrained
from fastmri.fourier import fft1c
from fastmri.physics import apply_mask, middle_slice, null_space, zero_filled
from fastmri.posterior import sample_counts, squared_errors
from fastmri.slices import SliceBatch
from fastmri.spectrum import ring_sums
from trainer.draws import evaluation_draws
from trainer.evaluation.donor import Donation, donor_image
from trainer.evaluation.methods import Methods
from trainer.objectives import magnitude


class Estimate(NamedTuple):
    """One method on some slices; of a mean of samples the magnitude is another image, see `named_images`."""

    magnitude: Tensor  # float32 (S, h, w)
    null_error: Tensor  # float32 (S, h, w): |P (image - truth)|, of what was not measured
    rings: Tensor  # float64 (3, RINGS + 1), see `ring_sums`
    misfit: Tensor  # float64 (): ||M F_w x - y||^2


class Estimates(NamedTuple):
    """All methods on some slices, on the CPU."""

    methods: dict[str, Estimate]
    energy: Tensor  # float64 (): ||y||^2
    std: Tensor | None  # float32 (S, h, w) of a stochastic model's samples
    errors: Tensor | None  # float64 (counts,) squared errors of the means of 1, 2, 4, ... samples
    seconds: float  # of the model, with its transfers; without a model, of the methods


def estimate(
    model: nn.Module | None,
    batch: SliceBatch,
    config: Config,
    methods: Methods | None = None,
    donors: dict[str, Donation] | None = None,
) -> Estimates:
    """Everything about a batch of one volume: the zero-filled image, the methods', and the model's draws."""
    assert batch.target is not None
    assert batch.kspace is not None
    started = time.perf_counter()
    images = method_images(methods or {}, batch)
    if donors is not None:
        image = donor_image(batch, donors[batch.fname[0]])
        images["donor"] = (image, _magnitude(image, batch))
    std = errors = None
    if model is not None:
        started = time.perf_counter()
        draws = evaluation_draws(model, batch, config.seed, config.draws)
        magnitudes = torch.stack([_magnitude(draw.image, batch) for draw in draws])  # (P, N, h, w)
        images |= named_images(draws, magnitudes, batch)
        magnitudes[-1].cpu()  # waits for the device
    seconds = time.perf_counter() - started
    if model is not None and model.stochastic:
        std = (magnitudes.std(0) if len(magnitudes) > 1 else torch.zeros_like(magnitudes[0])).cpu()
        errors = squared_errors(magnitudes, batch.target[:, 0], sample_counts(len(magnitudes))).cpu()
    truth = zero_filled(batch.kspace)
    found = {name: _estimate(image, size, truth, batch) for name, (image, size) in images.items()}
    return Estimates(found, energy(middle_slice(batch.masked_kspace)), std, errors, seconds)


def method_images(methods: Methods, batch: SliceBatch) -> dict[str, tuple[Tensor, Tensor]]:
    """Complex image and magnitude of zero-filled, and of every method at the batch's acceleration."""
    modules: dict[str, Untrained] = {"zero_filled": ZeroFilled()}
    modules |= {name: alike[batch.acceleration[0]] for name, alike in methods.items()}
    found = {name: module(batch.masked_kspace, batch.mask, None).image for name, module in modules.items()}
    return {name: (image, _magnitude(image, batch)) for name, image in found.items()}


def named_images(
    draws: list[Reconstruction], magnitudes: Tensor, batch: SliceBatch
) -> dict[str, tuple[Tensor, Tensor]]:
    """Complex image and magnitude of every method that a model's draws stand for.

    Of the mean of samples they are two images: the mean of the complex ones, by which misfit and all measures
    of unmeasured k-space are, and the mean of magnitudes, which is shown and scored (PSNR, SSIM, NMSE, ...).
    """
    first = draws[0]
    if first.latent is None:
        return {"model": (first.image, magnitudes[0])}
    named = {}
    if first.baseline is not None:
        named["baseline"] = (first.baseline, _magnitude(first.baseline, batch))
    if len(draws) > 1:
        mean = torch.stack([draw.image for draw in draws]).mean(0)
        named[f"mean_{len(draws)}"] = (mean, magnitudes.mean(0))  # the best estimate of each by squared error
    return named | {"sample": (first.image, magnitudes[0])}


def _magnitude(image: Tensor, batch: SliceBatch) -> Tensor:
    return magnitude(image, batch.recon_size[0])[:, 0]


def _estimate(image: Tensor, size: Tensor, truth: Tensor, batch: SliceBatch) -> Estimate:
    assert batch.kspace is not None
    rings = ring_sums(image, batch.kspace, batch.mask, batch.acquired[0])
    wrong = null_space(image - truth, batch.mask)
    return Estimate(size.cpu(), _magnitude(wrong, batch).cpu(), rings.cpu(), misfit(image, batch))


def misfit(image: Tensor, batch: SliceBatch) -> Tensor:
    """||M F_w x - y||^2 summed over a batch, float64 on the CPU."""
    return energy(apply_mask(fft1c(image), batch.mask) - middle_slice(batch.masked_kspace))


def energy(data: Tensor) -> Tensor:
    """Squared norm, float64 on the CPU."""
    return data.abs().double().square().sum().cpu()


def join(parts: list[Estimates]) -> Estimates:
    """Slices of the same volume as one: images in order, sums added."""
    methods = {
        name: Estimate(
            torch.cat([part.methods[name].magnitude for part in parts]),
            torch.cat([part.methods[name].null_error for part in parts]),
            reduce(torch.add, (part.methods[name].rings for part in parts)),
            reduce(torch.add, (part.methods[name].misfit for part in parts)),
        )
        for name in parts[0].methods
    }
    stds = [part.std for part in parts if part.std is not None]
    errors = [part.errors for part in parts if part.errors is not None]
    return Estimates(
        methods,
        energy=reduce(torch.add, (part.energy for part in parts)),
        std=torch.cat(stds) if stds else None,
        errors=reduce(torch.add, errors) if errors else None,
        seconds=sum(part.seconds for part in parts),
    )
