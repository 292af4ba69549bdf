"""Where figures come from can be read beside them."""

import shlex

import torch

from main import main
from trainer.provenance import read_commands, revision


def test_train_and_validate_record_how_they_were_called(tiny_run, tmp_path):
    out = tmp_path / "a folder"
    assert main(["validate", str(tiny_run), "validate.perceptual=false", "--out", str(out)]) == 0
    (validated,) = read_commands(out)
    python, program, *arguments = shlex.split(validated["command"])
    assert (python, program) == ("python", "main.py")
    assert arguments == ["validate", str(tiny_run), "validate.perceptual=false", "--out", str(out)]
    assert validated["torch"] == torch.__version__
    assert "cores" in validated["machine"]
    (trained,) = read_commands(tiny_run)
    assert shlex.split(trained["command"])[2] == "train"


def test_without_git_there_is_no_revision(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert revision() is None


def test_a_half_written_line_is_passed_over(tmp_path):
    (tmp_path / "commands.jsonl").write_text('{"command": "a"}\n{"comm')
    assert read_commands(tmp_path) == [{"command": "a"}]
    assert read_commands(tmp_path / "nothing") == []
