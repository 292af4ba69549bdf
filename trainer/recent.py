"""The losses of the last steps, kept on the device so that no step waits for them."""

import time
from functools import reduce

import torch
from torch import Tensor

from trainer.faults import BadStep, Places

SHARED = ("gradient_norm", "discriminator_norm")  # what processes have in common


class Recent:
    """The losses since they were last logged."""

    def __init__(self) -> None:
        self.losses: list[dict[str, Tensor]] = []
        self.start_clock()
        self.unchecked: list[tuple[int, Places, dict[str, Tensor]]] = []

    def start_clock(self) -> None:
        """Count time from here: after what is not training, and after each call of `slices_per_second`."""
        self.started, self.counted = time.perf_counter(), 0

    def slices_per_second(self) -> float:
        """The rate of this process since the clock started, which is started anew."""
        rate = self.counted / (time.perf_counter() - self.started)
        self.start_clock()
        return rate

    def add(self, step: int, places: Places, losses: dict[str, Tensor]) -> None:
        self.losses.append(losses)
        self.counted += len(places)
        self.unchecked.append((step, places, losses))

    def check(self) -> list[BadStep]:
        """The steps since the last check whose losses or gradient were not finite."""
        finite = [torch.stack(_shared_and_own(losses)) for _, _, losses in self.unchecked]
        bad = [
            BadStep(step, places, own=not own)
            for (step, places, _), (shared, own) in zip(
                self.unchecked, torch.stack(finite).isfinite().tolist(), strict=True
            )
            if not (shared and own)
        ]
        self.unchecked = []
        return bad

    def mean(self) -> dict[str, Tensor]:
        """Means since the last call, which forgets them, over what was finite."""
        losses, self.losses = self.losses, []
        return {name: finite_mean(torch.stack([step[name] for step in losses])) for name in losses[0]}


def _shared_and_own(losses: dict[str, Tensor]) -> list[Tensor]:
    """The sum of what processes have in common, and of all else: finite if all of it is."""
    parts = [
        [loss for name, loss in losses.items() if (name in SHARED) == shared] for shared in (True, False)
    ]
    return [reduce(torch.add, part) for part in parts]


def finite_mean(values: Tensor) -> Tensor:
    """NaN where none is finite."""
    return values.where(values.isfinite(), torch.nan).nanmean()
