"""Files of one JSON object per line, to which runs append."""

import json
import os
from pathlib import Path
from typing import Any

RESUMED = "resume"  # the kind of a line that tells from which step on a run went on


def append_line(path: Path, values: dict[str, Any]) -> None:
    """Add an object, whole and on the disk; what a crash left of the last line becomes a line by itself."""
    with open(path, "ab+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        torn = size > 0 and file.read() != b"\n"
        file.write(b"\n" * torn + json.dumps(values).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_history(path: Path) -> list[dict[str, Any]]:
    """The lines of a run, but for those that it wrote again when it went on from an earlier checkpoint."""
    kept: dict[tuple[int, str], dict[str, Any]] = {}
    for line in read_lines(path):
        if line["kind"] == RESUMED:
            kept = {place: earlier for place, earlier in kept.items() if earlier["step"] <= line["step"]}
        else:  # a validation that was not over is done once more
            kept[line["step"], line["kind"]] = line
    return list(kept.values())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects, oldest first; none without a file. A last line that is half written is passed over."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]
