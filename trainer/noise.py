"""The noise that generative models draw."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import torch
from torch import Tensor

from custom_nn.model import Noise

WORTH_A_THREAD = 10_000  # values of a slice


def seed_noise(seed: int, number: int) -> None:
    """Let torch draw what belongs to a training batch of this number: noise, and what dropout leaves."""
    torch.manual_seed(_seed(seed, 0, number))  # 0 as in `TrainingBatches`


def device_noise(device: torch.device) -> Noise:
    """Drawn by the device itself, from torch's generator."""
    return partial(torch.randn, device=device)


def evaluation_noise(
    seed: int, fnames: list[str], slice_nums: list[int], samples: Sequence[int], device: torch.device
) -> Noise:
    """Noise with one generator per slice and sample: batch size, order and process count change nothing.

    Rows are all slices of the first of `samples`, then all of the next.
    """
    generators = [
        torch.Generator().manual_seed(_seed(seed, fname, slice_num, sample))
        for sample in samples
        for fname, slice_num in zip(fnames, slice_nums, strict=True)
    ]

    def noise(shape: tuple[int, ...]) -> Tensor:
        assert shape[0] == len(generators), f"a row of noise for each: {shape} for {len(generators)}"
        with torch.inference_mode(False):  # which threads know nothing of
            drawn = torch.empty(shape, pin_memory=device.type == "cuda")
        each = _threads().map if drawn[0].numel() >= WORTH_A_THREAD else map
        list(each(_draw, drawn, generators))
        return drawn.to(device, non_blocking=True)

    return noise


def _draw(row: Tensor, generator: torch.Generator) -> None:
    torch.randn(row.shape, generator=generator, out=row)


@cache
def _threads() -> ThreadPoolExecutor:
    """That draw for several slices at once."""
    return ThreadPoolExecutor()


def _seed(*parts: object) -> int:
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1  # torch takes 63 bits
