"""What a run does at some of its steps: losses are logged, weights saved and validated."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from config.schema import Config
from fastmri.volumes import Volume
from trainer import checkpoint, log
from trainer.distributed import Process, mean
from trainer.evaluation.evaluate import Evaluation, evaluate
from trainer.evaluation.figures import draw_panels
from trainer.evaluation.scores import Measures, mean_gaps
from trainer.evaluation.selection import rating
from trainer.evaluation.summary import posterior_rows, rows
from trainer.evaluation.tables import format_posterior, format_rows
from trainer.optimizer import learning_rate
from trainer.recent import Recent
from trainer.state import State, last_checkpoint


def validation_due(state: State, config: Config) -> bool:
    """Whether this step is to be validated and was not."""
    options = config.train
    return due(state.step, options.validate_every, options.steps) and state.step > state.validated


def due(step: int, every: int, last: int) -> bool:
    """Whether something is to be done at every so many steps, and at the last."""
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
    score = rating(evaluation, posterior=config.loss.posterior)
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
        draw_panels(path, evaluation.panels(acceleration), f"x{acceleration}, step {step}")
        history.write_picture(step, f"x{acceleration}", np.asarray(Image.open(path).convert("RGB")))


def save_last(state: State, config: Config, out: Path, process: Process) -> None:
    """Write last.pt."""
    if process.main:
        _save(state, config, last_checkpoint(out), config.train.keep - 1)


def _save(state: State, config: Config, path: Path, older: int = 0) -> None:
    checkpoint.save(path, config, state.progress(), state.tensors(), older)
