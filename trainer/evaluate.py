"""Scores of every volume at every acceleration, for a model and what it is compared with."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from config.schema import Config
from custom_nn.model import ZeroFilled
from fastmri.dataset import Slice, to_device
from fastmri.masks import achieved_acceleration
from fastmri.metrics import Metrics, volume_metrics
from fastmri.volumes import Volume
from trainer.data import evaluation_loader
from trainer.distributed import Process, gather
from trainer.figures import Panel
from trainer.noise import evaluation_noise
from trainer.objectives import magnitude


class Score(NamedTuple):
    """One method on one volume at one acceleration."""

    method: str
    fname: str
    acceleration: int
    acquisition: str
    achieved_acceleration: float
    metrics: Metrics


class Example(NamedTuple):
    """The middle slice of a volume, to be drawn."""

    acceleration: int
    panel: Panel


class Evaluation(NamedTuple):
    """Scores in the order of volumes, accelerations and methods, and examples for the first volumes."""

    scores: list[Score]
    examples: list[Example]
    seconds_per_slice: float  # of the model, with its transfers, on this process


class Images(NamedTuple):
    """What was computed of one volume at one acceleration: float32 (S, h, w) each."""

    target: np.ndarray
    methods: dict[str, np.ndarray]
    mask: np.ndarray  # bool (W,)
    acceleration: int


EXAMPLES = 3  # volumes of which a slice is drawn


@torch.inference_mode()
def evaluate(model: nn.Module, volumes: list[Volume], config: Config, process: Process) -> Evaluation:
    """Score the model, in evaluation mode, and the zero-filled image; the same on every process.

    Holds one volume at a time, so memory does not grow with their number.
    """
    methods = {"zero_filled": ZeroFilled(), "model": model}
    position = {volume.fname: k for k, volume in enumerate(volumes)}
    shown = {volume.fname for volume in _first_of_each(volumes)}
    scores, examples, seconds = [], [], []
    for fname, images in _volume_images(methods, volumes, config, process, seconds):
        volume = volumes[position[fname]]
        found = _score(volume, images)
        scores += found
        if fname in shown:
            examples.append(Example(images.acceleration, _panel(volume, images, found)))
    order = {acceleration: k for k, acceleration in enumerate(config.masks.accelerations)}
    scores = sorted(
        gather(scores, process),
        key=lambda s: (position[s.fname], order[s.acceleration], s.method != "zero_filled"),
    )
    return Evaluation(scores, gather(examples, process), float(np.mean(seconds or [0.0])))


def _first_of_each(volumes: list[Volume]) -> list[Volume]:
    """The first volume of each acquisition, at most EXAMPLES of them."""
    first = {volume.acquisition: volume for volume in reversed(volumes)}
    return sorted(first.values())[:EXAMPLES]


def _volume_images(
    methods: dict[str, nn.Module],
    volumes: list[Volume],
    config: Config,
    process: Process,
    seconds: list[float],
) -> Iterator[tuple[str, Images]]:
    """Whole volumes as soon as their last slice is computed; adds the model's seconds per slice."""
    count = {volume.fname: volume.num_slices for volume in volumes}
    loader = evaluation_loader(config, volumes, process)
    batches: list[tuple[Slice, dict[str, Tensor]]] = []
    with tqdm(desc="validate", total=len(loader), unit="batch", leave=False, disable=not process.main) as bar:
        for batch in loader:
            moved = to_device(batch, process.device)
            found = {}
            for name, method in methods.items():
                started = time.perf_counter()
                found[name] = reconstruct_batch(method, moved, config)  # ends on the CPU: no need to wait
            seconds.append((time.perf_counter() - started) / len(batch.fname))  # the model is the last
            batches.append((batch, found))
            bar.update()
            if sum(len(done.fname) for done, _ in batches) == count[batch.fname[0]]:
                yield batch.fname[0], _join(batches)
                batches = []


def reconstruct_batch(model: nn.Module, batch: Slice, config: Config) -> Tensor:
    """Magnitude (N, h, w) on the CPU, the mean of `validate.samples` of them."""
    images = [
        magnitude(sample_image(model, batch, config, sample), batch.recon_size[0])[:, 0]
        for sample in range(config.validation.samples)
    ]
    return torch.stack(images).mean(0).cpu()


def sample_image(model: nn.Module, batch: Slice, config: Config, sample: int) -> Tensor:
    """Output number `sample` of the model for a batch, complex64 (N, 1, h, W)."""
    device = batch.masked_kspace.device
    noise = evaluation_noise(config.seed, batch.fname, batch.slice_num, sample, device)
    return model(batch.masked_kspace, batch.mask, noise, batch.scale).image


def _join(batches: list[tuple[Slice, dict[str, Tensor]]]) -> Images:
    first = batches[0][0]
    return Images(
        target=torch.cat([batch.target[:, 0] for batch, _ in batches]).numpy(),
        methods={name: torch.cat([found[name] for _, found in batches]).numpy() for name in batches[0][1]},
        mask=first.mask[0, 0, 0].numpy(),
        acceleration=first.acceleration[0],
    )


def _score(volume: Volume, images: Images) -> list[Score]:
    """Raises ValueError that names the file if it can't be scored: nothing may hide in a mean."""
    achieved = achieved_acceleration(images.mask, volume.acquired)
    scores = []
    for name, prediction in images.methods.items():
        if not (np.isfinite(prediction).all() and np.isfinite(images.target).all() and images.target.any()):
            raise ValueError(
                f"{volume.path}: {name} at x{images.acceleration}, or its target, is not finite or all zero; "
                "`check` tells more of the file"
            )
        metrics = volume_metrics(images.target, prediction)
        place = (volume.fname, images.acceleration, volume.acquisition, achieved)
        scores.append(Score(name, *place, metrics))
    return scores


def _panel(volume: Volume, images: Images, scores: list[Score]) -> Panel:
    middle = volume.num_slices // 2
    return Panel(
        label=f"{volume.fname} slice {middle}\n{volume.acquisition}",
        zero_filled=images.methods["zero_filled"][middle],
        reconstruction=images.methods["model"][middle],
        target=images.target[middle],
        captions={s.method: f"volume: {s.metrics.psnr:.2f} dB / SSIM {s.metrics.ssim:.3f}" for s in scores},
    )


def mean_ssim(scores: list[Score], method: str = "model") -> float:
    """Mean over volumes and accelerations: what decides which checkpoint is best."""
    return float(np.mean([score.metrics.ssim for score in scores if score.method == method]))
