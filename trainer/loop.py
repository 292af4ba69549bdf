"""Training: one loop for every model, whose progress is one integer, `step`."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path

from loguru import logger
from tqdm import tqdm

from config.load import dump_config
from config.schema import Config, Train
from fastmri.atomic import replacing, writable_folder
from fastmri.dataset import collate
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume
from trainer import log
from trainer.cache import cached
from trainer.compiled import compile_network, or_eager
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process, gather, make_deterministic
from trainer.faults import enough_memory, places, tell_bad_step, write_batches
from trainer.gaps import tuning_batches
from trainer.lock import locked
from trainer.milestones import due, log_losses, save_last, validate_step, validation_due
from trainer.planning.announce import announce
from trainer.pretrained import resolve_baseline, starting_features
from trainer.recent import Recent
from trainer.seen import see
from trainer.signals import stop_signals
from trainer.spreading import settle_step, tune_step, unsettled
from trainer.state import State, make_state, newest, resume, saved
from trainer.step import train_step


def train(config: Config, out: Path, process: Process) -> int:
    """Train until `train.steps`, from the run's last checkpoint if there is one; gives a signal, or 0."""
    train_volumes, val_volumes = find_volumes(config, "train"), find_volumes(config, "val")
    if not saved(out):
        config = resolve_baseline(config, None)  # what is wrong with what it starts from is told
        starting_features(config)  # before a folder is made
    with prepared(out) if process.main else nullcontext():
        gather([], process)  # nobody reads a checkpoint before the directory is ours
        config, state = take_up(config, out, process)
        seen = val_volumes[: config.train.validate_volumes]
        if process.main:
            write_config(config, out)
            state.seen = see(state.seen, {"train": train_volumes, "val": seen}, state.step)
        announce(state, config, train_volumes, val_volumes, process)
        if state.step >= config.train.steps and not validation_due(state, config):
            return 0
        with cached([*train_volumes, *seen], config, process) as kept:
            count = len(train_volumes)
            return run(state, config, out, kept[:count], kept[count:], process)


@contextmanager
def prepared(out: Path) -> Iterator[None]:
    """A run directory, which is this process's while the block runs."""
    writable_folder(out / "checkpoints")
    with locked(out):
        yield


def take_up(config: Config, out: Path, process: Process) -> tuple[Config, State]:
    """The resolved config, and a state, of the run's last checkpoint if there is one."""
    found = newest(out)
    if found is not None:
        config = resolve_baseline(config, found)
    make_deterministic(config.train.deterministic)
    state = make_state(config, process, pretrained=found is None)
    resume(state, found, config, out, process)
    return config, state


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
    stopping = 0
    compile_network(state.model, options.compile)
    tuning = tuning_batches(config, val_volumes, process) if config.loss.posterior else []
    catch_up(state, tuning, config, out, val_volumes, history, process)
    loader = training_loader(config, train_volumes, process, state.step, state.batches)
    recent = Recent()  # which starts the clock
    with stop_signals() as signals, step_bar(state, options, process) as bar:
        for batches in loader.steps(options.accumulate):
            step = partial(train_step, state, batches, config, process)
            with enough_memory(state.step, batches, config):
                losses = or_eager(state.model, options.compile, step)
            recent.add(state.step, places(batches), losses)
            state.advance(len(batches))
            bar.update()
            logging = due(state.step, options.log_every, options.steps)
            validating = validation_due(state, config)
            if config.loss.posterior:
                adjust_spread(state, tuning, config, history, process, validating)
            stopping = signals.due(process)
            saving = due(state.step, options.save_every, options.steps) or validating or stopping
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


def catch_up(
    state: State,
    tuning: list[SliceBatch],
    config: Config,
    out: Path,
    volumes: list[Volume],
    history: log.History | None,
    process: Process,
) -> None:
    """The validation that is due at the start, if the last run was stopped before it, or drew otherwise."""
    if validation_due(state, config):
        if unsettled(state.average):
            settle_step(state, tuning, config, history, process)
        validate_step(state, config, out, volumes, history, process)


def step_bar(state: State, options: Train, process: Process) -> tqdm:
    """A bar over all steps, with those before a resume already done."""
    return log.progress_bar(
        desc="train",
        unit="step",
        smoothing=0.05,
        disable=not process.main,
        initial=state.step,
        total=options.steps,
    )


def adjust_spread(
    state: State,
    tuning: list[SliceBatch],
    config: Config,
    history: log.History | None,
    process: Process,
    validating: bool,
) -> None:
    """Tune betas, the reward's weights, where that is due, and before a validation settle gains."""
    if config.loss.std_reward and due(state.step, config.loss.tune_every, config.train.steps):
        tune_step(state, tuning, config, history, process)
    if validating:
        settle_step(state, tuning, config, history, process)


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
