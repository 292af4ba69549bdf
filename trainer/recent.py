"""The losses of the last steps, kept on the device so that no step waits for them."""

import time

import torch
from torch import Tensor


class Recent:
    """The losses since they were last logged."""

    def __init__(self):
        self.losses: list[dict[str, Tensor]] = []
        self.start_clock()
        self.unchecked: list[tuple[int, list[str], dict[str, Tensor]]] = []

    def start_clock(self) -> None:
        """Count time from here: after what is not training, and after each call of `slices_per_second`."""
        self.started, self.counted = time.perf_counter(), 0

    def slices_per_second(self) -> float:
        """Of this process, since the clock started."""
        rate = self.counted / (time.perf_counter() - self.started)
        self.start_clock()
        return rate

    def add(self, step: int, fnames: list[str], losses: dict[str, Tensor]) -> None:
        self.losses.append(losses)
        self.counted += len(fnames)
        self.unchecked.append((step, fnames, losses))

    def check(self) -> None:
        """Raises FloatingPointError that names the first step, and files, of a loss that is not finite."""
        finite = [torch.stack(list(losses.values())).isfinite().all() for _, _, losses in self.unchecked]
        for (step, fnames, _), fine in zip(self.unchecked, torch.stack(finite).tolist(), strict=True):
            if not fine:
                files = ", ".join(sorted(set(fnames)))
                raise FloatingPointError(f"loss or gradient is not finite at step {step}, files {files}")
        self.unchecked = []

    def mean(self) -> dict[str, Tensor]:
        """Means since the last call, which forgets them."""
        losses, self.losses = self.losses, []
        return {name: torch.stack([step[name] for step in losses]).mean() for name in losses[0]}
