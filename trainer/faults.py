"""What can go wrong in a step, told so that one can mend it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from loguru import logger
from torch import Tensor

from config.schema import Config
from fastmri.atomic import replacing
from fastmri.slices import SliceBatch

Places = list[tuple[str, int]]  # file and slice


class BadStep(NamedTuple):
    """A step whose losses or gradient were not finite; it changed no weight."""

    step: int
    places: Places  # what this process trained on
    own: bool  # whether a loss of this process was not finite, rather than the common gradient alone

    def __str__(self) -> str:
        slices = defaultdict(list)
        for fname, slice_num in sorted(self.places):
            slices[fname].append(str(slice_num))
        files = "; ".join(f"{fname} slice {', '.join(numbers)}" for fname, numbers in slices.items())
        what = "a loss" if self.own else "the gradient, though no loss of this process,"
        return f"{what} is not finite at step {self.step}: {files}"


def places(batches: Sequence[SliceBatch]) -> Places:
    """All slices of some batches."""
    return [place for batch in batches for place in zip(batch.fname, batch.slice_num, strict=True)]


def write_batches(path: Path, batches: Sequence[SliceBatch]) -> None:
    """For inspection by torch.load: a list of batches, each a dictionary of the fields of a `SliceBatch`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = [{name: _on_cpu(value) for name, value in batch._asdict().items()} for batch in batches]
    with replacing(path) as partial:
        torch.save(plain, partial)


def _on_cpu(value: object) -> object:
    return value.cpu() if isinstance(value, Tensor) else value


def tell_bad_step(bad: BadStep, path: Path, so_far: int, config: Config) -> None:
    """Raises FloatingPointError once there were more than `train.max_bad_steps`; until then warns."""
    allowed = config.train.max_bad_steps
    line = f"{bad}; its batches are in {path}"
    if so_far > allowed:
        raise FloatingPointError(
            f"{line}; the last checkpoint is from before (train.max_bad_steps={allowed})"
        )
    logger.warning("{}; left out, as {} of {} steps that may be", line, so_far, allowed)


@contextmanager
def enough_memory(step: int, batches: Sequence[SliceBatch], config: Config) -> Iterator[None]:
    """Raises ValueError that says what needs less, if the GPU's memory is too small for the block."""
    try:
        yield
    except torch.OutOfMemoryError:
        count, _, rows, columns = batches[0].masked_kspace.shape
        smaller, advice = max(count // 2, 1), []
        if count > 1:
            accumulate = config.train.accumulate * -(-count // smaller)
            advice.append(f"data.batch_size={smaller} train.accumulate={accumulate} trains alike")
        if config.fewest_rows is not None:
            advice.append(f"set data.crop_rows={max(rows // 2, config.fewest_rows)}")
        raise ValueError(
            f"step {step}: {count} slices of {rows} x {columns} do not fit the GPU's memory; "
            f"{'; or '.join(advice) or 'it takes a smaller model'}; "
            "a run that has saved a checkpoint keeps these options, so train to another --out"
        ) from None
