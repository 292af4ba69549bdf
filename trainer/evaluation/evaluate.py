"""Scores of every volume at every acceleration, for a model and what it is compared with."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from config.schema import Config
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume
from trainer.data import evaluation_loader
from trainer.distributed import Process, gather
from trainer.evaluation.donor import choose_donors
from trainer.evaluation.estimates import Estimates, estimate, join
from trainer.evaluation.figures import Panel
from trainer.evaluation.judgement import BESIDE, Example, Judgement, judge, judged
from trainer.evaluation.methods import Methods
from trainer.evaluation.page import Selection, View
from trainer.evaluation.perceptual import Perceptual
from trainer.evaluation.scores import Result, Score, Spread
from trainer.evaluation.trust import Trust
from trainer.log import progress_bar


class Evaluation(NamedTuple):
    """Scores in the order of volumes, accelerations and methods, and examples for the first volumes."""

    scores: list[Score]
    spreads: list[Spread]  # of a stochastic model, else empty
    trusts: list[Trust]  # likewise
    examples: list[Example]
    seconds_per_slice: float  # of one draw of the model, or of all methods, with transfers, on this process
    views: list[View] = []  # noqa: RUF012  in the same order, of what a page shows

    def panels(self, acceleration: int) -> list[Panel]:
        """The examples at an acceleration."""
        return [example.panel for example in self.examples if example.acceleration == acceleration]


EXAMPLES = 3  # volumes of which a slice is drawn


@torch.inference_mode()
def evaluate(
    model: nn.Module | None,
    volumes: list[Volume],
    config: Config,
    process: Process,
    methods: Methods | None = None,
    perceptual: Perceptual | None = None,
    page: Selection | None = None,
) -> Evaluation:
    """Score a model in evaluation mode, if any, methods and the zero-filled image; the same on every process.

    With `perceptual`, also by its metrics, which take longer; with `page`, keeps what that shows. Holds the
    volume that is computed and, on a GPU, the few before it that are judged meanwhile, so memory does not
    grow with their number.
    """
    drawn = {volume.fname for volume in _first_of_each(volumes)}
    with_donor = methods is not None and "donor" in config.validation.methods
    donors = choose_donors(volumes) if with_donor else None
    compute = partial(estimate, model, config=config, methods=methods, donors=donors)
    judging = partial(judge, drawn=drawn, perceptual=perceptual, page=page)
    results = _volume_results(compute, volumes, config, process)
    own = list(judged(results, judging, BESIDE.get(process.device.type, 0)))
    found = _in_order(gather(own, process), volumes, config)
    return Evaluation(
        list(chain.from_iterable(each.scores for each in found)),
        list(chain.from_iterable(each.spreads for each in found)),
        list(chain.from_iterable(each.trusts for each in found)),
        list(chain.from_iterable(each.examples for each in found)),
        float(np.mean([each.seconds for each in own] or [0.0])) / config.draws,
        list(chain.from_iterable(each.views for each in found)),
    )


def _first_of_each(volumes: list[Volume]) -> list[Volume]:
    """The first volume of each acquisition, at most EXAMPLES of them."""
    first = {volume.acquisition: volume for volume in reversed(volumes)}
    return sorted(first.values())[:EXAMPLES]


def _in_order(found: list[Judgement], volumes: list[Volume], config: Config) -> list[Judgement]:
    """By volume and acceleration, whichever process they are from."""
    position = {volume.fname: k for k, volume in enumerate(volumes)}
    order = {acceleration: k for k, acceleration in enumerate(config.masks.accelerations)}
    return sorted(found, key=lambda each: (position[each.fname], order[each.acceleration]))


def _volume_results(
    compute: Callable[[SliceBatch], Estimates], volumes: list[Volume], config: Config, process: Process
) -> Iterator[Result]:
    """Whole volumes, as soon as their last slice is computed."""
    named = {volume.fname: volume for volume in volumes}
    loader = evaluation_loader(config, volumes, process)
    parts: list[tuple[Tensor, Estimates]] = []
    hidden = not process.main
    with progress_bar(total=len(loader), desc="validate", unit="batch", leave=False, disable=hidden) as bar:
        for batch in loader:
            assert batch.target is not None
            parts.append((batch.target[:, 0].cpu(), compute(batch)))
            bar.update()
            volume = named[batch.fname[0]]
            if sum(len(target) for target, _ in parts) == volume.num_slices:
                result, parts = _whole(volume, batch, parts), []
                yield result
                del result  # lest it be held while the next is computed


def _whole(volume: Volume, batch: SliceBatch, parts: list[tuple[Tensor, Estimates]]) -> Result:
    """Targets and estimates of all slices of a volume, of which this is the last batch."""
    mask = batch.mask[0, 0, 0].cpu().numpy()
    target = torch.cat([target for target, _ in parts]).numpy()
    return Result(volume, batch.acceleration[0], mask, target, join([part for _, part in parts]))
