"""The command line: help with examples, exit codes, and the way from phantoms to pictures in one go."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch

import main as program
from tests.conftest import ROOT, write_tiny_volume
from trainer.commands.console import explain


@pytest.mark.parametrize("command", program.COMMANDS)
def test_help_has_examples_that_parse(command, capsys):
    with pytest.raises(SystemExit) as ended:
        program.main([command, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    examples = [
        line.split("main.py ")[1].split() for line in printed.splitlines() if "  python main.py" in line
    ]
    assert len(examples) >= 2
    for example in examples:
        assert program.parse(example).command == command


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["train"],
        ["simulate", "x", "--matrix", "12"],
        ["simulate", "x", "--volumes", "0"],
        ["simulate", "x", "--recon", "320"],
        ["validate"],
        ["benchmark", "x", "--seconds", "-1"],
        ["benchmark", "x", "--seconds", "0"],
        ["benchmark", "x", "--seconds", "nan"],
        ["benchmark", "x", "--seconds", "inf"],
        ["benchmark", "x", "--seconds", "many"],
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "/nowhere"],
        ["import", "/nowhere", "OUT"],
        ["train", "/nowhere.yaml", "--out", "OUT"],
        ["train", "config/unet.yaml"],
        ["validate", "/nowhere"],
        ["reconstruct", "/nowhere", "in.h5", "OUT"],
        ["compare", "/nowhere", "--out", "OUT"],
        ["simulate", "OUT", "--matrix", "64x20"],
    ],
)
def test_what_a_user_can_mend_ends_with_2_and_one_line(arguments, tmp_path, capsys):
    arguments = [str(tmp_path / "out") if a == "OUT" else a for a in arguments]
    assert program.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (ModuleNotFoundError("No module named 'x'"), 2, "No module named 'x'; pip install -r requirements"),
        (torch.OutOfMemoryError("CUDA out of memory"), 2, "lower data.batch_size or validate.batch_size"),
        (RuntimeError("DataLoader worker (pid(s) 3) exited unexpectedly"), 2, "reads slices was killed"),
        (RuntimeError("a fault of ours"), None, ""),
    ],
)
def test_whatever_ends_a_command_is_told_in_a_line_unless_it_is_our_fault(
    fault, code, told, monkeypatch, capsys
):
    def fail(**options) -> int:
        raise fault

    monkeypatch.setattr(program.COMMANDS["check"], "run", fail)
    if code is None:
        with pytest.raises(type(fault)):
            program.main(["check", "x"])
        return
    assert program.main(["check", "x"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["validate", "--out", "v"], "RUN"),
        (["train", "--plan"], "CONFIG"),
        (["reconstruct", "r", "--slice", "1"], "INPUT, OUT"),
        (["benchmark"], "CONFIG"),
    ],
)
def test_only_what_is_missing_is_said_to_be(arguments, missing, capsys):
    with pytest.raises(SystemExit):
        program.main(arguments)
    assert capsys.readouterr().err.endswith(f"error: the following arguments are required: {missing}\n")


def test_no_override_is_an_empty_list():
    assert program.parse(["validate", "run", "--out", "v"]).overrides == []


def test_options_may_stand_before_overrides():
    args = program.parse(["train", "c.yaml", "--out", "run", "train.steps=3", "seed=1"])
    assert args.overrides == ["train.steps=3", "seed=1"]


def test_help_is_quick_because_nothing_heavy_is_imported():
    code = "import main, sys; main.parse(['check', 'x']); print({'torch', 'h5py'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_import_without_an_image_ends_with_2(tmp_path, capsys):
    np.save(tmp_path / "flat.npy", np.ones((2, 16, 16), np.float32))
    assert program.main(["import", str(tmp_path / "flat.npy"), str(tmp_path / "out")]) == 2
    assert "flat.npy: holds nothing that can be imported, 1 inputs left out" in capsys.readouterr().err


def test_a_folder_that_takes_no_file_is_told_before_the_work(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    write_tiny_volume(tmp_path / "data" / "singlecoil_val" / "file1000001.h5")
    monkeypatch.setattr("trainer.evaluation.validate.evaluate", lambda *rest: pytest.fail("work was done"))
    out = tmp_path / "file" / "out"
    assert program.main(["validate", "zero_filled", f"data.path={tmp_path / 'data'}", "--out", str(out)]) == 2
    assert f"error: {out}: must be a folder that can be written (Not a directory)" in capsys.readouterr().err


def test_what_a_system_refuses_is_told_without_its_number():
    assert explain(PermissionError(13, "Permission denied", "a/b")) == "a/b: permission denied"


def test_a_data_folder_for_its_files_is_understood(tmp_path, capsys):
    write_tiny_volume(tmp_path / "singlecoil_val" / "file1000001.h5")
    for source, message in {
        tmp_path: f"{tmp_path}: holds no .h5 file; did you mean its singlecoil_val?",
        tmp_path / "none.h5": f"{tmp_path / 'none.h5'}: no such file or folder",
    }.items():
        assert program.main(["reconstruct", "zero_filled", str(source), str(tmp_path / "out")]) == 2
        assert f"error: {message}\n" in capsys.readouterr().err


def test_check_ends_with_1_if_anything_is_wrong(tmp_path, capsys):
    path = write_tiny_volume(tmp_path / "singlecoil_val" / "file1000001.h5")
    assert program.main(["check", str(tmp_path)]) == 0
    with h5py.File(path, "r+") as file:
        file["reconstruction_esc"][1] *= 2
    assert program.main(["check", str(tmp_path)]) == 1
    assert "is not the cropped inverse transform" in capsys.readouterr().out


def test_from_phantoms_to_pictures(tmp_path, capsys):
    data, run, out = (str(tmp_path / name) for name in ("data", "run", "out"))
    small = [
        "data.num_workers=0",
        "data.scan_cache=null",
        "data.batch_size=2",
        "model.blocks=1",
        "model.filters=[4,8]",
    ]
    short = [
        "device=cpu",
        "train.steps=2",
        "train.warmup=1",
        "masks.accelerations=[4,32]",
        "data.augment.flip=false",
    ]
    volumes = ["--volumes", "3", "--slices", "2", "--matrix", "64x48", "--workers", "1"]
    assert program.main(["simulate", data, *volumes]) == 0
    assert program.main(["check", data]) == 0
    config = str(ROOT / "config" / "demo_baseline.yaml")
    assert program.main(["train", config, f"data.path={data}", *small, *short, "--out", run]) == 0
    assert program.main(["validate", run]) == 0
    assert "x32" in capsys.readouterr().out
    assert program.main(["reconstruct", run, f"{data}/singlecoil_val", out, "--slice", "1"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "file1000003.h5",
        "file1000003_slice1.png",
    ]
