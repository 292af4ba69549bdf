"""The noise that generative models draw."""

import hashlib
from functools import partial

import torch
from torch import Tensor

from custom_nn.model import Noise


def seed_noise(seed: int, number: int) -> None:
    """Let torch draw what belongs to a training batch of this number: noise, and what dropout leaves."""
    torch.manual_seed(_seed(seed, 0, number))  # 0 as in `TrainingBatches`


def device_noise(device: torch.device) -> Noise:
    """Drawn by the device itself, from torch's generator."""
    return partial(torch.randn, device=device)


def evaluation_noise(
    seed: int, fnames: list[str], slice_nums: list[int], sample: int, device: torch.device
) -> Noise:
    """Noise with one generator per slice and sample: batch size, order and process count change nothing."""
    generators = [
        torch.Generator().manual_seed(_seed(seed, fname, slice_num, sample))
        for fname, slice_num in zip(fnames, slice_nums, strict=True)
    ]

    def noise(shape: tuple[int, ...]) -> Tensor:
        assert shape[0] == len(generators), f"one row of noise per slice: {shape} for {len(generators)}"
        return torch.stack([torch.randn(shape[1:], generator=g) for g in generators]).to(device)

    return noise


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1  # torch takes 63 bits
