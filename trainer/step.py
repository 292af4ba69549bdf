"""One step of training, the same for every model."""

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from config.schema import Config
from custom_nn.gains import BandTable
from custom_nn.latent import Guidance
from custom_nn.model import Noise, Reconstruction
from custom_nn.models import Trained
from fastmri.slices import SliceBatch
from trainer.adversary import adversarial_term, adversarial_weight, discriminator_gradient
from trainer.distributed import Process, average_gradients
from trainer.draws import training_draws
from trainer.noise import training_noise
from trainer.objectives import generator_terms
from trainer.optimizer import learning_rate, set_learning_rate, step_if_finite, update_average
from trainer.state import State

Mark = Callable[[str], None]  # told the name of a part of a step as soon as it was called


def unmarked(part: str) -> None:
    """Nobody asks how long the parts take."""


def train_step(
    state: State, batches: Sequence[SliceBatch], config: Config, process: Process, mark: Mark = unmarked
) -> dict[str, Tensor]:
    """One step on some batches of this process and of the others; gives mean losses, on the device.

    The generator, then its discriminator if it has one. The mean is over slices, however they are batched.
    """
    _start(state, config)
    bf16 = config.train.bf16 and process.device.type == "cuda"
    found, weights = [], [len(batch.fname) / config.data.batch_size for batch in batches]
    for k, (batch, weight) in enumerate(zip(batches, weights, strict=True)):
        noise = training_noise(config.seed, state.batches + k * process.world + process.rank, process.device)
        with torch.autocast(process.device.type, torch.bfloat16, enabled=bf16):
            draws, guidance = forward(state.model, batch, config, noise)
        losses = generator_terms(draws, guidance, batch, config.loss, batch_betas(state.betas, batch))
        losses |= generator_gradient(state, losses["total"], draws[0].image, batch, weight, config, mark)
        if state.adversary is not None:
            losses |= discriminator_gradient(
                state.adversary, draws[0].image, batch, weight, noise, config.adversarial
            )
            mark("discriminator")
        found.append({name: value.detach() for name, value in losses.items()})
    norms = _update(state, sum(weights), config, process)
    mark("optimizer")
    return weighted_mean(found, weights) | norms


def _start(state: State, config: Config) -> None:
    """Learning rates of the step, and no gradients yet."""
    rate = learning_rate(state.step, config.train)
    state.model.train()
    set_learning_rate(state.optimizer, rate)
    state.optimizer.zero_grad(set_to_none=True)
    if state.adversary is not None:
        set_learning_rate(state.adversary.optimizer, rate * config.adversarial.lr / config.train.lr)
        state.adversary.optimizer.zero_grad(set_to_none=True)


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


def generator_gradient(
    state: State, total: Tensor, image: Tensor, batch: SliceBatch, weight: float, config: Config, mark: Mark
) -> dict[str, Tensor]:
    """Add the adversarial term, and the gradient to what it is so far; gives what was added to the losses."""
    found = {}
    if state.adversary is not None:
        strength = adversarial_weight(state.step, config.adversarial)
        found["adversarial"] = adversarial_term(state.adversary, image, batch, config.adversarial)
        found["total"] = total = total + strength * found["adversarial"]
    mark("forward")
    (weight * total).backward()
    mark("backward")
    return found


def _update(state: State, weight: float, config: Config, process: Process) -> dict[str, Tensor]:
    """Exchange gradients and step, all networks; gives the generator's norm."""
    options = config.train
    average_gradients(state.model, weight, process, options.bf16_gradients)
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), options.clip)
    step_if_finite(state.optimizer, norm)
    update_average(state.average, state.model, options.ema, state.step)
    if state.adversary is not None:
        network = state.adversary.discriminator
        average_gradients(network, weight, process, options.bf16_gradients)
        step_if_finite(
            state.adversary.optimizer,
            nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None]),
        )
    return {"gradient_norm": norm}


def weighted_mean(losses: list[dict[str, Tensor]], weights: list[float]) -> dict[str, Tensor]:
    """Of each loss over batches."""
    if len(losses) == 1:
        return losses[0]
    shares = [weight / sum(weights) for weight in weights]
    pairs = list(zip(losses, shares, strict=True))
    return {name: reduce(torch.add, (share * found[name] for found, share in pairs)) for name in losses[0]}


def batch_betas(betas: BandTable, batch: SliceBatch) -> Tensor:
    """The weight of the standard deviation's reward in each band of each slice: (bands, 2, N)."""
    values = torch.tensor([betas[r] for r in batch.acceleration]).movedim(0, -1)
    return values.to(batch.mask.device, non_blocking=True)  # the device need not be waited for
