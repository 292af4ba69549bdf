"""What each method makes of the slices of a volume, and the sums that its measures need."""

import time
from typing import NamedTuple

import torch
from torch import Tensor, nn

from config.schema import Config
from custom_nn.model import Reconstruction, ZeroFilled
from fastmri.dataset import Slice
from fastmri.fourier import fft1c
from fastmri.physics import apply_mask, middle_slice
from fastmri.posterior import sample_counts, squared_errors
from fastmri.spectrum import ring_sums
from trainer.draws import evaluation_draws
from trainer.objectives import magnitude


class Estimate(NamedTuple):
    """One method on some slices."""

    magnitude: Tensor  # float32 (S, h, w)
    rings: Tensor  # float64 (3, RINGS + 1), see `ring_sums`
    misfit: Tensor  # float64 (): ||M F_w x - y||^2


class Estimates(NamedTuple):
    """All methods on some slices, on the CPU."""

    methods: dict[str, Estimate]
    energy: Tensor  # float64 (): ||y||^2
    std: Tensor | None  # float32 (S, h, w) of a stochastic model's samples
    errors: Tensor | None  # float64 (counts,) squared errors of the means of 1, 2, 4, ... samples
    seconds: float  # of the model, with its transfers


def estimate(model: nn.Module, batch: Slice, config: Config) -> Estimates:
    """Everything about a batch of one volume: the model's draws beside the zero-filled image."""
    zero = ZeroFilled()(batch.masked_kspace, batch.mask, None)
    started = time.perf_counter()
    draws = evaluation_draws(model, batch, config.seed, config.draws)
    magnitudes = torch.stack([_magnitude(draw.image, batch) for draw in draws])  # (P, N, h, w)
    samples = magnitudes.cpu()  # waits for the device
    seconds = time.perf_counter() - started
    images = {"zero_filled": (zero.image, _magnitude(zero.image, batch))}
    images |= named_images(draws, magnitudes, batch)
    if not model.stochastic:
        std = errors = None
    else:
        std = samples.std(0) if len(samples) > 1 else torch.zeros_like(samples[0])
        errors = squared_errors(samples, batch.target[:, 0].cpu(), sample_counts(len(samples)))
    methods = {name: _estimate(image, size, batch) for name, (image, size) in images.items()}
    return Estimates(methods, energy(middle_slice(batch.masked_kspace)), std, errors, seconds)


def named_images(
    draws: list[Reconstruction], magnitudes: Tensor, batch: Slice
) -> dict[str, tuple[Tensor, Tensor]]:
    """Complex image and magnitude of every method that a model's draws stand for."""
    first = draws[0]
    if first.latent is None:
        return {"model": (first.image, magnitudes[0])}
    named = {}
    if first.baseline is not None:
        named["baseline"] = (first.baseline, _magnitude(first.baseline, batch))
    if len(draws) > 1:
        mean = torch.stack([draw.image for draw in draws]).mean(0)
        named[f"mean_{len(draws)}"] = (mean, magnitudes.mean(0))  # the best estimate of a magnitude
    return named | {"sample": (first.image, magnitudes[0])}


def _magnitude(image: Tensor, batch: Slice) -> Tensor:
    return magnitude(image, batch.recon_size[0])[:, 0]


def _estimate(image: Tensor, size: Tensor, batch: Slice) -> Estimate:
    rings = ring_sums(image, batch.kspace, batch.mask, batch.acquired[0])
    return Estimate(size.cpu(), rings.cpu(), misfit(image, batch))


def misfit(image: Tensor, batch: Slice) -> Tensor:
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
            sum(part.methods[name].rings for part in parts),
            sum(part.methods[name].misfit for part in parts),
        )
        for name in parts[0].methods
    }
    stochastic = parts[0].std is not None
    return Estimates(
        methods,
        energy=sum(part.energy for part in parts),
        std=torch.cat([part.std for part in parts]) if stochastic else None,
        errors=sum(part.errors for part in parts) if stochastic else None,
        seconds=sum(part.seconds for part in parts),
    )
