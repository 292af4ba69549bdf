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
from trainer.distributed import Process
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
    step: int = 0
    best: float | None = None

    def tensors(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "ema": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load(self, found: checkpoint.Checkpoint) -> None:
        self.model.load_state_dict(found.state["model"])
        self.average.load_state_dict(found.state["ema"])
        self.optimizer.load_state_dict(found.state["optimizer"])
        self.step, self.best = found.step, found.best


def make_state(config: Config, process: Process) -> State:
    """A fresh model with its average and optimizer on the process's device."""
    model = checkpoint.make_model(config).to(process.device)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    return State(model, average, make_optimizer(model, config.train))


def resume(state: State, config: Config, out: Path) -> None:
    """Take up the run's last checkpoint. Raises ValueError if its options were others."""
    path = out / "checkpoints" / "last.pt"
    if not path.exists():
        return
    found = checkpoint.load(path)
    differing = _differences(plain_config(found.config), plain_config(config))
    if differing:
        raise ValueError(
            f"{out}: holds a run with other options ({'; '.join(differing)}); "
            "train to another --out, or remove this one"
        )
    state.load(found)


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
