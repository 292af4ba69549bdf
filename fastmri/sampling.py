"""The order of slices: in training a function of the seed alone, in evaluation of the files."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler

from fastmri.dataset import EvaluationDraw, TrainingDraw
from fastmri.volumes import Volume


class TrainingBatches(Sampler[list[TrainingDraw]]):
    """One rank's share of batches `start` to `stop` of an endless sequence that all ranks go through.

    An epoch shuffles the slices of each shape and cuts them into batches of nearly equal size, the batch size
    at most, so that it has every slice once; the next follows at once, be it in the middle of a step. The
    sequence depends neither on the number of ranks nor of workers.
    """

    def __init__(
        self,
        volumes: list[Volume],
        *,
        indices: list[int],
        batch_size: int,
        seed: int,
        start: int,
        stop: int,
        rank: int = 0,
        world: int = 1,
    ):
        self.batch_size, self.seed, self.rank, self.world = batch_size, seed, rank, world
        self.start, self.stop = start, stop
        self.groups = list(group_by_shape(volumes, indices).values())
        self._epoch = lru_cache(maxsize=1)(self._shuffle)

    @property
    def batches_per_epoch(self) -> int:
        return sum(map(self._count, self.groups))

    def __len__(self) -> int:
        return len(self._numbers())

    def __iter__(self) -> Iterator[list[TrainingDraw]]:
        for number in self._numbers():
            epoch, place = divmod(number, self.batches_per_epoch)
            batch = self._epoch(epoch)[place]
            # 0: the rank, when ranks had sequences of their own; a process alone draws as it did then
            yield [TrainingDraw(int(index), (self.seed, 0, number, k)) for k, index in enumerate(batch)]

    def _numbers(self) -> range:
        return range(self.start + self.rank, self.stop, self.world)

    def _count(self, group: np.ndarray) -> int:
        return -(-len(group) // self.batch_size)

    def _shuffle(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self.seed, epoch))
        batches = []
        for group in self.groups:
            batches.extend(np.array_split(rng.permutation(group), self._count(group)))
        return [batches[k] for k in rng.permutation(len(batches))]


class EvaluationBatches(Sampler[list[EvaluationDraw]]):
    """Every slice of this rank's volumes at every acceleration, one volume after the other, in order."""

    def __init__(
        self,
        volumes: list[Volume],
        accelerations: list[int],
        *,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
    ):
        self.accelerations, self.batch_size = accelerations, batch_size
        starts = np.cumsum([0] + [volume.num_slices for volume in volumes])
        spans = list(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))
        self.spans = spans[rank::world]

    def __len__(self) -> int:
        return len(self.accelerations) * sum(-(-(b - a) // self.batch_size) for a, b in self.spans)

    def __iter__(self) -> Iterator[list[EvaluationDraw]]:
        for first, last in self.spans:
            for acceleration in self.accelerations:
                for start in range(first, last, self.batch_size):
                    stop = min(start + self.batch_size, last)
                    yield [EvaluationDraw(index, acceleration) for index in range(start, stop)]


def group_by_shape(volumes: list[Volume], indices: list[int]) -> dict[tuple, np.ndarray]:
    """Slice indices that may share a batch: equal hybrid shape and equal target size."""
    shapes = [(*v.hybrid_shape, *v.recon_size) for v in volumes for _ in range(v.num_slices)]
    groups: dict[tuple, list[int]] = {}
    for index in indices:
        groups.setdefault(shapes[index], []).append(index)
    return {shape: np.array(group) for shape, group in sorted(groups.items())}
