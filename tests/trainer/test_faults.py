"""Nothing is lost: a run survives kills, full disks, vanished files and sums that are not finite."""

import copy
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from config.load import load_config, make_config
from main import main
from tests.conftest import ROOT, write_tiny_volume
from tests.trainer.conftest import write_config
from tests.trainer.processes import begin
from tests.trainer.test_train import STOPPED, equal, stop_after, weights
from trainer import checkpoint, loop, milestones
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process
from trainer.faults import enough_memory
from trainer.lines import append_line, read_history, read_lines
from trainer.seal import LARGEST, read_sealed, seal
from trainer.signals import stop_signals
from trainer.state import make_state
from trainer.step import train_step

pytestmark = pytest.mark.usefixtures("one_thread")
LONGER = ("train.steps=60", "train.validate_every=30", "train.save_every=3", "train.log_every=3")


@pytest.fixture(scope="module")
def config(tmp_path_factory, tiny_data):
    return write_config(tmp_path_factory.mktemp("faults") / "tiny.yaml", tiny_data)


@pytest.fixture(scope="module")
def whole(config, one_thread):
    """A run of 6 steps that nothing disturbed."""
    run = config.parent / "whole"
    assert main(["train", str(config), "--out", str(run)]) == 0
    return run


@pytest.fixture
def stopped(config, tmp_path, monkeypatch):
    """A run that was stopped after 4 of its 6 steps."""
    run = tmp_path / "run"
    stop_after(4, monkeypatch)
    assert main(["train", str(config), "--out", str(run)]) == STOPPED
    monkeypatch.undo()
    return run


def train(config: Path, run: Path, *overrides: str) -> int:
    return main(["train", str(config), *overrides, "--out", str(run)])


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_whenever_it_is_killed_it_goes_on_to_the_same_weights(config, tmp_path, kills):
    whole, run, moment = tmp_path / "whole", tmp_path / "run", random.Random(kills)
    overrides = [*LONGER, "data.num_workers=1", f"train.steps={20 * kills}"]
    assert train(config, whole, *overrides) == 0
    killed = []
    for number in range(kills):
        process = begin(tmp_path / "log", "train", config, *overrides, "--out", run)
        due = max(20 * number + moment.randrange(-12, 18), 0)  # at times where it was: as it begins again
        while process.is_alive() and saved_step(run) < due:
            time.sleep(0.05)
        process.join(moment.uniform(0, 0.3))
        alive = process.is_alive()
        process.kill()
        process.join()
        killed += [saved_step(run)] if alive else []
        time.sleep(1.1)  # TensorBoard reads files in the order of their seconds
    print(f"killed {len(killed)} times, with steps {killed} saved, of {20 * kills}")
    assert len(killed) > kills / 2
    assert killed == sorted(killed)  # no step that was saved is lost
    assert killed[0] >= 0
    assert train(config, run, *overrides) == 0
    assert equal(weights(run), weights(whole))
    assert equal(weights(run, "best"), weights(whole, "best"))
    timeless = [{k: v for k, v in line.items() if k != "slices_per_second"} for line in history(run)]
    assert timeless == [
        {k: v for k, v in line.items() if k != "slices_per_second"} for line in history(whole)
    ]
    events = EventAccumulator(str(run)).Reload().Scalars("train/total")
    assert [event.step for event in events] == list(range(3, 20 * kills + 1, 3)) + [20 * kills] * (
        kills % 3 > 0
    )


def saved_step(run: Path) -> int:
    path = run / "checkpoints" / "last.pt"
    return checkpoint.load(path).progress.step if path.exists() else -1


class Death(BaseException):
    """What nothing catches."""


def test_a_run_that_dies_in_a_validation_validates_again(config, tmp_path, monkeypatch):
    whole, run, once = tmp_path / "whole", tmp_path / "run", "train.validate_every=6"
    assert train(config, whole, once) == 0

    def die(*_):
        raise Death

    monkeypatch.setattr(milestones, "draw_panels", die)
    with pytest.raises(Death):
        train(config, run, once)
    monkeypatch.undo()
    assert train(config, run, once) == 0
    assert equal(weights(run, "best"), weights(whole, "best"))
    lines = [[line for line in history(folder) if line["kind"] == "validate"] for folder in (run, whole)]
    assert lines[0] == lines[1]


def history(run: Path) -> list[dict]:
    return read_history(run / "metrics.jsonl")


def test_a_changed_byte_anywhere_is_noticed(whole, tmp_path):
    data, path = bytearray((whole / "checkpoints" / "last.pt").read_bytes()), tmp_path / "changed.pt"
    expected = checkpoint.load(whole / "checkpoints" / "last.pt").state["ema"]
    for place in random.Random(0).sample(range(len(data)), 60) + list(range(len(data) - 75, len(data))):
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        data[place] ^= 1 << place % 8
        found = loaded(path)
        if found is not None:
            assert place >= len(data) - 73  # in the checksum's own name, which guards nothing then
            assert equal(found.state["ema"], expected)


def loaded(path: Path) -> checkpoint.Checkpoint | None:
    try:
        return checkpoint.load(path)
    except ValueError:
        return None


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "gone"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(config, stopped, whole, harm, capsys):
    path = stopped / "checkpoints" / "last.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.unlink()  # previous1.pt may be the same file by another name
    if harm != "gone":
        path.write_bytes({"cut": data[: len(data) // 3], "flip": data, "empty": b""}[harm])
    assert train(config, stopped) == 0
    error = capsys.readouterr().err
    assert (harm == "gone") == ("taking previous1.pt instead" not in error)
    assert (harm == "gone") or f"{path}: not a checkpoint of this program, or not whole" in error
    assert equal(weights(stopped), weights(whole))


def test_where_no_checkpoint_is_whole_nothing_is_overwritten(config, stopped, capsys):
    for path in (stopped / "checkpoints").glob("*.pt"):
        path.unlink()
        path.write_bytes(b"PK")
    assert train(config, stopped) == 2
    assert "or not whole" in capsys.readouterr().err
    assert {path.read_bytes() for path in (stopped / "checkpoints").glob("*.pt")} == {b"PK"}


def test_as_many_checkpoints_stay_as_asked(config, tmp_path):
    run = tmp_path / "run"
    assert train(config, run, "train.keep=3", "train.save_every=1") == 0
    steps = {path.name: checkpoint.load(path).progress.step for path in (run / "checkpoints").iterdir()}
    assert steps.pop("best.pt") in (3, 6)
    assert steps == {"last.pt": 6, "previous1.pt": 6, "previous2.pt": 5}  # 6 before and after its validation


def test_checkpoints_stay_where_a_disk_knows_no_links(config, tmp_path, monkeypatch):
    def refuse(*paths) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    run = tmp_path / "run"
    assert train(config, run, "train.save_every=3", "train.keep=2") == 0
    assert checkpoint.load(run / "checkpoints" / "previous1.pt").progress.step == 6


def test_what_is_no_checkpoint_of_this_program_is_told(whole, tmp_path):
    path = tmp_path / "last.pt"
    with pytest.raises(ValueError, match=r"last\.pt: no such checkpoint"):
        checkpoint.load(path)
    content = torch.load(whole / "checkpoints" / "last.pt", weights_only=True)
    torch.save(content | {"versions": {"schema": 99}}, path)
    with pytest.raises(ValueError, match=r"last\.pt: written with schema 99, this program reads"):
        checkpoint.load(path)
    os.truncate(path, LARGEST + 1)  # takes no room
    with pytest.raises(ValueError, match="16 GiB, more than any checkpoint has"):
        checkpoint.load(path)


def test_weights_that_fit_no_model_of_the_options_are_told(config, stopped, capsys):
    for path in (stopped / "checkpoints").glob("*.pt"):
        content = torch.load(path, weights_only=True)
        content["model"].popitem()
        path.unlink()
        torch.save(content, path)
    assert train(config, stopped) == 2
    assert "the checkpoint's model doesn't fit the run's options" in capsys.readouterr().err


def test_a_full_disk_is_told_and_leaves_the_last_checkpoint(config, stopped, tmp_path):
    before = weights(stopped)
    size = (stopped / "checkpoints" / "last.pt").stat().st_size
    process = begin(tmp_path / "log", "train", config, "--out", stopped, limit=size - 100)
    process.join(60)
    assert process.exitcode == 2
    error = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("error")]
    assert error == [
        f"error: {stopped}/checkpoints/last.pt: can't be saved (File too large); those before it are whole"
    ]
    assert equal(weights(stopped), before)
    assert not list(stopped.rglob("*.partial"))


@pytest.mark.parametrize("where", ["/proc/run", "FILE/run"])
def test_a_place_that_cannot_be_written_is_named(config, tmp_path, where, capsys):
    (tmp_path / "file").touch()
    out = where.replace("FILE", str(tmp_path / "file"))
    assert train(config, Path(out)) == 2
    error = capsys.readouterr().err
    assert out in error.splitlines()[-1]
    assert "Traceback" not in error


def copied_data(folder: Path) -> Path:
    for part, count in (("train", 2), ("val", 1)):
        for k in range(count):
            write_tiny_volume(folder / f"singlecoil_{part}" / f"file{k}.h5", seed=k)
    return folder


def at_step(number: int, action, monkeypatch) -> None:
    """Do something while step `number` is taken."""
    original, taken = loop.train_step, []

    def step(*arguments):
        taken.append(1)
        if len(taken) == number:
            action()
        return original(*arguments)

    monkeypatch.setattr(loop, "train_step", step)


def test_files_that_vanish_or_change_while_it_trains_are_named(config, tmp_path, monkeypatch, capsys):
    folder = copied_data(tmp_path / "data")

    def vanish() -> None:
        shutil.rmtree(folder)

    def change() -> None:
        for path in folder.rglob("*.h5"):
            path.unlink()
            write_tiny_volume(path, columns=40)

    for number, (action, fault) in enumerate([(vanish, "No such file"), (change, "has become (3, 64, 40)")]):
        copied_data(folder)
        at_step(2, action, monkeypatch)
        run = tmp_path / f"run{number}"
        assert train(config, run, f"data.path={folder}", "train.steps=50") == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith(f"error: {folder}/singlecoil_train/file")
        assert fault in error
        monkeypatch.undo()


def test_a_killed_reader_ends_the_run_within_a_minute_and_it_resumes(config, tmp_path, monkeypatch, capsys):
    def kill() -> None:
        (child,) = multiprocessing.active_children()
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)

    run, started = tmp_path / "run", time.time()
    at_step(3, kill, monkeypatch)
    assert train(config, run, "data.num_workers=1", "train.steps=400", "train.validate_every=400") == 2
    assert time.time() - started < 60
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(error) == 1
    assert "a process that reads slices was killed" in error[0]
    monkeypatch.undo()
    assert checkpoint.load(run / "checkpoints" / "last.pt").progress.step >= 2


def test_a_lost_reader_is_told_once(config, monkeypatch):
    """Its pipe may be seen to break before the system tells of its end, which torch raises wherever it is."""

    def broken() -> Iterator[None]:
        raise EOFError
        yield

    def tell(number: int, frame: object) -> None:
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed.")

    options = load_config(config, [])
    feed = training_loader(options, find_volumes(options, "train"), Process(torch.device("cpu")))
    monkeypatch.setattr(feed, "loader", broken())
    before = signal.signal(signal.SIGCHLD, tell)
    try:
        with pytest.raises(ChildProcessError, match="a process that reads slices was killed"):
            next(iter(feed))
        signal.raise_signal(signal.SIGCHLD)
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.fixture
def spoilt(tmp_path):
    """Data of which one slice of two volumes' six holds a NaN."""
    folder = copied_data(tmp_path / "spoilt")
    with h5py.File(folder / "singlecoil_train" / "file1.h5", "r+") as file:
        file["kspace"][2, 20, 24] = float("nan")
    return folder


def test_a_step_that_is_not_finite_is_written_and_ends_the_run(config, spoilt, tmp_path, capsys):
    run = tmp_path / "run"
    options = [f"data.path={spoilt}", "data.batch_size=1", "train.log_every=6", "train.save_every=6"]
    assert train(config, run, *options, "data.augment.noise=0") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "a loss is not finite at step" in line
    assert "file1.h5 slice 2" in line
    ((batch,),) = [torch.load(path, weights_only=True) for path in (run / "bad").iterdir()]
    assert (batch["fname"], batch["slice_num"]) == (["file1.h5"], [2])
    assert batch["masked_kspace"].isnan().any() or batch["kspace"].isnan().any()
    last = run / "checkpoints" / "last.pt"
    assert not last.exists() or checkpoint.load(last).progress.step <= int(
        line.split("at step ")[1].split(":")[0]
    )


def test_steps_that_are_not_finite_may_be_left_out(config, spoilt, tmp_path, capsys):
    run = tmp_path / "run"
    options = [f"data.path={spoilt}", "data.batch_size=1", "train.max_bad_steps=2"]
    assert train(config, run, *options, "adversarial.weight=0.1", "adversarial.filters=[4,8]") == 0
    assert "left out, as 1 of 2 steps that may be" in capsys.readouterr().err
    state = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    for network in ("model", "ema", "discriminator"):
        assert all(value.isfinite().all() for value in state[network].values())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]  # NaN is no JSON
    assert all(line["total"] > 0 for line in lines if line["kind"] == "train")
    assert train(config, tmp_path / "again", *options, "train.max_bad_steps=0") == 2


@pytest.mark.parametrize("told", [True, False])
def test_steps_that_were_not_finite_count_when_the_run_is_taken_up(
    config, spoilt, tmp_path, monkeypatch, capsys, told
):
    """Each epoch of six steps has one, of which there may be two; a checkpoint of before tells of none."""
    run, path = tmp_path / "run", tmp_path / "run" / "checkpoints" / "last.pt"
    options = [f"data.path={spoilt}", "data.batch_size=1", "train.max_bad_steps=2"]
    options += ["train.steps=18", "train.validate_every=18", "train.log_every=6"]
    stop_after(6, monkeypatch)
    assert train(config, run, *options) == STOPPED
    monkeypatch.undo()
    assert "left out, as 1 of 2 steps that may be" in capsys.readouterr().err
    assert checkpoint.load(path).progress.bad_steps == 1
    if not told:
        content = torch.load(path, weights_only=True)
        del content["bad_steps"]
        torch.save(content, path)
    assert train(config, run, *options) == (2 if told else 0)
    assert f"left out, as {1 + told} of 2 steps that may be" in capsys.readouterr().err


def test_a_step_whose_discriminator_is_not_finite_is_told_and_changes_no_network(config, tmp_path, capsys):
    adversary = [
        "adversarial.weight=0.1",
        "adversarial.filters=[4,8]",
        "adversarial.penalty=1e39",
    ]  # above float
    settings = load_config(config, adversary)
    process = Process(torch.device("cpu"))
    loader = training_loader(settings, find_volumes(settings, "train"), process)
    state = make_state(settings, process, pretrained=False)
    before = copy.deepcopy(state.tensors())
    losses = train_step(state, [next(iter(loader))], settings, process)
    assert losses["total"].isfinite()
    assert losses["gradient_norm"].isfinite()
    assert not losses["discriminator_norm"].isfinite()
    for network in ("model", "ema", "discriminator"):
        assert equal(state.tensors()[network], before[network])
    assert train(config, tmp_path / "run", *adversary) == 2
    assert "the gradient, though no loss of this process, is not finite" in capsys.readouterr().err


def test_memory_of_a_gpu_that_is_too_small_is_told_with_what_needs_less(
    config, tmp_path, monkeypatch, capsys
):
    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    at_step(2, full, monkeypatch)
    assert train(config, tmp_path / "run") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "step 1: 2 slices of 32 x 4" in line
    assert "data.batch_size=1 train.accumulate=2 trains alike; or set data.crop_rows=16; " in line
    assert line.endswith("keeps these options, so train to another --out")


@pytest.mark.parametrize(("downsample", "advised"), [(1, True), (2, False)])
def test_a_crop_is_advised_where_it_is_exact(downsample, advised, tiny_data):
    model = {"name": "pix2pix", "channels": 4, "pools": 1, "downsample": downsample}
    data = {"path": str(tiny_data), "scan_cache": None, "num_workers": 0}
    settings = make_config({"model": model, "data": data})
    batch = next(
        iter(training_loader(settings, find_volumes(settings, "train"), Process(torch.device("cpu"))))
    )
    with pytest.raises(ValueError, match="trains alike") as told, enough_memory(1, [batch], settings):
        raise torch.OutOfMemoryError("full")
    assert ("data.crop_rows" in str(told.value)) == advised


def test_a_signal_in_validation_ends_it_at_once(config, tmp_path, whole, monkeypatch, capsys):
    original = milestones.evaluate

    def slow(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("went on after a signal")

    monkeypatch.setattr(milestones, "evaluate", slow)
    run = tmp_path / "run"
    with pytest.raises(SystemExit) as ended:
        train(config, run)
    assert ended.value.code == STOPPED
    assert "stopped before the validation ended, all else is saved" in capsys.readouterr().err
    monkeypatch.setattr(milestones, "evaluate", original)
    assert train(config, run) == 0
    assert equal(weights(run), weights(whole))
    assert history(run)[1]["kind"] == "validate"


def test_a_signal_while_it_saves_ends_it_before_the_validation(config, tmp_path, whole, monkeypatch):
    save, run = loop.save_last, tmp_path / "run"

    def save_and_receive(state, *arguments):
        save(state, *arguments)
        if state.step == 3:  # which is to be validated
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop, "save_last", save_and_receive)
    with pytest.raises(SystemExit) as ended:
        train(config, run)
    assert ended.value.code == STOPPED
    assert "validate" not in {line["kind"] for line in history(run)}
    monkeypatch.undo()
    assert train(config, run) == 0
    assert equal(weights(run), weights(whole))


def test_a_second_interrupt_ends_the_program_at_once():
    with stop_signals() as received:
        os.kill(os.getpid(), signal.SIGINT)
        assert received.received == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


HOLD = "import sys; sys.path.insert(0, '.')\nfrom pathlib import Path\nfrom trainer.lock import locked\n"
HOLD += "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


def test_a_second_run_in_the_same_folder_is_refused(config, stopped, capsys):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(stopped)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert train(config, stopped, "train.lr=0.5") == 2  # before its checkpoint is read
    error = capsys.readouterr().err
    assert f"{stopped}: is being trained by process {holder.pid} on " in error
    holder.kill()
    holder.wait()
    assert train(config, stopped) == 0


def test_a_line_that_a_crash_tore_is_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for step in (1, 2, 3):
        append_line(path, {"step": step, "kind": "train"})
    with open(path, "a") as file:
        file.write('{"step": 4, "kind": "tra')
    append_line(path, {"step": 2, "kind": "resume"})
    append_line(path, {"step": 3, "kind": "train", "again": True})
    assert [line["step"] for line in read_lines(path)] == [1, 2, 3, 2, 3]
    assert read_history(path)[2:] == [{"step": 3, "kind": "train", "again": True}]


def test_a_sealed_file_is_still_an_archive(tmp_path):
    path = tmp_path / "plain.pt"
    torch.save({"x": torch.arange(3)}, path)
    plain = path.read_bytes()
    assert read_sealed(path) == plain  # from before there were checksums
    path.write_bytes(seal(plain))
    assert torch.equal(torch.load(path, weights_only=True)["x"], torch.arange(3))
