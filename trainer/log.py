"""What a run says: log file, metrics.jsonl, TensorBoard."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from loguru import logger
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from fastmri.atomic import replacing


def progress_bar(*items: Any, **options: Any) -> tqdm:
    """A bar on a terminal; in a log file it speaks every half minute."""
    return tqdm(*items, mininterval=0.1 if sys.stderr.isatty() else 30, **options)


def to_file(path: Path) -> None:
    """Log to a file as well."""
    logger.add(path, format="{time:YYYY-MM-DD HH:mm:ss} {level} {message}")


class History:
    """The run's figures over steps: lines of metrics.jsonl and TensorBoard curves and pictures."""

    def __init__(self, out: Path, start: int):
        self.path = out / "metrics.jsonl"
        self._forget_after(start)
        self.board = SummaryWriter(str(out), purge_step=start + 1)

    def _forget_after(self, step: int) -> None:
        """Drop what an interrupted run wrote after its last checkpoint: it will be written again."""
        if self.path.exists():
            lines = self.path.read_text().splitlines()
            kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
            with replacing(self.path) as partial:
                partial.write_text("".join(line + "\n" for line in kept))

    def write(self, step: int, kind: str, values: dict[str, Any]) -> None:
        """Append one line, {"step", "kind", ...}, and draw its plain numbers."""
        with open(self.path, "a") as file:
            file.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        for name, value in values.items():
            if isinstance(value, int | float):
                self.board.add_scalar(f"{kind}/{name}", value, step)

    def write_picture(self, step: int, name: str, image: Any) -> None:
        """Show an image, uint8 (H, W, 3), on TensorBoard."""
        self.board.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        self.board.close()
