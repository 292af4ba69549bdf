"""Days of training in small: memory, open files and threads stay what they are after the warm-up."""

import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.conftest import write_config
from tests.trainer.processes import begin

SLACK = 4  # MiB: of what Python and the allocators still settle
OPTIONS = ["train.validate_every=50", "train.save_every=100", "train.log_every=20", "data.num_workers=2"]


def measure(pid: int) -> dict[str, float]:
    """Of a process and, where it says so, of its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {
        "MiB": resident(pid),
        "MiB of readers": sum(map(resident, children)),
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
    }


def resident(pid: int | str) -> float:
    """What is the process's own, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))) / 1024


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_long_run_takes_no_more_than_a_short_one(tmp_path, tiny_data):
    config = write_config(tmp_path / "tiny.yaml", tiny_data)
    run = tmp_path / "run"
    process = begin(tmp_path / "log", "train", config, *OPTIONS, "train.steps=2000", "--out", run)
    found: list[dict[str, float]] = []
    while process.is_alive():
        with suppress(OSError):  # it ended meanwhile, or a child did
            assert process.pid is not None
            found.append(measure(process.pid))
        time.sleep(0.25)
    assert process.exitcode == 0, (tmp_path / "log").read_text()
    for name in found[0]:
        quarters = [np.median([line[name] for line in part]) for part in np.array_split(np.array(found), 4)]
        medians, highest = ", ".join(f"{value:.1f}" for value in quarters), max(line[name] for line in found)
        print(f"{name}: medians of quarters {medians}; at the most {highest:.1f}")
        assert quarters[3] <= quarters[1] + (SLACK if "MiB" in name else 1), name
