"""The order of slices: in training a function of (seed, rank, step), in evaluation of the files alone."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler

from fastmri.dataset import EvaluationDraw, TrainingDraw
from fastmri.volumes import Volume


class TrainingBatches(Sampler[list[TrainingDraw]]):
    """Batches of slices of equal shape for one rank, from step `start` until step `stop`.

    An epoch shuffles the slices within each shape and cuts them into global batches, `world` times the
    batch size; a shape's last batch is filled up from its first. Nothing depends on the number of workers.
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
        whole = self.batch_size * self.world
        return sum(-(-len(group) // whole) for group in self.groups)

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[TrainingDraw]]:
        for step in range(self.start, self.stop):
            epoch, place = divmod(step, self.batches_per_epoch)
            batch = self._epoch(epoch)[place][self.rank :: self.world]
            yield [TrainingDraw(int(index), (self.seed, self.rank, step, k)) for k, index in enumerate(batch)]

    def _shuffle(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self.seed, epoch))
        whole = self.batch_size * self.world
        batches = []
        for group in self.groups:
            order = rng.permutation(group)
            order = np.resize(order, -(-len(order) // whole) * whole)  # fills up from its start
            batches.extend(order.reshape(-1, whole))
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
