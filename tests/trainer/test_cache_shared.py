"""Processes that keep volumes at once: of one run, or of several."""

import multiprocessing
import os
from pathlib import Path

import pytest
import torch
from torch import distributed

from config.load import make_config
from config.schema import Config
from fastmri.dataset import EvaluationDraw, EvaluationSlices
from fastmri.keeping import find_kept, keep_on_disk, kept_bytes
from fastmri.volumes import Volume
from trainer.cache import cached
from trainer.data import find_volumes, mask_settings
from trainer.distributed import Process, gather

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


def options(folder: Path, kind: str, cache_dir: Path) -> Config:
    data = {"path": str(folder), "scan_cache": None, "cache": kind, "cache_dir": str(cache_dir)}
    return make_config({"device": "cpu", "data": data})


def place_of(volume: Volume) -> str:
    """The file or memory that a volume is kept in."""
    assert volume.stored is not None
    return volume.stored.path


def samples(volumes, config: Config) -> list[torch.Tensor]:
    dataset = EvaluationSlices(volumes, mask_settings(config), adjacent_slices=1)
    return [dataset[EvaluationDraw(k, 8)].masked_kspace for k in range(len(dataset))]


def at_once(work, count: int = 2) -> None:
    """Run `work(rank)` in processes forked from this one, all of which must succeed."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(rank,)) for rank in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * count


def test_files_that_two_write_in_turn_are_whole(tiny_data, tmp_path):
    volumes = find_volumes(options(tiny_data, "disk", tmp_path), "train")
    one, two = (keep_on_disk(volumes, tmp_path, half=False) for _ in range(2))
    for _ in zip(one, two, strict=True):
        pass
    assert all(volume.stored is not None for volume in find_kept(volumes, tmp_path, half=False))
    assert len(list(tmp_path.iterdir())) == 3


def test_runs_that_start_at_once_all_have_their_slices(tiny_data, tmp_path):
    config = options(tiny_data, "disk", tmp_path / "kept")
    volumes = find_volumes(config, "train")
    expected = samples(volumes, config)

    def run(rank: int) -> None:
        with cached(volumes, config, Process(CPU)) as kept:
            assert all(map(torch.equal, samples(kept, config), expected))

    at_once(run, 3)
    assert len(list((tmp_path / "kept").iterdir())) == 3


@pytest.mark.parametrize("kind", ["disk", "ram"])
def test_processes_of_a_host_share_one_copy(tiny_data, tmp_path, kind):
    config = options(tiny_data, kind, tmp_path / "kept")
    volumes = find_volumes(config, "train")
    expected = samples(volumes, config)

    def run(rank: int) -> None:
        os.environ |= {"GROUP_RANK": "0", "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
        meeting = f"file://{tmp_path / 'meeting'}"
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
        process = Process(CPU, rank, 2)
        with cached(volumes, config, process) as kept:
            assert all(map(torch.equal, samples(kept, config), expected))
            files = {place_of(volume) for volume in kept}
            assert len(files) == (2 if kind == "ram" else 3)  # a part in either's memory
            assert sum(map(os.path.getsize, files)) == kept_bytes(volumes, half=False)
            gather([], process)  # before memory is given back
        distributed.destroy_process_group()

    at_once(run)


@pytest.mark.parametrize("kind", ["disk", "ram"])
def test_hosts_keep_copies_of_their_own(tiny_data, tmp_path, kind):
    config = options(tiny_data, kind, tmp_path / "kept")
    volumes = find_volumes(config, "train")

    def run(rank: int) -> None:
        os.environ |= {"GROUP_RANK": str(rank), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
        meeting = f"file://{tmp_path / 'meeting'}"
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
        with cached(volumes, config, Process(CPU, rank, 2)) as kept:
            assert all(volume.stored is not None for volume in kept)
            if kind == "ram":
                assert all(f"/proc/{os.getpid()}/" in place_of(volume) for volume in kept)
            gather([], Process(CPU, rank, 2))
        distributed.destroy_process_group()

    at_once(run)
