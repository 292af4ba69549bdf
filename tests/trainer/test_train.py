"""Training promises: exact resume, clean stops, equal ranks, and errors in one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml

from config.load import load_config
from main import main
from tests.conftest import ROOT, write_tiny_volume
from tests.trainer.conftest import write_config
from tests.trainer.processes import begin
from trainer import checkpoint
from trainer.checkpoint import make_model
from trainer.data import find_volumes
from trainer.evaluation.known import known

STOPPED = 128 + signal.SIGTERM


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def config(tmp_path, tiny_data):
    return write_config(tmp_path / "tiny.yaml", tiny_data)


def weights(run, name: str = "last") -> dict:
    content = torch.load(run / "checkpoints" / f"{name}.pt", weights_only=True)
    return {f"{part}.{key}": value for part in ("model", "ema") for key, value in content[part].items()}


def equal(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def history(run, kind: str) -> list[dict]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == kind]


def start(config, run, *overrides: str) -> subprocess.Popen:
    command = [sys.executable, "main.py", "train", str(config), *overrides, "--out", str(run)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_run_leaves_all_it_promises(config, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", str(config), "--out", str(run)]) == 0
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["blocks"] == 2
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.pt", "last.pt", "previous1.pt"}
    assert [line["step"] for line in history(run, "train")] == [2, 4, 6]
    assert [line["step"] for line in history(run, "validate")] == [3, 6]
    assert {path.name for path in (run / "samples").iterdir()} == {
        f"step000000{s}_x{r}.png" for s in (3, 6) for r in (4, 8)
    }
    assert list(run.glob("events.out.tfevents*"))
    printed = capsys.readouterr()
    assert "x8" in printed.out
    assert "parameters" in printed.err
    assert "GiB" in printed.err
    assert not list(run.rglob("*.partial"))


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(config, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["train", str(config), "--out", str(whole)]) == 0
    stop_after(4, monkeypatch)
    assert main(["train", str(config), "--out", str(parts)]) == STOPPED
    assert torch.load(parts / "checkpoints" / "last.pt", weights_only=True)["step"] == 4
    monkeypatch.undo()
    torch.set_num_threads(1)
    assert main(["train", str(config), "data.num_workers=1", "--out", str(parts)]) == 0
    assert equal(weights(whole), weights(parts))
    timeless = lambda lines: [{k: v for k, v in line.items() if k != "slices_per_second"} for line in lines]  # noqa: E731
    assert history(whole, "validate") == history(parts, "validate")
    assert timeless(history(whole, "train")) == timeless(history(parts, "train"))


def stop_after(steps: int, monkeypatch) -> None:
    """Send this process SIGTERM while it takes step number `steps`."""
    from trainer import loop

    original, taken = loop.train_step, []

    def step(*arguments):
        taken.append(1)
        if len(taken) == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    monkeypatch.setattr(loop, "train_step", step)


def test_training_moves_weights_and_average(config, tmp_path, capsys):
    run = tmp_path / "run"
    main(["train", str(config), "train.steps=3", "--out", str(run)])
    start = make_model(load_config(config)).state_dict()
    trained = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    # the zero-filled image fits the data: the first block has no residual to step along
    moved = start.keys() - {"blocks.0.step"}
    assert all(not torch.equal(start[name], trained["model"][name]) for name in moved)
    assert all(not torch.equal(trained["ema"][name], trained["model"][name]) for name in moved)
    assert main(["train", str(config), "train.steps=3", "--out", str(run)]) == 0
    assert "complete at step 3: nothing to do" in capsys.readouterr().err


def test_a_validation_that_a_signal_prevented_is_made_up_for(config, tmp_path, monkeypatch, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["train", str(config), "--out", str(whole)]) == 0
    for step in (3, 6):
        stop_after(step - (step > 3) * 3, monkeypatch)
        assert main(["train", str(config), "--out", str(parts)]) == STOPPED
        monkeypatch.undo()
        torch.set_num_threads(1)
        assert len(history(parts, "validate")) == (step > 3)
    assert main(["train", str(config), "--out", str(parts)]) == 0
    assert "complete at step 6: it is still to be validated" in capsys.readouterr().err
    assert history(parts, "validate") == history(whole, "validate")
    assert equal(weights(parts, "best"), weights(whole, "best"))


def test_the_first_rate_after_resuming_is_of_steps_alone(config, tmp_path, monkeypatch):
    from trainer import loop

    run, validate = tmp_path / "run", loop.validate_step

    def slow(*arguments):
        time.sleep(3)
        validate(*arguments)

    stop_after(3, monkeypatch)
    assert main(["train", str(config), "--out", str(run)]) == STOPPED
    monkeypatch.undo()
    torch.set_num_threads(1)
    monkeypatch.setattr(loop, "validate_step", slow)  # which the run was stopped before
    assert main(["train", str(config), "--out", str(run)]) == 0
    (rate,) = [line["slices_per_second"] for line in history(run, "train") if line["step"] == 4]
    assert rate > 2 / 3  # as it would be at most, were these 3 s in it


def test_a_resume_with_other_options_names_them(config, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", str(config), "train.steps=1", "--out", str(run)]) == 0
    assert main(["train", str(config), "train.steps=1", "train.lr=0.5", "--out", str(run)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "train.lr: 0.001 -> 0.5" in error


@pytest.fixture
def stopped(config, tmp_path, monkeypatch):
    """A run that was stopped after 2 of its 6 steps."""
    stop_after(2, monkeypatch)
    assert main(["train", str(config), "--out", str(tmp_path / "run")]) == STOPPED
    monkeypatch.undo()
    torch.set_num_threads(1)
    return tmp_path / "run"


def test_data_that_moved_are_resumed_without_a_word(config, stopped, tiny_data, tmp_path, capsys):
    moved = tmp_path / "moved"
    shutil.copytree(tiny_data / "singlecoil_train", moved / "train")
    shutil.copytree(tiny_data / "singlecoil_val", moved / "val")
    options = [f"data.train={moved / 'train'}", f"data.val={moved / 'val'}"]
    assert main(["train", str(config), *options, "--out", str(stopped)]) == 0
    assert "other volumes" not in capsys.readouterr().err


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_resume_with_other_volumes_is_told_once_and_the_first_stay_known(
    config, stopped, tiny_data, tmp_path, part, capsys
):
    other, first = tmp_path / "other", load_config(config)
    shutil.copytree(tiny_data / f"singlecoil_{part}", other)
    min(other.iterdir()).unlink()
    for k in range(2):
        write_tiny_volume(other / f"new{k}.h5", seed=30 + k)
    write_tiny_volume(max(other.glob("file*")), seed=40)  # another by the same name
    options = [f"data.{part}={other}", "--out", str(stopped)]
    done = {"train": "trained", "val": "validated"}[part]
    told = f"{done} on other volumes until step 2: 2 of 3 are gone, 3 are new\n"
    for times in (1, 0):
        assert main(["train", str(config), *options]) == 0
        error = capsys.readouterr().err
        assert (error.count("other volumes"), error.count(told)) == (times, times)
    assert told in (stopped / "train.log").read_text()
    found = checkpoint.load(stopped / "checkpoints" / "last.pt")
    volumes = find_volumes(first, part)
    for seen, count in ((found.progress.seen, 3), ({}, 1)):
        assert len(known(volumes, found.config, seen)) == count
    for path in (stopped / "checkpoints").iterdir():
        assert not any(volume.fname.encode() in path.read_bytes() for volume in volumes)


def test_a_checkpoint_that_does_not_tell_its_volumes_is_taken_up(config, stopped, tmp_path, capsys):
    path = stopped / "checkpoints" / "last.pt"
    content = torch.load(path, weights_only=True)
    del content["seen"]
    torch.save(content, path)
    write_tiny_volume(tmp_path / "other" / "file1.h5")
    other = f"data.train={tmp_path / 'other'}"
    assert main(["train", str(config), other, "--out", str(stopped)]) == 0
    assert "other volumes" not in capsys.readouterr().err
    assert len(checkpoint.load(path).progress.seen["train"]) == 1


ENDLESS = ["train.steps=100000", "train.validate_every=100000", "data.num_workers=1"]


def signal_group(pid: int, run: Path, number: int) -> None:
    """To a process and its readers, once it has saved."""
    deadline = time.time() + 120
    while not (run / "checkpoints" / "last.pt").exists() and time.time() < deadline:
        time.sleep(0.05)
    os.killpg(pid, number)


def assert_ended(output: str, run: Path) -> None:
    assert "Traceback" not in output
    step = torch.load(run / "checkpoints" / "last.pt", weights_only=True)["step"]
    assert f"stopped at step {step}; the same command resumes" in output


def test_an_interrupt_from_a_terminal_saves_and_ends_cleanly(config, tmp_path):
    run = tmp_path / "run"
    process = start(config, run, *ENDLESS)
    signal_group(process.pid, run, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, output
    assert_ended(output, run)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_whole_group_saves_and_ends_cleanly(config, tmp_path, number):
    run, log = tmp_path / "run", tmp_path / "log"
    process = begin(log, "train", config, *ENDLESS, "--out", run)
    assert process.pid is not None
    signal_group(process.pid, run, number)
    process.join(60)
    assert process.exitcode == 128 + number, log.read_text()
    assert_ended(log.read_text(), run)


def test_a_loss_that_is_not_finite_names_step_and_file(config, tmp_path, capsys):
    folder = tmp_path / "data"
    for part in ("train", "val"):
        write_tiny_volume(folder / f"singlecoil_{part}" / "file1.h5")
    with h5py.File(folder / "singlecoil_train" / "file1.h5", "r+") as file:
        file["kspace"][:, 20, 24] = float("nan")
    run = tmp_path / "run"
    assert main(["train", str(config), f"data.path={folder}", "--out", str(run)]) == 2
    assert "not finite at step 0: file1.h5 slice" in capsys.readouterr().err
    assert not (run / "checkpoints" / "last.pt").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.path=nowhere", "nowhere/singlecoil_train: no such file or folder"),
        ("train.stps=1", "train.stps: unknown option; did you mean steps?"),
        ("masks.accelerations=[64]", "acceleration 64 with centre fraction 0.005 at width 40"),
        ("device=cuda", "no CUDA device is available"),
    ],
)
def test_what_a_user_can_mend_is_told_in_a_line(config, tmp_path, capsys, override, message):
    if override == "device=cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    assert main(["train", str(config), override, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize(("there", "why"), [(False, "no such file or folder"), (True, "holds no .h5 file")])
def test_data_without_volumes_to_validate_say_where_these_come_from(config, tmp_path, capsys, there, why):
    write_tiny_volume(tmp_path / "data" / "singlecoil_train" / "file1.h5")
    val = tmp_path / "data" / "singlecoil_val"
    if there:
        val.mkdir()
    run = tmp_path / "run"
    assert main(["train", str(config), f"data.path={tmp_path / 'data'}", "--out", str(run)]) == 2
    advice = "data.val names another folder, simulate or import with --split val makes one"
    assert f"error: {val}: {why}; {advice}\n" in capsys.readouterr().err
    assert not run.exists()


def test_data_without_a_truth_can_not_be_trained_on(config, tmp_path, capsys):
    path = write_tiny_volume(tmp_path / "file1.h5")
    with h5py.File(path, "r+") as file:
        file["mask"] = np.arange(48) % 4 == 0
    assert main(["train", str(config), f"data.train={tmp_path}", "--out", str(tmp_path / "run")]) == 2
    assert "none of 1 volumes is fully sampled and has a target" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_breaks_while_it_is_read_is_named_in_a_line(config, tmp_path, capsys, workers):
    folder = tmp_path / "data"
    for part in ("train", "val"):
        path = write_tiny_volume(folder / f"singlecoil_{part}" / "file1.h5")
    path = folder / "singlecoil_train" / "file1.h5"
    with h5py.File(path, "r+") as file:
        samples = file["kspace"][()]
        del file["kspace"]
        file.create_dataset("kspace", data=samples, chunks=(1, 64, 48), compression="gzip")
        offset = file["kspace"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 2000] = b"x" * 2000
    path.write_bytes(content)
    overrides = [f"data.path={folder}", f"data.num_workers={workers}", "train.steps=9"]
    assert main(["train", str(config), *overrides, "--out", str(tmp_path / "run")]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(error) == 1
    assert f"{path}: can't be read" in error[0]
