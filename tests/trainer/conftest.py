"""A tiny run, trained once for the tests that evaluate it."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from main import main
from tests.trainer.processes import OURS
from trainer.benchmark.isolation import start_server

TINY: dict[str, Any] = {
    "device": "cpu",
    "data": {"batch_size": 2, "num_workers": 0, "scan_cache": None, "augment": {"flip": True, "noise": 0.02}},
    "masks": {"accelerations": [4, 8]},
    "model": {"blocks": 2, "filters": [4, 8]},
    "train": {"steps": 6, "warmup": 2, "validate_every": 3, "save_every": 2, "log_every": 2},
    "validate": {"batch_size": 2, "perceptual": False},  # which takes longer than all the rest
}


def write_config(path: Path, folder: Path, **data) -> Path:
    """A config of seconds for the tiny data in a folder, with some of its data options changed."""
    path.write_text(yaml.safe_dump(TINY | {"data": TINY["data"] | {"path": str(folder)} | data}))
    return path


SPATIAL: dict[str, Any] = {
    "model": {"name": "generative", "filters": [4, 6], "tokens": 3, "token_width": 8, "latent": 2},
    "loss": {
        "ms_ssim": 0,
        "l1": 0,
        "complex_l1": 1,
        "octaves": 1,
        "samples": 2,
        "std_reward": True,
        "energy_score": 1,
        "tune_every": 2,
        "kl": 1e-3,
        "texture": 1,
    },
    "adversarial": {"weight": 0.01, "filters": [4, 8]},
}


def write_generative(path: Path, folder: Path, parts: dict, baseline: Path | None = None) -> Path:
    """A config of seconds for a model that draws noise."""
    model = parts["model"] | ({"baseline": str(baseline)} if baseline else {})
    content = TINY | parts | {"model": model, "data": TINY["data"] | {"path": str(folder)}}
    content["validate"] = TINY["validate"] | {"samples": 4}
    content["train"] = TINY["train"] | {"lr": 0.02}  # so that a few steps give visible texture
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def one_thread():
    """Tiny networks are slower on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tiny_data) -> Path:
    """A run directory of a cascade that sees three slices. Read only."""
    folder = tmp_path_factory.mktemp("runs")
    config = write_config(folder / "tiny.yaml", tiny_data, adjacent_slices=3)
    assert main(["train", str(config), "--out", str(folder / "run")]) == 0
    return folder / "run"


SHORT = ["--seconds", "0.05", "--batch-sizes", "2", "--workers", "0", "--precisions", "float32"]


@pytest.fixture(scope="session")
def tiny_benchmark(tmp_path_factory, tiny_data) -> Path:
    """What `benchmark` writes of all parts, on phantoms that it makes. Read only."""
    start_server(*OURS)
    folder = tmp_path_factory.mktemp("benchmark")
    config = write_config(folder / "tiny.yaml", tiny_data, adjacent_slices=3)
    small = ["--volumes", "2", "--slices", "2", "--matrix", "64x48", "--assume", "host_memory=1e9"]
    asked = [str(config), "data.path=null", *SHORT, *small, "--out", str(folder / "a.json")]
    assert main(["benchmark", *asked]) == 0
    return folder / "a.json"


@pytest.fixture(scope="session")
def generative_config(tmp_path_factory, tiny_data, tiny_run) -> Path:
    return write_generative(tmp_path_factory.mktemp("generative") / "tiny.yaml", tiny_data, SPATIAL, tiny_run)


@pytest.fixture(scope="session")
def generative_run(tmp_path_factory, generative_config) -> Path:
    """A run directory of the spatial model on top of the tiny run. Read only."""
    out = tmp_path_factory.mktemp("generative") / "run"
    assert main(["train", str(generative_config), "--out", str(out)]) == 0
    return out
