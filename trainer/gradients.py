"""What one batch asks of the weights: its losses, and their gradients."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from config.schema import Config
from custom_nn.latent import Guidance
from custom_nn.model import Noise, Reconstruction
from custom_nn.models import Trained
from custom_nn.replay import Replay
from fastmri.slices import SliceBatch
from trainer.adversary import Adversary, adversarial_term, discriminator_gradients, seen
from trainer.draws import training_draws
from trainer.noise import device_noise
from trainer.objectives import generator_terms
from trainer.optimizer import Gradients, gradients_of, trained_parameters

TENSORS = ("masked_kspace", "mask", "target", "kspace", "max_value", "scale")  # of a batch to train on
Mark = Callable[[str], None]  # told the name of a part of a step as soon as it was called


def unmarked(part: str) -> None:
    """Nobody asks how long the parts take."""


class Weights(NamedTuple):
    """What a batch's terms are weighed by, on its device."""

    betas: Tensor  # (bands, 2, N), of the standard deviation's reward in each band of each slice
    adversarial: Tensor  # scalar
    share: Tensor  # scalar, of the batch in the step


class Found(NamedTuple):
    """What a batch gives; gradients are times its share of the step."""

    losses: dict[str, Tensor]  # scalars
    generator: Gradients
    discriminator: Gradients  # none without one


class BatchGradients:
    """`batch_gradients` of a generator and its discriminator, replayed as CUDA graphs where they may be.

    Noise comes from torch's generator, seeded by who calls.
    """

    def __init__(self, model: Trained, adversary: Adversary | None, config: Config, device: torch.device):
        bf16 = config.train.bf16 and device.type == "cuda"
        self._direct = partial(batch_gradients, model, adversary, config, bf16)
        # a compiler that is to record graphs can't do so within another recording
        recorded = config.train.cuda_graphs and config.train.compile != "reduce-overhead"
        self._replayed = Replay(self._of_tensors, recorded)

    def __call__(self, batch: SliceBatch, weights: Weights, mark: Mark = unmarked) -> Found:
        """A `mark` that is to see the parts gets them one by one."""
        if mark is not unmarked:
            return self._direct(batch, weights, mark)
        tensors = [getattr(batch, name) for name in TENSORS]
        with torch.no_grad():  # gradients are enabled within, by `_of_tensors`
            return self._replayed(*tensors, *weights)

    def _of_tensors(self, *tensors: Tensor) -> Found:
        """TENSORS of a batch, then its Weights: no gradient depends on names or numbers of slices."""
        count = len(TENSORS)
        fields: dict[str, Any] = {name: [] for name in SliceBatch._fields}
        batch = SliceBatch(**(fields | dict(zip(TENSORS, tensors[:count], strict=True))))
        with torch.enable_grad():
            return self._direct(batch, Weights(*tensors[count:]))


def batch_gradients(
    model: Trained,
    adversary: Adversary | None,
    config: Config,
    bf16: bool,
    batch: SliceBatch,
    weights: Weights,
    mark: Mark = unmarked,
) -> Found:
    """The generator's, then its discriminator's on what was drawn, if there is one."""
    device = batch.mask.device
    noise = device_noise(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        draws, guidance = forward(model, batch, config, noise)
    losses = generator_terms(draws, guidance, batch, config.loss, weights.betas)
    if adversary is not None:
        images = seen(draws[0].image, batch)
        losses["adversarial"] = adversarial_term(adversary, images, config.adversarial)
        losses["total"] = losses["total"] + weights.adversarial * losses["adversarial"]
    mark("forward")
    generator = gradients_of(weights.share * losses["total"], trained_parameters(model))
    mark("backward")
    discriminator: Gradients = []
    if adversary is not None:
        found, discriminator = discriminator_gradients(
            adversary, images, weights.share, noise, config.adversarial
        )
        losses |= found
        mark("discriminator")
    return Found({name: loss.detach() for name, loss in losses.items()}, generator, discriminator)


def forward(
    model: Trained, batch: SliceBatch, config: Config, noise: Noise
) -> tuple[list[Reconstruction], Guidance | None]:
    """The draws whose mean is compared with the truth, and what guides their latent, if anything does."""
    draws = training_draws(model, batch, noise, config.loss.samples)
    if not (config.loss.kl or config.loss.texture):
        return draws, None
    assert model.stochastic
    assert batch.kspace is not None
    return draws, model.guide(draws[0].latent, batch.kspace, batch.mask, noise)
