"""What a run will need, told before it starts."""

import torch
from torch import nn

from config.schema import Config
from custom_nn.model import parameter_count
from fastmri.dataset import Slice
from trainer.objectives import generator_loss

BYTES_PER_PARAMETER = 5 * 4  # weight, gradient, two moments of AdamW, average; float32


def training_memory(model: nn.Module, sample: Slice, config: Config) -> int:
    """Bytes of a training step: parameters with their state, and what one slice keeps for its gradient.

    Measured by a forward pass of one slice, float32; bf16 convolutions need less.
    """
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        reconstruction = model(sample.masked_kspace, sample.mask, torch.randn)
        generator_loss(reconstruction, sample, config.loss)
    return parameter_count(model) * BYTES_PER_PARAMETER + sum(kept.values()) * config.data.batch_size
