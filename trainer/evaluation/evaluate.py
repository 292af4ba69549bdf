"""Scores of every volume at every acceleration, for a model and what it is compared with."""

from collections.abc import Callable, Iterator
from functools import partial
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
from trainer.evaluation.methods import Methods
from trainer.evaluation.page import Selection, View
from trainer.evaluation.perceptual import Perceptual
from trainer.evaluation.scores import Result, Score, Spread, score, spread, trusts
from trainer.evaluation.trust import Trust
from trainer.log import progress_bar


class Example(NamedTuple):
    """The middle slice of a volume, to be drawn."""

    fname: str
    acceleration: int
    panel: Panel


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

    With `perceptual`, also by its metrics, which take longer; with `page`, keeps what that shows. Holds one
    volume at a time, so memory does not grow with their number.
    """
    position = {volume.fname: k for k, volume in enumerate(volumes)}
    shown = {volume.fname for volume in _first_of_each(volumes)}
    scores, spreads, believed, examples, views, seconds = [], [], [], [], [], []
    with_donor = methods is not None and "donor" in config.validation.methods
    donors = choose_donors(volumes) if with_donor else None
    compute = partial(estimate, model, config=config, methods=methods, donors=donors)
    for result in _volume_results(compute, volumes, config, process):
        found = score(result, perceptual)
        scores += found
        spreads += spread(result)
        believed += trusts(result)
        seconds.append(result.estimates.seconds / len(result.target) / config.draws)
        if result.volume.fname in shown:
            examples.append(Example(result.volume.fname, result.acceleration, _panel(result, found)))
        views += page.views(result, found) if page else []
    order = {acceleration: k for k, acceleration in enumerate(config.masks.accelerations)}

    def place(found: Score | Spread | Trust | Example | View) -> tuple[int, int]:
        return position[found.fname], order[found.acceleration]

    return Evaluation(
        sorted(gather(scores, process), key=place),
        sorted(gather(spreads, process), key=place),
        sorted(gather(believed, process), key=place),
        sorted(gather(examples, process), key=place),
        float(np.mean(seconds or [0.0])),
        sorted(gather(views, process), key=place),
    )


def _first_of_each(volumes: list[Volume]) -> list[Volume]:
    """The first volume of each acquisition, at most EXAMPLES of them."""
    first = {volume.acquisition: volume for volume in reversed(volumes)}
    return sorted(first.values())[:EXAMPLES]


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
                target = torch.cat([target for target, _ in parts]).numpy()
                estimates = join([part for _, part in parts])
                yield Result(
                    volume, batch.acceleration[0], batch.mask[0, 0, 0].cpu().numpy(), target, estimates
                )
                parts = []


def _panel(result: Result, scores: list[Score]) -> Panel:
    middle = result.volume.num_slices // 2
    estimates = result.estimates
    return Panel(
        label=f"{result.volume.fname} slice {middle}\n{result.volume.acquisition}",
        images={name: found.magnitude[middle].numpy() for name, found in estimates.methods.items()},
        target=result.target[middle],
        null_errors={name: found.null_error[middle].numpy() for name, found in estimates.methods.items()},
        std=None if estimates.std is None else estimates.std[middle].numpy(),
        captions={s.method: f"volume: {s.metrics.psnr:.2f} dB / SSIM {s.metrics.ssim:.3f}" for s in scores},
    )
