"""A volume as a cache keeps it: hybrid data and target of one slice after the other."""

from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastmri.direct import read_bytes

TOP = 2.0**15  # what a slice's largest part becomes as a half float: 44 binary places are left below it


class Stored(NamedTuple):
    """Where a volume is kept, and how. A slice is its scale, if it is of halves, hybrid data and target.

    It is read rather than mapped: the samples are copied into a batch anyway, and a file that was cut short
    is an error then, not the end of the process.
    """

    path: str  # of a file, or of a process's memory as Linux names it
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
            read_bytes(self.path, start, [parts.numpy()])
            return
        scale, halves = np.empty(1, np.float32), torch.empty(parts.shape, dtype=torch.float16)
        read_bytes(self.path, start, [scale, halves.numpy()])
        parts.copy_(halves).mul_(float(scale[0]))

    def read_target(self, slice_num: int) -> Tensor:
        """The raw target, float32 (h, w). Raises OSError if it can't be read."""
        target = torch.empty(self.target_shape)
        end = self.start + (slice_num + 1) * self.slice_bytes
        read_bytes(self.path, end - 4 * target.numel(), [target.numpy()])
        return target
