"""One step of training, the same for every model."""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from config.schema import Config
from custom_nn.gains import BandTable
from fastmri.slices import SliceBatch
from trainer.adversary import adversarial_weight
from trainer.distributed import Process, average_gradients, total_weight
from trainer.gradients import Mark, Weights, unmarked
from trainer.noise import seed_noise
from trainer.optimizer import (
    learning_rate,
    set_gradients,
    set_learning_rate,
    step_if_finite,
    trained_parameters,
    update_average,
)
from trainer.state import State


def train_step(
    state: State, batches: Sequence[SliceBatch], config: Config, process: Process, mark: Mark = unmarked
) -> dict[str, Tensor]:
    """One step on some batches of this process and of the others; gives mean losses, on the device.

    The generator, then its discriminator if it has one. The mean is over slices, however they are batched.
    """
    _start(state, config)
    adversarial = adversarial_weight(state.step, config.adversarial)
    shares = [len(batch.fname) / config.data.batch_size for batch in batches]
    found = []
    for k, (batch, share) in enumerate(zip(batches, shares, strict=True)):
        seed_noise(config.seed, state.batches + k * process.world + process.rank)
        scalars = (torch.full((), value, device=process.device) for value in (adversarial, share))
        found.append(state.gradients(batch, Weights(batch_betas(state.betas, batch), *scalars), mark))
    set_gradients(trained_parameters(state.model), [batch.generator for batch in found])
    if state.adversary is not None:
        parameters = list(state.adversary.discriminator.parameters())
        set_gradients(parameters, [batch.discriminator for batch in found])
    norms = _update(state, sum(shares), config, process)
    mark("optimizer")
    return weighted_mean([batch.losses for batch in found], shares) | norms


def _start(state: State, config: Config) -> None:
    """Learning rates of the step, and no gradients yet."""
    rate = learning_rate(state.step, config.train)
    state.model.train()
    set_learning_rate(state.optimizer, rate)
    state.optimizer.zero_grad(set_to_none=True)
    if state.adversary is not None:
        set_learning_rate(state.adversary.optimizer, rate * config.adversarial.lr / config.train.lr)
        state.adversary.optimizer.zero_grad(set_to_none=True)


def _update(state: State, weight: float, config: Config, process: Process) -> dict[str, Tensor]:
    """Exchange gradients and step, all networks or none; gives the gradients' norms."""
    options, total = config.train, total_weight(weight, process)
    average_gradients(state.model, total, process, options.bf16_gradients)
    norms = {"gradient_norm": nn.utils.clip_grad_norm_(state.model.parameters(), options.clip)}
    optimizers = [state.optimizer]
    if state.adversary is not None:
        network = state.adversary.discriminator
        average_gradients(network, total, process, options.bf16_gradients)
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        norms["discriminator_norm"] = nn.utils.get_total_norm(gradients)
        optimizers.append(state.adversary.optimizer)
    step_if_finite(optimizers, list(norms.values()))
    update_average(state.average, state.model, options.ema, state.step)
    return norms


def weighted_mean(losses: list[dict[str, Tensor]], weights: list[float]) -> dict[str, Tensor]:
    """The mean of each loss over batches."""
    if len(losses) == 1:
        return losses[0]
    shares = [weight / sum(weights) for weight in weights]
    pairs = list(zip(losses, shares, strict=True))
    return {name: reduce(torch.add, (share * found[name] for found, share in pairs)) for name in losses[0]}


def batch_betas(betas: BandTable, batch: SliceBatch) -> Tensor:
    """The weight of the standard deviation's reward in each band of each slice: (bands, 2, N)."""
    values = torch.tensor([betas[r] for r in batch.acceleration]).movedim(0, -1)
    return values.to(batch.mask.device, non_blocking=True)  # the device need not be waited for
