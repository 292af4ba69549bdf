"""A tiny run, trained once for the tests that evaluate it."""

from pathlib import Path

import pytest
import yaml

from main import main

TINY = {
    "device": "cpu",
    "data": {"batch_size": 2, "num_workers": 0, "cache": None, "augment": {"flip": True, "noise": 0.02}},
    "masks": {"accelerations": [4, 8]},
    "model": {"blocks": 2, "filters": [4, 8]},
    "train": {"steps": 6, "warmup": 2, "validate_every": 3, "save_every": 2, "log_every": 2},
    "validate": {"batch_size": 2},
}


def write_config(path: Path, folder: Path, **data) -> Path:
    """A config of seconds for the tiny data in a folder, with some of its data options changed."""
    path.write_text(yaml.safe_dump(TINY | {"data": TINY["data"] | {"path": str(folder)} | data}))
    return path


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tiny_data) -> Path:
    """A run directory of a cascade that sees three slices. Read only."""
    folder = tmp_path_factory.mktemp("runs")
    config = write_config(folder / "tiny.yaml", tiny_data, adjacent_slices=3)
    assert main(["train", str(config), "--out", str(folder / "run")]) == 0
    return folder / "run"
