"""Scores of every volume at every acceleration, for a model and what it is compared with."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from config.schema import Config
from fastmri.dataset import Slice, to_device
from fastmri.masks import achieved_acceleration
from fastmri.metrics import psnr_of_error, volume_metrics
from fastmri.spectrum import texture
from fastmri.volumes import Volume
from trainer.data import evaluation_loader
from trainer.distributed import Process, gather
from trainer.estimates import Estimates, estimate, join
from trainer.figures import Panel
from trainer.log import progress_bar
from trainer.methods import Methods


class Measures(NamedTuple):
    """What is measured of a method's volume."""

    psnr: float  # dB
    ssim: float
    nmse: float
    power_ratio: float  # on unmeasured k-space above half the band
    correlation: float  # there, with the truth
    dc_residual: float  # ||M F x - y|| / ||y||


class Score(NamedTuple):
    """One method on one volume at one acceleration."""

    method: str
    fname: str
    acceleration: int
    acquisition: str
    achieved_acceleration: float
    metrics: Measures


class Spread(NamedTuple):
    """What the means of 1, 2, 4, ... samples of one volume score: to be held against the posterior's law."""

    fname: str
    acceleration: int
    psnr: dict[int, float]  # number of samples -> dB

    @property
    def gap(self) -> float:
        """PSNR of the largest mean over that of one sample, in dB."""
        return self.psnr[max(self.psnr)] - self.psnr[1]


class Example(NamedTuple):
    """The middle slice of a volume, to be drawn."""

    acceleration: int
    panel: Panel


class Evaluation(NamedTuple):
    """Scores in the order of volumes, accelerations and methods, and examples for the first volumes."""

    scores: list[Score]
    spreads: list[Spread]  # of a stochastic model, else empty
    examples: list[Example]
    seconds_per_slice: float  # of one draw of the model, or of all methods, with transfers, on this process


class Result(NamedTuple):
    """What was computed of one volume at one acceleration."""

    volume: Volume
    acceleration: int
    mask: np.ndarray  # bool (W,)
    target: np.ndarray  # float32 (S, h, w)
    estimates: Estimates


EXAMPLES = 3  # volumes of which a slice is drawn


@torch.inference_mode()
def evaluate(
    model: nn.Module | None,
    volumes: list[Volume],
    config: Config,
    process: Process,
    methods: Methods | None = None,
) -> Evaluation:
    """Score a model in evaluation mode, if any, methods and the zero-filled image; the same on every process.

    Holds one volume at a time, so memory does not grow with their number.
    """
    position = {volume.fname: k for k, volume in enumerate(volumes)}
    shown = {volume.fname for volume in _first_of_each(volumes)}
    scores, spreads, examples, seconds = [], [], [], []
    compute = partial(estimate, model, config=config, methods=methods or {})
    for result in _volume_results(compute, volumes, config, process):
        found = _score(result)
        scores += found
        spreads += _spread(result)
        seconds.append(result.estimates.seconds / len(result.target) / config.draws)
        if result.volume.fname in shown:
            examples.append(Example(result.acceleration, _panel(result, found)))
    order = {acceleration: k for k, acceleration in enumerate(config.masks.accelerations)}

    def place(found: Score | Spread) -> tuple[int, int]:
        return position[found.fname], order[found.acceleration]

    return Evaluation(
        sorted(gather(scores, process), key=place),
        sorted(gather(spreads, process), key=place),
        gather(examples, process),
        float(np.mean(seconds or [0.0])),
    )


def _first_of_each(volumes: list[Volume]) -> list[Volume]:
    """The first volume of each acquisition, at most EXAMPLES of them."""
    first = {volume.acquisition: volume for volume in reversed(volumes)}
    return sorted(first.values())[:EXAMPLES]


def _volume_results(
    compute: Callable[[Slice], Estimates], volumes: list[Volume], config: Config, process: Process
) -> Iterator[Result]:
    """Whole volumes, as soon as their last slice is computed."""
    named = {volume.fname: volume for volume in volumes}
    loader = evaluation_loader(config, volumes, process)
    parts: list[tuple[Tensor, Estimates]] = []
    shown = {"desc": "validate", "unit": "batch", "leave": False, "disable": not process.main}
    with progress_bar(total=len(loader), **shown) as bar:
        for batch in loader:
            parts.append((batch.target[:, 0], compute(to_device(batch, process.device))))
            bar.update()
            volume = named[batch.fname[0]]
            if sum(len(target) for target, _ in parts) == volume.num_slices:
                target = torch.cat([target for target, _ in parts]).numpy()
                estimates = join([part for _, part in parts])
                yield Result(volume, batch.acceleration[0], batch.mask[0, 0, 0].numpy(), target, estimates)
                parts = []


def _score(result: Result) -> list[Score]:
    """Raises ValueError that names the file if it can't be scored: nothing may hide in a mean."""
    volume, target = result.volume, result.target
    achieved = achieved_acceleration(result.mask, volume.acquired)
    scores = []
    for name, found in result.estimates.methods.items():
        prediction = found.magnitude.numpy()
        if not (np.isfinite(prediction).all() and np.isfinite(target).all() and target.any()):
            raise ValueError(
                f"{volume.path}: {name} at x{result.acceleration}, or its target, is not finite or all zero; "
                "`check` tells more of the file"
            )
        energy = result.estimates.energy
        residual = float((found.misfit / energy).sqrt()) if energy else 0.0
        measures = Measures(*volume_metrics(target, prediction), *texture(found.rings), residual)
        scores.append(Score(name, volume.fname, result.acceleration, volume.acquisition, achieved, measures))
    return scores


def _spread(result: Result) -> list[Spread]:
    errors = result.estimates.errors
    if errors is None:
        return []
    top, pixels = float(result.target.max()), result.target.size
    values = [psnr_of_error(error / pixels, top) for error in errors.tolist()]
    counts = [2**k for k in range(len(values))]
    return [Spread(result.volume.fname, result.acceleration, dict(zip(counts, values, strict=True)))]


def _panel(result: Result, scores: list[Score]) -> Panel:
    middle = result.volume.num_slices // 2
    estimates = result.estimates
    return Panel(
        label=f"{result.volume.fname} slice {middle}\n{result.volume.acquisition}",
        images={name: found.magnitude[middle].numpy() for name, found in estimates.methods.items()},
        target=result.target[middle],
        std=None if estimates.std is None else estimates.std[middle].numpy(),
        captions={s.method: f"volume: {s.metrics.psnr:.2f} dB / SSIM {s.metrics.ssim:.3f}" for s in scores},
    )


def mean_gaps(spreads: list[Spread]) -> dict[int, float]:
    """Mean over volumes of the gap to one sample in dB, by acceleration."""
    accelerations = dict.fromkeys(spread.acceleration for spread in spreads)
    return {
        r: float(np.mean([spread.gap for spread in spreads if spread.acceleration == r]))
        for r in accelerations
    }
