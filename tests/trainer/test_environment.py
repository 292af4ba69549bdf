"""A report of a fault says what it ran on, and what is missing."""

import torch

from main import main
from trainer import environment


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


def test_check_without_data_says_what_it_needs(capsys):
    assert main(["check"]) == 2
    assert "DATA: names a folder or file" in capsys.readouterr().err
