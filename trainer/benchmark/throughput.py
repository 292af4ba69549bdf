"""Speed and memory of a training step and of inference, by batch size, precision and compile mode."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from config.load import changed
from config.schema import Config
from fastmri.dataset import EvaluationDraw, TrainingDraw, collate, list_slices, to_device
from fastmri.sampling import group_by_shape
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume
from trainer.band_tables import constant_table
from trainer.benchmark.floors import TRAFFIC_PER_PARAMETER, Cost, count_flops
from trainer.benchmark.timing import time_calls, wait_for
from trainer.checkpoint import set_gains
from trainer.compiled import compile_network
from trainer.data import evaluation_loader, training_loader
from trainer.distributed import Process
from trainer.draws import evaluation_draws
from trainer.memory import held, peak, saved_for_backward
from trainer.state import State, make_state
from trainer.step import train_step

TOGETHER = {"cpu": 1, "cuda": 5}  # calls between two looks at the clock: a loop does not wait for a GPU
ENDLESS = 10**9  # steps


class Setting(NamedTuple):
    """What a step is measured at."""

    part: str  # train or inference
    batch_size: int
    precision: str  # float32, or bf16 where autocast takes it
    compile: str  # off, or a mode of `compiled`


def measure_step(
    config: Config, volumes: list[Volume], device: str, setting: Setting, seconds: float
) -> dict[str, Any]:
    """Timing of a step on one batch that stays on the device, and the most memory above the start's."""
    process = Process(torch.device(device))
    config = as_set(config, setting, process.device)
    batch = make_batch(config, volumes, process, setting)
    before = 0 if process.device.type == "cuda" else held(process.device)
    state = make_state(config, process, pretrained=False)
    call = make_call(state, batch, config, process, setting)
    compile_network(step_module(state, setting), setting.compile)
    together = TOGETHER[process.device.type]
    timing = time_calls(call, seconds=seconds, together=together, wait=partial(wait_for, process.device))
    most = peak(process.device) - before
    return {**asdict(timing), "peak_bytes": most, "shape": list(batch.masked_kspace.shape)}


def count_cost(config: Config, volumes: list[Volume], device: str, part: str, precision: str) -> dict:
    """The `Cost` of a step as a dictionary, counted on one slice."""
    process, setting = Process(torch.device(device)), Setting(part, 1, precision, "off")
    config = as_set(config, setting, process.device)
    batch = make_batch(config, volumes, process, setting)
    state = make_state(config, process, pretrained=False)
    parameters = list(step_module(state, setting).parameters())
    with saved_for_backward() as kept:
        flops = count_flops(make_call(state, batch, config, process, setting))
    for parameter in parameters:
        kept.pop(parameter.data_ptr(), None)
    moved = given_bytes(batch) + 2 * sum(kept.values())  # written forward, read backward
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    fixed = 4 * sum(p.numel() for p in parameters)  # each is read once
    if part == "train":
        fixed += (TRAFFIC_PER_PARAMETER - 4) * trained
    return Cost(fixed, moved, flops)._asdict()


def given_bytes(batch: SliceBatch) -> int:
    """Bytes of a batch, and of the complex image that is made of it."""
    tensors = [value for value in batch if isinstance(value, Tensor)]
    image = batch.masked_kspace[:, :1]
    return sum(t.numel() * t.element_size() for t in tensors) + image.numel() * image.element_size()


def as_set(config: Config, setting: Setting, device: torch.device) -> Config:
    """The config with the batch size, precision and compile mode of a setting, and no last step."""
    if setting.part == "train" and setting.precision == "bf16" and device.type == "cpu":
        raise ValueError("train.bf16 is for CUDA alone")
    train = {"bf16": setting.precision == "bf16", "compile": setting.compile, "steps": ENDLESS}
    return changed(config, train=train, data={"batch_size": setting.batch_size})


def make_batch(config: Config, volumes: list[Volume], process: Process, setting: Setting) -> SliceBatch:
    """A batch as training or evaluation would see it, on the device; read in this process."""
    (group, *_) = group_by_shape(volumes, list(range(len(list_slices(volumes))))).values()
    places = np.resize(group, setting.batch_size).tolist()  # a loader's may be smaller
    if setting.part == "train":
        drawn = training_loader(config, volumes, process).dataset
        slices = [drawn[TrainingDraw(place, (config.seed, k))] for k, place in enumerate(places)]
        return to_device(collate(slices), process.device)
    seen = evaluation_loader(config, volumes, process).dataset
    acceleration = config.masks.accelerations[0]
    slices = [seen[EvaluationDraw(place, acceleration)] for place in places]
    return to_device(collate(slices), process.device)


def step_module(state: State, setting: Setting) -> torch.nn.Module:
    """The network that a part runs."""
    return state.model if setting.part == "train" else state.average


def make_call(
    state: State, batch: SliceBatch, config: Config, process: Process, setting: Setting
) -> Callable[[], None]:
    """One step of training, or all draws of the batch's slices."""

    def train() -> None:
        train_step(state, [batch], config, process)
        state.advance(1)

    @torch.inference_mode()
    def infer() -> None:
        with torch.autocast(process.device.type, torch.bfloat16, enabled=setting.precision == "bf16"):
            evaluation_draws(state.average, batch, config.seed, config.draws)

    if setting.part == "train":
        return train
    ones, none = (constant_table(config.masks.accelerations, config.loss.octaves, x) for x in (1.0, 0.0))
    set_gains(state.average, ones, none)  # as once its gains are settled: of two draws a sample
    return infer
