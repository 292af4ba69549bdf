"""One step of training, the same for every model."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from config.schema import Config
from custom_nn.latent import Guidance
from custom_nn.model import Noise, Reconstruction
from fastmri.dataset import Slice
from trainer.adversary import adversarial_term, adversarial_weight, discriminator_step
from trainer.checkpoint import BETAS, Betas
from trainer.distributed import Process, average_gradients
from trainer.draws import training_draws
from trainer.noise import training_noise
from trainer.objectives import generator_terms
from trainer.optimizer import learning_rate, set_learning_rate, update_average
from trainer.state import State

Mark = Callable[[str], None]  # told the name of a part of a step as soon as it was called


def unmarked(part: str) -> None:
    """Nobody asks how long the parts take."""


def train_step(
    state: State, batch: Slice, config: Config, process: Process, mark: Mark = unmarked
) -> dict[str, Tensor]:
    """One step of the generator, then of its discriminator if it has one; gives losses, on the device."""
    noise = training_noise(config.seed, process.rank, state.step, process.device)
    set_learning_rate(state.optimizer, learning_rate(state.step, config.train))
    state.model.train()
    bf16 = config.train.bf16 and process.device.type == "cuda"
    with torch.autocast(process.device.type, torch.bfloat16, enabled=bf16):
        draws, guidance = forward(state.model, batch, config, noise)
    losses = generator_terms(draws, guidance, batch, config.loss, batch_betas(state.betas, batch))
    losses |= update_generator(state, losses["total"], draws[0].image, batch, config, process, mark)
    if state.adversary is not None:
        losses |= discriminator_step(
            state.adversary, draws[0].image, batch, state.step, noise, config, process
        )
        mark("discriminator")
    return {name: value.detach() for name, value in losses.items()}


def forward(
    model: nn.Module, batch: Slice, config: Config, noise: Noise
) -> tuple[list[Reconstruction], Guidance | None]:
    """The draws whose mean is compared with the truth, and what guides their latent, if anything does."""
    draws = training_draws(model, batch, noise, config.loss.samples)
    if not (config.loss.kl or config.loss.texture):
        return draws, None
    return draws, model.guide(draws[0].latent, batch.kspace, batch.mask, noise)


def update_generator(
    state: State,
    total: Tensor,
    image: Tensor,
    batch: Slice,
    config: Config,
    process: Process,
    mark: Mark,
) -> dict[str, Tensor]:
    """Add the adversarial term, and step; gives the term and the gradient's norm."""
    found = {}
    if state.adversary is not None:
        weight = adversarial_weight(state.step, config.adversarial)
        found["adversarial"] = adversarial_term(state.adversary, image, batch, config.adversarial)
        found["total"] = total = total + weight * found["adversarial"]
    mark("forward")
    state.optimizer.zero_grad(set_to_none=True)
    total.backward()
    mark("backward")
    average_gradients(state.model, process)
    found["gradient_norm"] = nn.utils.clip_grad_norm_(state.model.parameters(), config.train.clip)
    state.optimizer.step()
    update_average(state.average, state.model, config.train.ema, state.step)
    mark("optimizer")
    return found


def batch_betas(betas: Betas, batch: Slice) -> Tensor:
    """The weight of the standard deviation's reward of each slice, by its acceleration: (2, N)."""
    values = [[betas[part][r] for r in batch.acceleration] for part in BETAS]
    return torch.tensor(values).to(batch.mask.device, non_blocking=True)  # the device need not be waited for
