"""Every measurement of a benchmark, each beside the least time it could take, and beside a peer's."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from config.schema import Config
from fastmri.volumes import Volume
from trainer.benchmark.breakdown import measure_breakdown
from trainer.benchmark.efficiency import measured_device
from trainer.benchmark.floors import TYPES, Cost, Floor, Rates
from trainer.benchmark.isolation import in_child
from trainer.benchmark.launch import measure_scaling
from trainer.benchmark.peer import Peer
from trainer.benchmark.reading import CACHES, NO_CACHE, Source, measure_reading, reading_cost
from trainer.benchmark.scaling import assumptions, beyond
from trainer.benchmark.throughput import Setting, count_cost, measure_step
from trainer.compiled import COMPILED

PARTS = ("data", "train", "inference", "breakdown", "scaling")


class Request(NamedTuple):
    """What to measure, how long, and on what."""

    only: list[str]
    seconds: float  # of each measurement, without its warm-up
    batch_sizes: list[int]
    workers: list[int]
    precisions: list[str]
    compile: list[str]
    volumes: int  # to simulate, or the first of the data
    slices: int  # of a simulated volume
    matrix: tuple[int, int]
    assume: list[str]  # NAME=VALUE of the cluster that the cost of many processes is modelled for
    peer: Path | None  # Python of an environment with the official package

    def check(self) -> None:
        """Raises ValueError for the first name that there is not."""
        assumptions(self.assume)
        allowed = {"--only": PARTS, "--precisions": tuple(TYPES), "--compile": ("off", *COMPILED)}
        given = (self.only, self.precisions, self.compile)
        for (option, names), values in zip(allowed.items(), given, strict=True):
            for value in values:
                if value not in names:
                    raise ValueError(f"{option}: must be of {', '.join(names)}; got '{value}'")
        if self.peer is not None and not self.peer.exists():
            raise ValueError(f"--peer-python: {self.peer} does not exist")

    def arguments(self) -> list[object]:
        """How one would type it."""
        lists = ("only", "batch_sizes", "workers", "precisions", "compile")
        found: list[object] = []
        for name in lists:
            found += [f"--{name.replace('_', '-')}", ",".join(map(str, getattr(self, name)))]
        found += ["--seconds", self.seconds, "--volumes", self.volumes, "--slices", self.slices]
        found += ["--matrix", "{}x{}".format(*self.matrix)]
        found += ["--assume", ",".join(self.assume)] if self.assume else []
        return found + (["--peer-python", self.peer] if self.peer else [])

    @property
    def limit(self) -> float:
        """Seconds after which a measurement is given up; compiling takes minutes."""
        return 900 + 20 * self.seconds


class Bench(NamedTuple):
    """What all measurements share."""

    config: Config
    volumes: list[Volume]
    device: str
    request: Request
    rates: Rates
    files: dict[str, Any]
    peer: Peer | None

    def measured(self, function: Callable[..., dict], *arguments: object) -> dict[str, Any]:
        """What a function of config, volumes and device gives in a process of its own."""
        shared = (self.config, self.volumes, self.device)
        return in_child(function, *shared, *arguments, limit=self.request.limit)


def plan(bench: Bench) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Every measurement with the part it belongs to, in order."""
    request = bench.request
    tasks: list[tuple[str, Callable[[], dict[str, Any]]]] = []
    costs: dict[tuple[str, str], dict[str, Any]] = {}
    if "data" in request.only:
        tasks += [("data", partial(data_row, bench, source)) for source in sources(request)]
    for part in ("train", "inference"):
        if part in request.only:
            tasks += [(part, partial(step_row, bench, setting, costs)) for setting in settings(part, request)]
    if "breakdown" in request.only:
        precision = "bf16" if bench.config.train.bf16 and bench.device != "cpu" else "float32"
        setting = Setting("train", bench.config.data.batch_size, precision, "off")
        measure = partial(bench.measured, measure_breakdown, setting, request.seconds)
        tasks.append(("breakdown", lambda: setting._asdict() | measure()))
    if "scaling" in request.only:
        tasks.append(("scaling", partial(scaling_row, bench)))
    return tasks


def sources(request: Request) -> list[Source]:
    """Cold and warm files and each cache, by workers; with a peer also what it reads."""
    found = []
    for workers in request.workers:
        for reads in ("config", "plain") if request.peer else ("config",):
            found.append(Source("cold", NO_CACHE, workers, reads))
            found += [Source("warm", cache, workers, reads) for cache in CACHES]
    return found


def settings(part: str, request: Request) -> list[Setting]:
    """Every batch size, precision and compile mode."""
    return [
        Setting(part, batch_size, precision, mode)
        for batch_size in request.batch_sizes
        for precision in request.precisions
        for mode in request.compile
    ]


def data_row(bench: Bench, source: Source) -> dict[str, Any]:
    """A way to read slices beside its floor, and beside the official package where both read the same."""
    row = source._asdict() | {"batch_size": bench.config.data.batch_size}
    row |= bench.measured(measure_reading, source, bench.request.seconds)
    cost = reading_cost(bench.config, bench.volumes, source)
    bandwidth = bench.files[source.files] if source.cache == NO_CACHE else bench.rates.bandwidth
    row |= compared(row, cost, 1, Rates(bandwidth, bench.rates.flops), "float32")
    if bench.peer and source.reads == "plain":
        row["official"] = bench.peer.reading(bench.config, source)
    return row


def step_row(bench: Bench, setting: Setting, costs: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """A step beside its floor, and beside the official U-Net's in float32 and not compiled."""
    row = setting._asdict() | bench.measured(measure_step, setting, bench.request.seconds)
    if "failed" in row:
        return row
    if bench.peer and (setting.precision, setting.compile) == ("float32", "off"):
        row["official"] = bench.peer.step(setting.part, setting.batch_size, *row["shape"][-2:])
    what = (setting.part, setting.precision)
    if what not in costs:
        costs[what] = bench.measured(count_cost, *what)
    if "failed" in costs[what]:
        return row | rate(row, setting.batch_size)
    return row | compared(row, Cost(**costs[what]), setting.batch_size, bench.rates, setting.precision)


def scaling_row(bench: Bench) -> dict[str, Any]:
    """One and two processes, and the model of many that follows from them."""
    request = bench.request
    row = measure_scaling(bench.config, bench.volumes, bench.device, request.seconds, request.limit)
    if "failed" in row:
        return row
    return row | {"beyond": beyond(measured_device(row), assumptions(request.assume))}


def rate(row: dict[str, Any], slices: int) -> dict[str, float]:
    """Slices per second of what was measured of so many."""
    return {"slices_per_second": slices / row["median"]}


def compared(row: dict[str, Any], cost: Cost, slices: int, rates: Rates, precision: str) -> dict[str, Any]:
    """The floor of a measured time, and how many times as long that is."""
    if "failed" in row:
        return {}
    floor = Floor.of(cost, slices, rates, precision)
    return rate(row, slices) | {
        "cost": cost._asdict(),
        "floor": floor.seconds,
        "bound": floor.bound,
        "ratio": row["median"] / floor.seconds,
    }
