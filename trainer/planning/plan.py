"""What a training would take, before any of it: memory, time and room."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from config.schema import Config
from custom_nn.model import parameter_count
from fastmri.keeping import kept_bytes
from fastmri.volumes import Volume
from trainer.benchmark.benchmark import resolved
from trainer.benchmark.isolation import in_child
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process
from trainer.memory import available_memory, free_disk
from trainer.planning.footprint import (
    ALLOWANCE,
    Footprint,
    checkpoint_bytes,
    checkpoints_at_once,
    find_footprint,
    largest_slice,
)
from trainer.planning.pace import measure_pace
from trainer.state import State, make_state

CARDS = {f"{size} GB": size * 10**9 for size in (8, 11, 24, 80)}
SECONDS = 2.0  # of a measurement, without its warm-up
LIMIT = 1800.0  # seconds after which the steps are given up
FEWER_ROWS = 168  # of a crop that is proposed: five scales of MS-SSIM need 161


class Room(NamedTuple):
    """Bytes that something needs, and how many are free where."""

    what: str
    needed: int
    free: int
    where: str


class Card(NamedTuple):
    """A card, the most slices that fit by precision, and the options with which the config fits."""

    name: str
    room: int  # bytes for tensors
    largest: dict[str, int]
    options: str


class Plan(NamedTuple):
    """All that is told."""

    config: Config
    device: torch.device
    parameters: dict[str, tuple[int, int]]  # trained and frozen, by network
    volumes: tuple[list[Volume], list[Volume]]  # to train, to validate
    shape: tuple[int, ...]  # of a slice's data (C, h, W)
    footprints: dict[str, Footprint]  # by precision
    cards: list[Card]
    pace: dict[str, Any]  # see `measure_pace`; or why there is none
    epoch: int  # slices of a pass over the data
    rooms: list[Room]


def make_plan(config: Config, out: Path | None, process: Process) -> Plan:
    """Measure and add up; writes nothing but what scanning remembers."""
    if process.world > 1:
        raise ValueError("--plan: measures one process; run it without torchrun")
    cards = CARDS | free_cards(process.device)
    config = resolved(config)
    training, validation = find_volumes(config, "train"), find_volumes(config, "val")
    state = make_state(config, process, pretrained=False)
    footprints = {
        precision: find_footprint(state, config, training, process, precision == "bf16")
        for precision in ("float32", "bf16")
    }
    slices, rows, columns = largest_slice(config, training).masked_kspace.shape
    return Plan(
        config=config,
        device=process.device,
        parameters=count_parameters(state, config.model.name),
        volumes=(training, validation),
        shape=(slices, rows, columns),
        footprints=footprints,
        cards=[
            fit_card(name, room - ALLOWANCE, config, footprints, rows, process.device.type == "cuda")
            for name, room in cards.items()
        ],
        pace=in_child(measure_pace, config, training, str(process.device), SECONDS, limit=LIMIT),
        epoch=sum(map(len, training_loader(config, training, process).batch_sampler.groups)),
        rooms=find_rooms(config, training, validation, checkpoint_bytes(state), out or Path()),
    )


def free_cards(device: torch.device) -> dict[str, int]:
    """The card at hand, with what is free on it."""
    if device.type != "cuda":
        return {}
    return {f"{torch.cuda.get_device_name(device)}, free now": torch.cuda.mem_get_info(device)[0]}


def count_parameters(state: State, name: str) -> dict[str, tuple[int, int]]:
    """Trained and frozen values of the model, by its name, and of a discriminator."""
    trained = parameter_count(state.model)
    counts = {name: (trained, sum(p.numel() for p in state.model.parameters()) - trained)}
    if state.adversary is not None:
        counts["discriminator"] = (sum(p.numel() for p in state.adversary.discriminator.parameters()), 0)
    return counts


def fit_card(
    name: str, room: int, config: Config, footprints: dict[str, Footprint], rows: int, measured: bool
) -> Card:
    """How many slices of so many rows fit, and which options make the config fit.

    What was not `measured` on CUDA is judged in float32, which bf16 stays below whatever it keeps in float32.
    """
    largest = {precision: found.largest_batch(room) for precision, found in footprints.items()}
    asked, best = "bf16" if measured and config.train.bf16 else "float32", "bf16" if measured else "float32"
    if largest[asked] >= config.data.batch_size:
        return Card(name, room, largest, "as configured")
    sizes = fitting_sizes(room, config, footprints[best], rows)
    if sizes is None:
        return Card(name, room, largest, "none: it is too small")
    return Card(name, room, largest, " ".join(([] if asked == best else ["train.bf16=true"]) + sizes))


def fitting_sizes(room: int, config: Config, footprint: Footprint, rows: int) -> list[str] | None:
    """Sizes with which the config fits, as one types them: smaller batches before fewer rows."""
    options, size = [], footprint.largest_batch(room)
    if size == 0 and rows > FEWER_ROWS and config.fewest_rows is not None:
        options.append(f"data.crop_rows={FEWER_ROWS}")
        footprint = footprint._replace(per_slice=footprint.per_slice * FEWER_ROWS // rows)
        size = footprint.largest_batch(room)
    if size < config.data.batch_size:
        options.append(f"data.batch_size={size}")
    return options if size else None


def find_rooms(
    config: Config, training: list[Volume], validation: list[Volume], checkpoint: int, out: Path
) -> list[Room]:
    """Checkpoints, and the volumes that training reads in each mode of `data.cache`."""
    found = [Room("checkpoints", checkpoints_at_once(config) * checkpoint, *free_disk(out))]
    volumes = [*training, *validation[: config.train.validate_volumes]]
    places = {"ram": (available_memory(), "memory"), "disk": free_disk(config.data.cache_dir.expanduser())}
    for mode, place in places.items():
        for dtype in ("complex64", "half"):
            options = f"data.cache={mode}" + (" data.cache_dtype=half" if dtype == "half" else "")
            found.append(Room(options, kept_bytes(volumes, dtype == "half"), *place))
    return found
