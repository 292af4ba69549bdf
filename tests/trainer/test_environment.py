"""A report of a fault says what it ran on, and what is missing."""

import math

import torch

from main import main
from trainer import environment
from trainer.memory import left_to_group


def test_versions_and_devices_are_told(capsys):
    assert main(["check", "--env"]) == 0
    printed = capsys.readouterr().out
    told = dict(line.split(maxsplit=1) for line in printed.splitlines())
    assert told["torch"] == torch.__version__.partition("+")[0] or told["torch"] == torch.__version__
    assert "free in" in told["disk"]
    assert told["Python"].startswith("3.1")
    assert ("no device" in told["CUDA"]) != torch.cuda.is_available()
    assert "missing" not in printed


def test_what_is_missing_or_too_old_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "requirements.txt").write_text("# ours\nnumpy>=99\nsomething-that-nobody-wrote>=1\nh5py>=3\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    assert main(["check", "--env"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("missing: ")]
    assert lines[0].startswith("missing: numpy>=99 is asked for, ")
    assert lines[1] == "missing: something-that-nobody-wrote>=1 is not installed"
    assert len(lines) == 2


def test_too_little_shared_memory_is_told(monkeypatch, capsys):
    monkeypatch.setattr(environment, "LEAST_SHARED", 2**60)
    assert main(["check", "--env"]) == 1
    assert "missing: /dev/shm has " in capsys.readouterr().out


def test_a_container_has_what_its_limit_leaves_and_files_give_way(tmp_path):
    assert left_to_group(tmp_path) == math.inf
    counts = {"max": "max", "current": "700", "stat": "anon 400\nactive_file 100\ninactive_file 200"}
    for name, content in counts.items():
        (tmp_path / f"memory.{name}").write_text(f"{content}\n")
    assert left_to_group(tmp_path) == math.inf
    (tmp_path / "memory.max").write_text("1000\n")
    assert left_to_group(tmp_path) == 1000 - 400


def test_check_without_data_says_what_it_needs(capsys):
    assert main(["check"]) == 2
    assert "DATA: names a folder or file" in capsys.readouterr().err
