"""Memory of a training step by its batch size: what a run holds throughout, and what each slice adds."""

import copy
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from config.load import changed
from config.schema import Config
from custom_nn.model import parameter_count
from custom_nn.replay import MEETINGS
from fastmri.dataset import collate, to_device
from fastmri.slices import Slice
from fastmri.volumes import Volume
from trainer.benchmark.throughput import ENDLESS
from trainer.data import training_loader
from trainer.distributed import Process
from trainer.gradients import Weights, batch_gradients
from trainer.memory import most_taken
from trainer.state import State

ALLOWANCE = 2**30  # bytes of a card that tensors don't get: CUDA's own, scratch of its libraries, gaps


class Footprint(NamedTuple):
    """Bytes of a training step."""

    fixed: int  # weights, their average, gradients and AdamW's moments; a discriminator's too
    per_slice: int  # what one slice keeps for its gradients, and what passes while they are computed

    def total(self, batch_size: int) -> int:
        return self.fixed + batch_size * self.per_slice

    def largest_batch(self, room: int) -> int:
        """The most slices that fit in so many bytes; 0 if not even one does."""
        return max((room - self.fixed) // self.per_slice, 0)


def find_footprint(
    state: State, config: Config, volumes: list[Volume], process: Process, bf16: bool
) -> Footprint:
    """Measured by passes over the largest slice on the process's device; training's state stays as it is.

    On CUDA by the allocator, at one slice and at two. On a CPU by the tensors of one slice: an estimate for
    CUDA, where normalisation keeps less, and autocast leaves other operations in float32.
    """
    cuda = process.device.type == "cuda"
    sample = largest_slice(config, volumes)
    with torch.random.fork_rng([process.device] if cuda else []):
        one, *two = [_pass_bytes(state, sample, count, config, bf16) for count in ((1, 2) if cuda else (1,))]
    if cuda:
        torch.cuda.empty_cache()  # for another process, or the training, to have it in pieces of its own
    per_slice = two[0] - one if two else one
    return Footprint(state_bytes(state) + one - per_slice, per_slice)


def largest_slice(config: Config, volumes: list[Volume]) -> Slice:
    """A training sample of the volume that makes the largest, drawn in this process."""
    crop = config.data.crop_rows or ENDLESS
    largest = max(volumes, key=lambda volume: min(volume.hybrid_shape[0], crop) * volume.hybrid_shape[1])
    config = changed(config, data={"num_workers": 0, "sample_rate": 1.0})
    loader = training_loader(config, [largest], Process(torch.device("cpu")))
    return loader.dataset[next(iter(loader.batch_sampler))[0]]


def _pass_bytes(state: State, sample: Slice, count: int, config: Config, bf16: bool) -> int:
    """The most that the passes of a step take on some slices."""
    device = next(state.model.parameters()).device
    batch = to_device(collate([sample] * count), device)
    model, adversary = copy.deepcopy((state.model, state.adversary))
    model.train()

    weights = Weights(*(torch.zeros(shape, device=device) for shape in ((1, 1, 1), (), ())))

    def block() -> None:
        # on CUDA until what is replayed as a graph was recorded, which keeps memory of its own
        for _ in range(MEETINGS + 2 if device.type == "cuda" else 1):
            batch_gradients(model, adversary, config, bf16, batch, weights)

    given = sum(value.nbytes for value in batch if isinstance(value, Tensor))
    return given + most_taken(block, device)


def state_bytes(state: State) -> int:
    """What a run holds on its device whatever the batch: a checkpoint's tensors and the gradients."""
    gradients = 4 * parameter_count(state.model)
    if state.adversary is not None:
        gradients += _bytes(state.adversary.discriminator.parameters())
    return checkpoint_bytes(state) + gradients


def checkpoints_at_once(config: Config) -> int:
    """That a run has on its disk at most: the last ones, the best, and one that is being written."""
    return config.train.keep + 2


def checkpoint_bytes(state: State) -> int:
    """Tensors of a checkpoint: weights, their average, AdamW's two moments; a discriminator's too."""
    size = 2 * _bytes(state.model.state_dict().values()) + 8 * parameter_count(state.model)
    if state.adversary is not None:
        network = state.adversary.discriminator
        size += _bytes(network.state_dict().values()) + 2 * _bytes(network.parameters())
    return size


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
