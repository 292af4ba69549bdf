"""What a run says: log file, metrics.jsonl, TensorBoard."""

import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loguru import logger
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from trainer.lines import RESUMED, append_line


def progress_bar(items: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """A bar on a terminal; in a log file it speaks every half minute."""
    return tqdm(items, mininterval=0.1 if sys.stderr.isatty() else 30, **options)


def to_file(path: Path) -> None:
    """Log to a file as well, which gives way to another when it has grown large."""
    logger.add(path, format="{time:YYYY-MM-DD HH:mm:ss} {level} {message}", rotation="10 MB", retention=5)


class History:
    """The run's figures over steps: lines of metrics.jsonl and TensorBoard curves and pictures."""

    def __init__(self, out: Path, start: int):
        self.path = out / "metrics.jsonl"
        if start:
            append_line(self.path, {"step": start, "kind": RESUMED})
        self.board = SummaryWriter(str(out), purge_step=start + 1)

    def write(self, step: int, kind: str, values: dict[str, Any]) -> None:
        """Append one line, {"step", "kind", ...}, and draw its plain numbers."""
        finite = {k: v for k, v in values.items() if not isinstance(v, float) or math.isfinite(v)}
        append_line(self.path, {"step": step, "kind": kind, **finite})  # JSON has no NaN
        for name, value in values.items():
            if isinstance(value, int | float):
                self.board.add_scalar(f"{kind}/{name}", value, step)

    def write_picture(self, step: int, name: str, image: Any) -> None:
        """Show an image, uint8 (H, W, 3), on TensorBoard."""
        self.board.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        self.board.close()
