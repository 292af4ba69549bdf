"""A volume as a cache keeps it: hybrid data and target of one slice after the other."""

import os
from functools import lru_cache
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastmri.direct import read_bytes

TOP = 2.0**15  # what a slice's largest part becomes as a half float: 44 binary places are left below it


class Stored(NamedTuple):
    """Where a volume is kept, and how. A slice is its scale, if it is of halves, hybrid data and target.

    A file is read rather than mapped: the samples are copied into a batch anyway, and a file that was cut
    short is an error then, not the end of the process. Memory is mapped, which takes a third of the time.
    """

    path: str  # of a file, or of a process's memory as Linux names it
    in_memory: bool  # that nobody can cut short
    start: int  # bytes before the volume
    hybrid_shape: tuple[int, int]
    target_shape: tuple[int, int]
    half: bool  # two half floats per sample instead of a complex64

    @property
    def slice_bytes(self) -> int:
        (rows, columns), (height, width) = self.hybrid_shape, self.target_shape
        return rows * columns * (4 if self.half else 8) + 4 * height * width + (4 if self.half else 0)

    def write_slice(self, file: BinaryIO, hybrid: Tensor, target: Tensor) -> None:
        """Append a slice, complex64 (h, W) and float32 (h, w)."""
        parts = torch.view_as_real(hybrid)
        if self.half:
            scale = parts.abs().max() / TOP
            scale = torch.where(scale > 0, scale, torch.ones_like(scale))
            file.write(scale.numpy().tobytes())
            parts = (parts / scale).half()
        file.write(parts.contiguous().numpy().data)
        file.write(target.contiguous().numpy().data)

    def read_hybrid(self, slice_num: int, out: Tensor) -> None:
        """Fill complex64 (h, W). Raises OSError if it can't be read."""
        parts, start = torch.view_as_real(out), self.start + slice_num * self.slice_bytes
        if not self.half:
            self._read(start, [parts.numpy()])
            return
        scale, halves = np.empty(1, np.float32), torch.empty(parts.shape, dtype=torch.float16)
        self._read(start, [scale, halves.numpy()])
        parts.copy_(halves).mul_(float(scale[0]))

    def read_target(self, slice_num: int) -> Tensor:
        """The raw target, float32 (h, w). Raises OSError if it can't be read."""
        target = torch.empty(self.target_shape)
        end = self.start + (slice_num + 1) * self.slice_bytes
        self._read(end - 4 * target.numel(), [target.numpy()])
        return target

    def _read(self, start: int, parts: list[np.ndarray]) -> None:
        """Fill arrays with what follows `start`."""
        if not self.in_memory:
            read_bytes(self.path, start, parts)
            return
        state = os.stat(self.path)
        memory = _mapped(self.path, state.st_ino, state.st_size)
        for part in parts:
            part.reshape(-1).view(np.uint8)[:] = memory[start : start + part.nbytes]
            start += part.nbytes


@lru_cache(maxsize=64)  # processes of a host
def _mapped(path: str, inode: int, size: int) -> np.ndarray:
    """A process's memory; `inode` and `size`, because another may come to have its name."""
    return np.memmap(path, np.uint8, mode="r", shape=(size,))


def forget_memory() -> None:
    """Let go of what was mapped, so that it can be given back."""
    _mapped.cache_clear()
