"""What training changes, and how it is taken up again."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from config.load import plain_config
from config.schema import Config
from trainer import checkpoint
from trainer.distributed import Process, gather
from trainer.optimizer import make_optimizer

# groups and options that a resumed run may set anew, because they change no weight
MAY_CHANGE = ("device", "validate", "data.num_workers", "data.cache", "data.path", "data.train", "data.val")
MAY_CHANGE += ("train.validate_every", "train.save_every", "train.log_every")


@dataclass
class State:
    """All that training changes."""

    model: nn.Module  # what the optimizer updates
    average: nn.Module  # what is evaluated
    optimizer: torch.optim.Optimizer
    world: int = 1  # processes that share a step
    step: int = 0
    validated: int = 0  # the last step that was validated
    best: float | None = None  # highest mean SSIM of a validation

    def tensors(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "ema": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def progress(self) -> checkpoint.Progress:
        return checkpoint.Progress(self.step, self.validated, self.best, self.world)

    def load(self, found: checkpoint.Checkpoint) -> None:
        self.model.load_state_dict(found.state["model"])
        self.average.load_state_dict(found.state["ema"])
        self.optimizer.load_state_dict(found.state["optimizer"])
        self.step, self.validated, self.best, _ = found.progress


def make_state(config: Config, process: Process) -> State:
    """A fresh model with its average and optimizer on the process's device."""
    model = checkpoint.make_model(config).to(process.device)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    return State(model, average, make_optimizer(model, config.train), process.world)


def resume(state: State, config: Config, out: Path, process: Process) -> None:
    """Take up the run's last checkpoint. Raises ValueError if what it depends on was another."""
    path = out / "checkpoints" / "last.pt"
    if path.exists():
        found = checkpoint.load(path)
        differing = _differences(plain_config(found.config), plain_config(config))
        if found.progress.world != state.world:
            differing.append(f"processes: {found.progress.world} -> {state.world}")
        if differing:
            raise ValueError(
                f"{out}: holds a run with other options ({'; '.join(differing)}); "
                "train to another --out, or remove this one"
            )
        state.load(found)
    if len(set(gather([state.step], process))) > 1:
        raise ValueError(f"{out}: must be a folder that all processes share, because they resume from it")


def _differences(old: dict, new: dict, prefix: str = "") -> list[str]:
    """'name: old -> new' of options that differ though they may not."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        path, before, after = prefix + name, old.get(name), new.get(name)
        if before == after or path in MAY_CHANGE:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, path + ".")
        else:
            found.append(f"{path}: {before} -> {after}")
    return found
