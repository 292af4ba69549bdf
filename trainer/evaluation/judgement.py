"""What is judged of whole volumes, and how a GPU need not wait for that."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainer.evaluation.figures import Panel
from trainer.evaluation.page import Selection, View
from trainer.evaluation.perceptual import Perceptual
from trainer.evaluation.scores import Result, Score, Spread, score, spread, trusts
from trainer.evaluation.trust import Trust

# threads that judge volumes, by kind of device: SSIM and the like take some milliseconds of a core for each
# slice and method. In line on a CPU, which computes with these cores.
BESIDE = {"cuda": 2}


class Example(NamedTuple):
    """The middle slice of a volume, to be drawn."""

    fname: str
    acceleration: int
    panel: Panel


class Judgement(NamedTuple):
    """All that is kept of one volume at one acceleration."""

    fname: str
    acceleration: int
    scores: list[Score]
    spreads: list[Spread]  # one of a stochastic model, else none
    trusts: list[Trust]  # likewise
    examples: list[Example]  # one, if it is to be drawn
    views: list[View]  # one, if a page shows it
    seconds: float  # that estimates took a slice; longer where metrics use the same device meanwhile


@torch.inference_mode()  # which a thread does not have from who started it
def judge(
    result: Result, drawn: set[str], perceptual: Perceptual | None, page: Selection | None
) -> Judgement:
    """`drawn`: names of volumes that are an example. Raises ValueError that names the file, see `score`."""
    volume, acceleration = result.volume, result.acceleration
    scores = score(result, perceptual)
    wanted = volume.fname in drawn
    return Judgement(
        volume.fname,
        acceleration,
        scores,
        spread(result),
        trusts(result),
        [Example(volume.fname, acceleration, _panel(result, scores))] if wanted else [],
        page.views(result, scores) if page else [],
        result.estimates.seconds / len(result.target),
    )


def judged(
    results: Iterable[Result], judging: Callable[[Result], Judgement], threads: int
) -> Iterator[Judgement]:
    """In order; by so many threads while the next results are computed, or in line if there are none.

    No more volumes than threads wait to be judged. What a thread raises is raised here, a few volumes later.
    """
    if not threads:
        yield from map(judging, results)
        return
    waiting: deque[Future[Judgement]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for result in results:
            if len(waiting) == threads:
                yield waiting.popleft().result()
            waiting.append(pool.submit(judging, result))
        while waiting:
            yield waiting.popleft().result()


def _panel(result: Result, scores: list[Score]) -> Panel:
    middle = result.volume.num_slices // 2
    estimates = result.estimates

    def cut(images: Tensor) -> np.ndarray:
        return images[middle].numpy().copy()  # a view would hold the whole volume

    return Panel(
        label=f"{result.volume.fname} slice {middle}\n{result.volume.acquisition}",
        images={name: cut(found.magnitude) for name, found in estimates.methods.items()},
        target=result.target[middle].copy(),
        null_errors={name: cut(found.null_error) for name, found in estimates.methods.items()},
        std=None if estimates.std is None else cut(estimates.std),
        captions={s.method: f"volume: {s.metrics.psnr:.2f} dB / SSIM {s.metrics.ssim:.3f}" for s in scores},
    )
