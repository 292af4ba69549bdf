"""Promises of many processes: they train as one would, on all slices, and go on when one is lost."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed import HashStore

from config.load import load_config
from fastmri.dataset import collate
from main import main
from tests.conftest import ROOT
from tests.trainer.conftest import write_config
from tests.trainer.processes import command, run_on, train_on
from tests.trainer.test_train import STOPPED, equal, stop_after, weights
from trainer import distributed
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process
from trainer.loop import train
from trainer.rendezvous import meet
from trainer.state import make_state
from trainer.step import train_step

# 9 slices, of which a step sees 6: an epoch ends in the middle of a step
QUICK = ("data.batch_size=1", "train.steps=6", "train.validate_every=100", "masks.accelerations=[4]")
SHARED_BY = {1: "train.accumulate=6", 2: "train.accumulate=3", 3: "train.accumulate=2"}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def config(tmp_path_factory, tiny_data):
    return write_config(tmp_path_factory.mktemp("processes") / "tiny.yaml", tiny_data)


@pytest.fixture(scope="module")
def alone(config, one_thread):
    """A run of one process that nothing disturbed."""
    run = config.parent / "alone"
    assert main(["train", str(config), *QUICK, SHARED_BY[1], "--out", str(run)]) == 0
    return run


@pytest.fixture(scope="module")
def both(config):
    """A run of two processes, and what each had in the end."""
    run = config.parent / "both"
    return run, train_on(2, config, run, *QUICK, SHARED_BY[2])[0]


def close(one: dict, two: dict) -> bool:
    """The same but for the order of sums, which Adam makes more of where a gradient is nearly zero."""
    distance = sum((one[name] - two[name]).square().sum() for name in one)
    return one.keys() == two.keys() and bool(distance <= 1e-6 * sum(x.square().sum() for x in one.values()))


def test_two_processes_train_on_every_slice_once_an_epoch_as_one_does(alone, both):
    run, (first, second) = both
    assert equal(first.state, second.state)
    assert close(weights(run), weights(alone))
    drawn = [place for pair in zip(first.drawn, second.drawn, strict=True) for place in pair]
    assert len(drawn) == 36
    for epoch in range(4):
        assert len(set(drawn[9 * epoch : 9 * epoch + 9])) == 9


def test_three_processes_take_over_from_one(alone, config, tmp_path, monkeypatch):
    run = tmp_path / "run"
    stop_after(2, monkeypatch)
    assert main(["train", str(config), *QUICK, SHARED_BY[1], "--out", str(run)]) == STOPPED
    before = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    assert (before["step"], before["batches"]) == (2, 12)
    parts, said = train_on(3, config, run, *QUICK, SHARED_BY[3])
    assert "steps   2 to 6" in said
    assert "batches until step" not in said
    drawn = [place for trio in zip(*(part.drawn for part in parts), strict=True) for place in trio]
    assert len(drawn) == 24
    assert len(set(drawn[-18:-9])) == len(set(drawn[-9:])) == 9  # the third and the fourth epoch
    assert close(weights(run), weights(alone))


def test_a_resume_with_another_number_of_slices_a_step_is_told(config, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    stop_after(1, monkeypatch)
    assert main(["train", str(config), *QUICK, "--out", str(run)]) == STOPPED
    monkeypatch.undo()
    assert main(["train", str(config), *QUICK, "train.accumulate=4", "--out", str(run)]) == 0
    assert "steps had 1 batches until step 1, have 4 from here on" in capsys.readouterr().err
    assert torch.load(run / "checkpoints" / "last.pt", weights_only=True)["batches"] == 1 + 5 * 4


def test_a_checkpoint_from_before_batches_were_counted_goes_on(config, tmp_path, monkeypatch, alone):
    run = tmp_path / "run"
    stop_after(3, monkeypatch)
    assert main(["train", str(config), *QUICK, "--out", str(run)]) == STOPPED
    monkeypatch.undo()
    path = run / "checkpoints" / "last.pt"
    content = torch.load(path, weights_only=True)
    del content["batches"]
    torch.save(content, path)
    assert main(["train", str(config), *QUICK, "--out", str(run)]) == 0
    assert torch.load(path, weights_only=True)["batches"] == 6


@pytest.mark.parametrize("adversary", ["0", "0.1"])
def test_parts_of_a_batch_accumulate_to_the_step_of_the_whole(config, adversary):
    options = [f"adversarial.weight={adversary}", "adversarial.regularizer=r1", "adversarial.filters=[4,8]"]
    settings = load_config(config, [*options, "data.batch_size=4", "data.augment.noise=0"])
    process = Process(torch.device("cpu"))
    loader = training_loader(settings, find_volumes(settings, "train"), process)
    whole = [loader.dataset[draw] for draw in max(loader.batch_sampler, key=len)]
    ended = []
    for parts in ([whole], [whole[:1], whole[1:]]):
        state = make_state(settings, process, pretrained=False)
        losses = train_step(state, [collate(part) for part in parts], settings, process)
        ended.append((losses, state.tensors()))
    assert len(whole) == 4
    for name, value in ended[0][0].items():
        torch.testing.assert_close(ended[1][0][name], value, rtol=1e-4, atol=1e-6)
    for network in ("model", *(["discriminator"] if adversary != "0" else [])):
        assert close(ended[0][1][network], ended[1][1][network])


def exchange() -> None:
    process = distributed.find_process("cpu")
    with distributed.group(process):
        for bf16 in (False, True):
            model = nn.Linear(3, 2)
            for parameter in model.parameters():
                parameter.grad = torch.full_like(parameter, [1.0, 2.006][process.rank])
            total = distributed.total_weight([0.5, 1.5][process.rank], process)
            distributed.average_gradients(model, total, process, bf16)
            mean = torch.tensor(3.006 / 2)
            expected = mean.bfloat16().float() if bf16 else mean
            for parameter in model.parameters():
                assert parameter.grad is not None
                assert (parameter.grad - expected).abs().max() <= (0.01 if bf16 else 1e-6), parameter.grad
                assert bf16 == bool((parameter.grad - mean).abs().max() > 1e-5)  # rounded if asked


def test_gradients_become_their_mean_in_bf16_if_asked(tmp_path):
    run_on(2, tmp_path / "log", exchange)


def test_who_does_not_come_is_not_waited_for_for_ever():
    with pytest.raises(RuntimeError, match="1 of 2 processes did not come within 0 s"):
        meet(HashStore(), 0, 2, 0.0)


def train_apart(path: Path, out: Path) -> None:
    process = distributed.find_process("cpu")
    config = load_config(path, [*QUICK, SHARED_BY[2]])
    with distributed.group(process), pytest.raises(ValueError, match="a folder that all processes share"):
        train(config, out / str(process.rank), process)


def test_processes_that_see_different_folders_do_not_train(config, both, tmp_path):
    shutil.copytree(both[0], tmp_path / "0")
    run_on(2, tmp_path / "log", train_apart, config, tmp_path)


def test_two_processes_validate_and_reconstruct_as_one(both, tiny_data, tmp_path):
    run, source = both[0], tiny_data / "singlecoil_val"
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    assert main(["validate", str(run), "--out", str(alone)]) == 0
    run_on(2, tmp_path / "log", command, "validate", run, "--out", shared)
    assert json.loads((alone / "metrics.json").read_text()) == json.loads(
        (shared / "metrics.json").read_text()
    )
    order = ["--acceleration", "4", "--slice", "1"]
    assert main(["reconstruct", str(run), str(source), str(alone / "r"), *order]) == 0
    run_on(2, tmp_path / "log", command, "reconstruct", run, source, shared / "r", *order)
    written = sorted(path.name for path in (alone / "r").iterdir())
    assert len(written) == 6
    for name in written:
        assert (alone / "r" / name).read_bytes() == (shared / "r" / name).read_bytes()


# --- by torchrun itself, of which every process pays for its imports

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1"]
LAUNCHER += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "main.py"]


def test_a_lost_process_ends_the_job_which_then_goes_on_by_itself(config, both, tmp_path):
    run, log = tmp_path / "run", tmp_path / "log"
    overrides = [*QUICK, SHARED_BY[2], "train.save_every=1"]
    asked = ["train", str(config), *overrides, "--out", str(run)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment["PYTHONFAULTHANDLER"] = "1"  # once in hundreds of runs a process aborted as it ended: where?
    with open(log, "w") as output:
        job = subprocess.Popen([*LAUNCHER, *asked], cwd=ROOT, env=environment, stdout=output, stderr=output)
        wait_for(run / "checkpoints" / "last.pt")
        os.kill(child_of(job.pid, rank=1), signal.SIGKILL)
        assert job.wait(timeout=240) == 0, log.read_text()
    assert re.search(r"error: process 0 of 2 can't reach the others.*--max-restarts", log.read_text())
    assert "Traceback" not in log.read_text()
    assert equal(weights(run), weights(both[0]))


def wait_for(path: Path) -> None:
    deadline = time.time() + 120
    while not path.exists() and time.time() < deadline:
        time.sleep(0.002)


def child_of(parent: int, rank: int) -> int:
    """The process of a rank that torchrun started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ranks = {}
    for child in children:
        told = re.search(rb"\0RANK=(\d+)", b"\0" + Path(f"/proc/{child}/environ").read_bytes())
        if told:
            ranks[int(told[1])] = int(child)
    return ranks[rank]
