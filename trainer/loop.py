"""Training: one loop for every model, whose progress is one integer, `step`."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loguru import logger
from PIL import Image
from tqdm import tqdm

from config.load import dump_config
from config.schema import Config
from fastmri.atomic import replacing
from fastmri.dataset import collate
from fastmri.volumes import Volume
from trainer import checkpoint, log
from trainer.announce import announce
from trainer.cache import cached
from trainer.compiled import compile_network, or_eager
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process, make_deterministic, mean
from trainer.evaluate import Evaluation, evaluate
from trainer.faults import enough_memory, places, tell_bad_step, write_batches
from trainer.figures import draw_panels
from trainer.lock import locked
from trainer.optimizer import learning_rate
from trainer.pretrained import resolve_baseline
from trainer.recent import Recent
from trainer.scores import Measures, mean_gaps
from trainer.selection import rating
from trainer.signals import stop_signals
from trainer.spreading import settle_step, tune_step, tuning_batches
from trainer.state import State, last_checkpoint, make_state, newest, resume
from trainer.step import train_step
from trainer.summary import posterior_rows, rows
from trainer.tables import format_posterior, format_rows


def train(config: Config, out: Path, process: Process) -> int:
    """Train until `train.steps`, from the run's last checkpoint if there is one; gives a signal, or 0."""
    found = newest(out)
    config = resolve_baseline(config, found)
    train_volumes, val_volumes = find_volumes(config, "train"), find_volumes(config, "val")
    make_deterministic(config.train.deterministic)
    state = make_state(config, process, pretrained=found is None)
    resume(state, found, config, out, process)
    with prepared(config, out) if process.main else nullcontext():
        announce(state, config, train_volumes, val_volumes, process)
        if state.step >= config.train.steps and not validation_due(state, config):
            return 0
        seen = val_volumes[: config.train.validate_volumes]
        with cached([*train_volumes, *seen], config, process) as kept:
            count = len(train_volumes)
            return run(state, config, out, kept[:count], kept[count:], process)


@contextmanager
def prepared(config: Config, out: Path) -> Iterator[None]:
    """A run directory with the resolved config, which is this process's while the block runs."""
    (out / "checkpoints").mkdir(parents=True, exist_ok=True)
    with locked(out):
        write_config(config, out)
        yield


def write_config(config: Config, out: Path) -> None:
    """The resolved options, and where the log goes."""
    with replacing(out / "config.yaml") as partial:
        partial.write_text(dump_config(config))
    log.to_file(out / "train.log")


def run(
    state: State,
    config: Config,
    out: Path,
    train_volumes: list[Volume],
    val_volumes: list[Volume],
    process: Process,
) -> int:
    """Step until the end or a signal; validate, save and log on the way; gives the signal, or 0."""
    options = config.train
    history = log.History(out, state.step) if process.main else None
    recent, stopping = Recent(), 0
    compile_network(state.model, options.compile)
    if validation_due(state, config):  # the last run was stopped before it
        validate_step(state, config, out, val_volumes, history, process)
    loader = training_loader(config, train_volumes, process, state.step, state.batches)
    tuning = tuning_batches(config, val_volumes, process) if config.loss.std_reward else []
    shown: dict[str, Any] = {"desc": "train", "unit": "step", "smoothing": 0.05, "disable": not process.main}
    shown |= {"initial": state.step, "total": options.steps}
    with stop_signals() as signals, log.progress_bar(**shown) as bar:
        for batches in loader.steps(options.accumulate):
            step = partial(train_step, state, batches, config, process)
            with enough_memory(state.step, batches, config):
                losses = or_eager(state.model, options.compile, step)
            recent.add(state.step, places(batches), losses)
            state.advance(len(batches))
            bar.update()
            logging = _due(state.step, options.log_every, options.steps)
            validating = validation_due(state, config)
            if config.loss.std_reward and _due(state.step, config.loss.tune_every, options.steps):
                tune_step(state, tuning, config, history, process)
            if config.loss.std_reward and validating:
                settle_step(state, tuning, config, history, process)
            stopping = signals.due(process)
            saving = _due(state.step, options.save_every, options.steps) or validating or stopping
            if logging or saving:  # nothing is saved before it was checked
                check_steps(recent, state, config, out, train_volumes, process)
            if logging:
                log_losses(recent, state.step, history, bar, config, process)
            if saving:
                save_last(state, config, out, process)
            if stopping:
                break
            if validating:  # after saving: it may take long
                with signals.saved():
                    validate_step(state, config, out, val_volumes, history, process)
            if saving:
                recent.start_clock()
    if history is not None:
        history.close()
        message = "stopped at step {}; the same command resumes" if stopping else "finished at step {}"
        logger.info(message, state.step)
    return stopping


def check_steps(
    recent: Recent, state: State, config: Config, out: Path, volumes: list[Volume], process: Process
) -> None:
    """Tell of steps that were not finite, with their batches, which are drawn once more to be written."""
    count = config.train.accumulate
    for bad in recent.check():
        state.bad_steps += 1
        path = out / "bad" / f"step{bad.step:07d}_{process.rank}.pt"
        before = state.batches - (state.step - bad.step) * count * process.world
        loader = training_loader(config, volumes, process, bad.step, before)
        draws = islice(loader.batch_sampler, count)
        write_batches(path, [collate([loader.dataset[draw] for draw in batch]) for batch in draws])
        tell_bad_step(bad, path, state.bad_steps, config)


def validation_due(state: State, config: Config) -> bool:
    """Whether this step is to be validated and was not."""
    due = _due(state.step, config.train.validate_every, config.train.steps)
    return due and state.step > state.validated


def _due(step: int, every: int, last: int) -> bool:
    return step % every == 0 or step == last


def log_losses(
    recent: Recent, step: int, history: log.History | None, bar: tqdm, config: Config, process: Process
) -> None:
    """Mean losses over processes to bar, metrics.jsonl and TensorBoard."""
    means = recent.mean()
    values = mean(torch.stack(list(means.values())), process).tolist()
    if history is None:
        return
    named = dict(zip(means, values, strict=True))
    rate = recent.slices_per_second() * process.world
    bar.set_postfix_str(f"loss {named['total']:.4f}, {rate:.1f} slices/s")
    lr = learning_rate(step - 1, config.train)
    history.write(step, "train", {**named, "lr": lr, "slices_per_second": rate})


def validate_step(
    state: State,
    config: Config,
    out: Path,
    volumes: list[Volume],
    history: log.History | None,
    process: Process,
) -> None:
    """Score the averaged weights; keep them as best.pt if they are the best so far; save that.

    In this order: a run that is killed meanwhile knows nothing of it, and validates again.
    """
    evaluation = evaluate(state.average, volumes, config, process)
    score = rating(evaluation, posterior=config.loss.std_reward)
    better = state.best is None or score > state.best
    state.best = score if better else state.best
    state.validated = state.step
    if history is not None:
        tell_validation(state, evaluation, out, history)
        if better:
            _save(state, config, out / "checkpoints" / "best.pt")
    save_last(state, config, out, process)


def tell_validation(state: State, evaluation: Evaluation, out: Path, history: log.History) -> None:
    """Tables on the terminal, and metrics and example pictures of the step in the run's files."""
    step, table = state.step, rows(evaluation.scores)
    tqdm.write(f"\nstep {step}\n{format_rows(table)}\n")
    if evaluation.spreads:
        tqdm.write(format_posterior(posterior_rows(evaluation.spreads)) + "\n")
    values = {
        f"{name}_x{row['acceleration']}_{row['method']}": row[name]["mean"]
        for row in table
        if row["acquisition"] == "all"
        for name in Measures._fields
    }
    for acceleration, gap in mean_gaps(evaluation.spreads).items():
        values[f"gap_x{acceleration}"] = gap
    history.write(step, "validate", values)
    for acceleration in sorted({example.acceleration for example in evaluation.examples}):
        path = out / "samples" / f"step{step:07d}_x{acceleration}.png"
        panels = [example.panel for example in evaluation.examples if example.acceleration == acceleration]
        draw_panels(path, panels, f"x{acceleration}, step {step}")
        history.write_picture(step, f"x{acceleration}", np.asarray(Image.open(path).convert("RGB")))


def save_last(state: State, config: Config, out: Path, process: Process) -> None:
    """Write last.pt."""
    if process.main:
        _save(state, config, last_checkpoint(out), config.train.keep - 1)


def _save(state: State, config: Config, path: Path, older: int = 0) -> None:
    checkpoint.save(path, config, state.progress(), state.tensors(), older)
