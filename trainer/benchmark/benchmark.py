"""Speed of the data path, training and inference, beside the least time they could take, and a peer's."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from config.load import changed, config_sha256
from config.schema import Config
from fastmri.simulate import simulate
from fastmri.volumes import Volume
from trainer.benchmark.floors import LEFT_OUT, Rates, measure_rates
from trainer.benchmark.isolation import in_child, start_server
from trainer.benchmark.measurements import Bench, Request, plan
from trainer.benchmark.peer import Peer, linked
from trainer.benchmark.reading import CACHES, NO_CACHE, measure_files
from trainer.data import find_volumes
from trainer.log import progress_bar
from trainer.pretrained import resolve_baseline
from trainer.provenance import environment

SCHEMA = 1


def benchmark(config: Config, request: Request, device: torch.device) -> dict[str, Any]:
    """Measure what is asked for; gives what goes to JSON."""
    request.check()
    start_server()  # before `simulate` does, with fewer imports
    with find_data(config, request) as (volumes, simulated):
        config = changed(resolved(config), data=CACHES[NO_CACHE])
        with linked(volumes) if request.peer else nullcontext() as folder:
            peer = None
            if request.peer and folder:
                peer = Peer(request.peer.absolute(), folder, str(device), request.seconds, request.limit)
            found = _run(config, volumes, request, device, peer)
        slices = sum(volume.num_slices for volume in volumes)
        shapes = sorted({volume.kspace_shape[1:] for volume in volumes})
    return {
        "schema": SCHEMA,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **environment(device),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "config_sha256": config_sha256(config),
        "model": config.model.name,
        "volumes": {"count": len(volumes), "slices": slices, "kspace": shapes, "simulated": simulated},
        "seconds": request.seconds,
        "batch_size": config.data.batch_size,
        **found,
        "floor_leaves_out": LEFT_OUT,
    }


@contextmanager
def find_data(config: Config, request: Request) -> Iterator[tuple[list[Volume], bool]]:
    """Training volumes of the config's data, or simulated ones that are removed in the end."""
    if config.data.path or config.data.train:
        yield find_volumes(config, "train")[: request.volumes], False
        return
    with tempfile.TemporaryDirectory() as folder:
        simulate(
            Path(folder),
            volumes=request.volumes,
            slices=request.slices,
            matrix=request.matrix,
            seed=0,
            split="train",
            workers=torch.get_num_threads(),
        )
        config = changed(config, data={"path": Path(folder), **CACHES[NO_CACHE]})
        yield find_volumes(config, "train"), True


def resolved(config: Config) -> Config:
    """The config with the cascade of the baseline's run, if that is there: weights don't matter here."""
    if config.model.name == "generative" and config.model.baseline and config.model.baseline.exists():
        return resolve_baseline(config, None)
    return config


def _run(
    config: Config, volumes: list[Volume], request: Request, device: torch.device, peer: Peer | None
) -> dict[str, Any]:
    """Rates first, then everything that is compared with them."""
    found = in_child(
        measure_rates, str(device), sorted({"float32", *request.precisions}), limit=request.limit
    )
    if "failed" in found:
        raise ValueError(f"the rates of {device} can't be measured: {found['failed']}")
    rates = Rates(found["bandwidth"], {name: max(tried.values()) for name, tried in found["flops"].items()})
    files = measure_files(volumes, request.seconds) if {"data", "scaling"} & set(request.only) else {}
    bench = Bench(config, volumes, str(device), request, rates, files, peer)
    tasks = plan(bench)
    results: dict[str, list[dict[str, Any]]] = {part: [] for part in request.only}
    with progress_bar(total=len(tasks), desc="benchmark", unit="measurement") as bar:
        for part, measure in tasks:
            bar.set_postfix_str(part, refresh=False)
            results[part].append(measure())
            bar.update()
    return {"rates": found, "files": files, "rows": results}
