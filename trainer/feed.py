"""A loader's batches as a model takes them."""

import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fastmri.dataset import EvaluationSlices, TrainingSlices, collate, to_device
from fastmri.sampling import EvaluationBatches, TrainingBatches
from fastmri.slices import Drawn, DrawnBatch, SliceBatch, undersample
from trainer.distributed import Process
from trainer.memory import keep_freed_memory
from trainer.signals import leave_signals_to_parent

# a loader warns of more processes than cores: of no harm here, where they wait for files
warnings.filterwarnings("ignore", message="This DataLoader will create")
LOST_READER = (
    "a process that reads slices was killed, by the system if memory ran out; lower data.num_workers or "
    "data.batch_size; the same command goes on from the last checkpoint"
)
Slices = TypeVar("Slices", TrainingSlices, EvaluationSlices)
Batches = TypeVar("Batches", TrainingBatches, EvaluationBatches)
Draw = TypeVar("Draw")


class Feed(Generic[Slices, Batches]):
    """Batches on the device, masked there.

    On CUDA they are copied on a stream of their own, so while the device computes on the last one. The
    loader's processes live as long as one iteration, which is all of a training.
    """

    def __init__(self, slices: Slices, batches: Batches, num_workers: int, process: Process):
        keep_freed_memory()
        self.dataset: Slices = slices
        self.batch_sampler: Batches = batches
        self.device = process.device
        self.loader = DataLoader(
            _Drawing(slices.draw),
            batch_sampler=batches,
            num_workers=min(num_workers, len(batches)),
            collate_fn=collate,
            worker_init_fn=leave_signals_to_parent,
            pin_memory=process.device.type == "cuda",
        )

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[SliceBatch]:
        if self.device.type == "cuda":
            return self._copied_aside()
        return map(undersample, self.drawn())

    def steps(self, accumulate: int) -> Iterator[tuple[SliceBatch, ...]]:
        """Batches, as many together as a step has."""
        return zip(*[iter(self)] * accumulate, strict=True)

    def drawn(self) -> Iterator[DrawnBatch]:
        """What the loader gives, neither masked nor on the device.

        Raises ChildProcessError if one of its processes is no longer there.
        """
        try:
            yield from self.loader
        except (ConnectionError, EOFError):  # of what a killed one was about to hand over
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler tells it too, amid whatever runs
            raise ChildProcessError(LOST_READER) from None

    def _copied_aside(self) -> Iterator[SliceBatch]:
        stream = torch.cuda.Stream(self.device)
        for drawn in self.drawn():
            with torch.cuda.stream(stream):
                batch = undersample(to_device(drawn, self.device))
            current = torch.cuda.current_stream(self.device)
            current.wait_stream(stream)
            for value in batch:
                if isinstance(value, Tensor):
                    value.record_stream(current)  # its memory is not taken again before it was used
            yield batch


class _Drawing(Dataset[Drawn], Generic[Draw]):
    """Slices before they are masked: complete data and masked ones would be more to send."""

    def __init__(self, read: Callable[[Draw], Drawn]):
        self.read = read

    def __getitem__(self, draw: Draw) -> Drawn:
        return self.read(draw)
