"""What training changes, and how it is taken up again."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loguru import logger
from torch import nn
from torch.optim import AdamW, Optimizer

from config.load import plain_config
from config.schema import MOST_KEPT, Config
from custom_nn.adaptive_cs_net import checkpoint_blocks
from custom_nn.gains import BandTable
from custom_nn.models import Trained
from trainer import checkpoint
from trainer.adversary import Adversary, make_adversary
from trainer.band_tables import starting_tables
from trainer.distributed import Process, gather
from trainer.gradients import BatchGradients
from trainer.optimizer import make_optimizer
from trainer.pretrained import load_pretrained
from trainer.seen import Seen

# groups and options that a resumed run may set anew; these change no weight
MAY_CHANGE: tuple[str, ...] = (
    "device",
    "validate",
    "data.num_workers",
    "data.cache",  # but not its dtype
    "data.cache_dir",
    "data.scan_cache",
    "train.validate_every",
    "train.save_every",
    "train.log_every",
    "train.keep",
    "train.max_bad_steps",
    "train.compile",
    "train.cuda_graphs",
    "train.checkpoint_blocks",
)
MAY_CHANGE += ("data.path", "data.train", "data.val")  # data may move; told if volumes are others then
MAY_CHANGE += ("train.accumulate",)  # told if a step has another number of slices then
MAY_CHANGE += ("model.redraws",)  # gains are settled anew then


@dataclass
class State:
    """All that training changes."""

    model: Trained  # what the optimizer updates
    average: Trained  # what is evaluated
    optimizer: AdamW
    adversary: Adversary | None
    gradients: BatchGradients
    betas: BandTable
    gains: BandTable
    means: BandTable
    world: int = 1  # processes that share a step
    step: int = 0
    batches: int = 0  # of all processes together
    validated: int = 0  # the last step that was validated
    best: float | None = None  # highest score of a validation
    bad_steps: int = 0  # of this process; before it was taken up, of the first
    seen: Seen = field(default_factory=dict)  # in the first process, which saves it

    def _parts(self) -> dict[str, nn.Module | Optimizer]:
        """Whatever has a state dict, by its name in a checkpoint."""
        parts: dict[str, nn.Module | Optimizer] = {
            "model": self.model,
            "ema": self.average,
            "optimizer": self.optimizer,
        }
        if self.adversary is not None:
            parts["discriminator"] = self.adversary.discriminator
            parts["discriminator_optimizer"] = self.adversary.optimizer
        return parts

    def tensors(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def progress(self) -> checkpoint.Progress:
        done = (self.step, self.batches, self.validated, self.best, self.world)
        tables = (self.betas, self.gains, self.means)
        return checkpoint.Progress(*done, *tables, self.bad_steps, self.seen)

    def advance(self, batches: int) -> None:
        """One step of so many batches of each process is done."""
        self.step += 1
        self.batches += batches * self.world

    def load(self, found: checkpoint.Checkpoint) -> None:
        try:
            for name, part in self._parts().items():
                part.load_state_dict(found.state[name])
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"the checkpoint's {name} doesn't fit the run's options ({error})") from None
        done = found.progress
        self.step, self.validated, self.best = done.step, done.validated, done.best
        self.batches = done.step * done.world if done.batches is None else done.batches
        self.betas, self.gains, self.means = done.betas, done.gains, done.means
        self.bad_steps, self.seen = done.bad_steps, done.seen
        checkpoint.set_gains(self.average, self.gains, self.means)

    def unsettle(self, config: Config) -> None:
        """Forget validations and gains, which were of samples that were drawn otherwise."""
        _, self.gains, self.means = starting_tables(config)
        checkpoint.set_gains(self.average, self.gains, self.means)
        self.validated, self.best = 0, None


def make_state(config: Config, process: Process, pretrained: bool) -> State:
    """A fresh model with its average, optimizer and discriminator on the process's device.

    `pretrained`: with the weights that it is to start from, which a run to be resumed needs no more.
    """
    model = checkpoint.make_model(config)
    if pretrained:
        load_pretrained(model, config)
    model = model.to(process.device)
    checkpoint_blocks(model, config.train.checkpoint_blocks)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = make_optimizer(model, config.train)
    adversary = make_adversary(config, process)
    gradients = BatchGradients(model, adversary, config, process.device)
    tables = starting_tables(config)
    return State(model, average, optimizer, adversary, gradients, *tables, process.world)


def last_checkpoint(out: Path) -> Path:
    """Where a run is saved to be resumed."""
    return out / "checkpoints" / "last.pt"


def saved(out: Path) -> list[Path]:
    """The checkpoints that a run can be resumed from, the last one first."""
    paths = [checkpoint.previous(last_checkpoint(out), number) for number in range(MOST_KEPT)]
    return [path for path in paths if path.exists()]


def newest(out: Path) -> checkpoint.Checkpoint | None:
    """The last checkpoint of a run that is whole, those that are not being named; None for a fresh run.

    Raises ValueError if there are some, and none is whole.
    """
    fault = None
    for path in saved(out):
        if fault:
            logger.warning("{}; taking {} instead", fault, path.name)
        try:
            return checkpoint.load(path)
        except ValueError as error:
            fault = error
    if fault:
        raise fault
    return None


def resume(
    state: State, found: checkpoint.Checkpoint | None, config: Config, out: Path, process: Process
) -> None:
    """Take up a run's checkpoint, if it has one. Raises ValueError if what it depends on was another."""
    if found is not None:
        differing = differences(plain_config(found.config), plain_config(config))
        if differing:
            raise ValueError(
                f"{out}: holds a run with other options ({'; '.join(differing)}); "
                "train to another --out, or remove this one"
            )
        state.load(found)
        redraws = [each.model.model_dump().get("redraws") for each in (found.config, config)]
        if redraws[0] != redraws[1]:
            logger.info("model.redraws was {}, is {}: gains are settled anew", *redraws)
            state.unsettle(config)
        before = found.config.train.accumulate * found.progress.world
        if before != (now := config.train.accumulate * state.world):
            logger.warning(
                "steps had {} batches until step {}, have {} from here on", before, state.step, now
            )
    if len(set(gather([state.step], process))) > 1:
        raise ValueError(f"{out}: must be a folder that all processes share, because they resume from it")


def differences(
    old: dict, new: dict, prefix: str = "", *, may_differ: tuple[str, ...] = MAY_CHANGE
) -> list[str]:
    """'name: old -> new' of options that differ though they may not."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        path, before, after = prefix + name, old.get(name), new.get(name)
        if before == after or path in may_differ:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, path + ".", may_differ=may_differ)
        else:
            found.append(f"{path}: {before} -> {after}")
    return found
