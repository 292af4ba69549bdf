"""What a run will do and need, told before it starts."""

import copy

import torch
from loguru import logger

from config.schema import Config
from custom_nn.adaptive_cs_net import checkpoint_blocks
from custom_nn.model import parameter_count
from custom_nn.models import Trained
from fastmri.dataset import collate
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume
from trainer.distributed import Process
from trainer.gradients import forward
from trainer.memory import saved_for_backward
from trainer.milestones import validation_due
from trainer.objectives import generator_terms
from trainer.planning.footprint import checkpoint_bytes, checkpoints_at_once, largest_slice, state_bytes
from trainer.state import State


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
    sample = collate([largest_slice(config, train_volumes)])
    logger.info(
        "model   {}, {:,} parameters, about {:.1f} GiB on {}",
        config.model.name,
        parameter_count(state.model),
        training_memory(state, sample, config) / 2**30,
        process.device,
    )
    room = checkpoints_at_once(config) * checkpoint_bytes(state) / 2**30
    logger.info("saving  the last {} checkpoints and the best, {:.2f} GiB at most", config.train.keep, room)
    if state.step >= config.train.steps:
        left = "it is still to be validated" if validation_due(state, config) else "nothing to do"
        logger.info("the run is complete at step {}: {}", state.step, left)
    else:
        logger.info(
            "steps   {} to {}, {} slices each",
            state.step,
            config.train.steps,
            config.data.batch_size * config.train.accumulate * process.world,
        )


def training_memory(state: State, sample: SliceBatch, config: Config) -> int:
    """Bytes of a training step, about: what a run holds, and what one slice keeps for its gradient.

    By a forward pass of one slice on the CPU, float32, so that a start waits for no more; `--plan` measures.
    """
    model = copy.deepcopy(state.model).cpu()
    kept = _kept_bytes(model, sample, config)
    if config.train.checkpoint_blocks:  # the backward pass keeps what is in the blocks too, one at a time
        checkpoint_blocks(model, False)
        cascade = model.baseline if model.name == "generative" else model
        assert cascade.name == "adaptive_cs_net"
        kept += (_kept_bytes(model, sample, config) - kept) // len(cascade.blocks)
    return state_bytes(state) + kept * config.data.batch_size


def _kept_bytes(model: Trained, sample: SliceBatch, config: Config) -> int:
    with torch.random.fork_rng([]), saved_for_backward() as kept:
        draws, guidance = forward(model, sample, config, torch.randn)
        generator_terms(draws, guidance, sample, config.loss, torch.zeros(1, 1, 1))
    return sum(kept.values())
