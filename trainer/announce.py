"""What a run will do and need, told before it starts."""

import copy

import torch
from loguru import logger
from torch import nn

from config.schema import Config
from custom_nn.model import parameter_count
from fastmri.dataset import Slice, collate
from fastmri.volumes import Volume
from trainer.data import training_loader
from trainer.distributed import Process
from trainer.memory import saved_for_backward
from trainer.objectives import generator_terms
from trainer.state import State
from trainer.step import forward

BYTES_PER_PARAMETER = 5 * 4  # weight, gradient, two moments of AdamW, average; float32


def announce(
    state: State, config: Config, train_volumes: list[Volume], val_volumes: list[Volume], process: Process
) -> None:
    """Say what will be trained on what, and the memory it takes."""
    if not process.main:
        return
    slices = sum(volume.num_slices for volume in train_volumes)
    logger.info(
        "data    {} slices of {} volumes; {} to validate", slices, len(train_volumes), len(val_volumes)
    )
    parameters = parameter_count(state.model)
    sample = _one_slice(config, train_volumes, process)
    memory = training_memory(copy.deepcopy(state.model).cpu(), sample, config)
    logger.info(
        "model   {}, {:,} parameters, about {:.1f} GiB on {}",
        config.model.name,
        parameters,
        memory / 2**30,
        process.device,
    )
    if state.step >= config.train.steps:
        logger.info("nothing to do: the run is complete at step {}", state.step)
    else:
        logger.info(
            "steps   {} to {}, {} slices each",
            state.step,
            config.train.steps,
            config.data.batch_size * config.train.accumulate * process.world,
        )


def _one_slice(config: Config, volumes: list[Volume], process: Process) -> Slice:
    """A training sample, drawn here in this process."""
    loader = training_loader(config, volumes, process)
    return collate([loader.dataset[next(iter(loader.batch_sampler))[0]]])


def training_memory(model: nn.Module, sample: Slice, config: Config) -> int:
    """Bytes of a training step: parameters with their state, and what one slice keeps for its gradient.

    Measured by a forward pass of one slice, float32; bf16 convolutions need less. Without a discriminator.
    """
    with saved_for_backward() as kept:
        draws, guidance = forward(model, sample, config, torch.randn)
        generator_terms(draws, guidance, sample, config.loss, torch.zeros(1))
    return parameter_count(model) * BYTES_PER_PARAMETER + sum(kept.values()) * config.data.batch_size
