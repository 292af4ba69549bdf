"""Files that are either whole or absent, and folders for them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a temporary name beside `path` to write to; flushes and renames it when the block succeeds."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def writable_folder(path: Path, *, make: bool = True) -> Path:
    """The folder, made if it isn't there: asked before long work. Raises ValueError if it takes no file.

    With `make` false nothing is made: if it isn't there, the nearest one above it is asked.
    """
    try:
        if make:
            path.mkdir(parents=True, exist_ok=True)
        around = (path.absolute(), *path.absolute().parents)
        with tempfile.TemporaryFile(dir=next(folder for folder in around if os.path.lexists(folder))):
            return path
    except OSError as error:
        raise ValueError(
            f"{path}: must be a folder that can be written ({error.strerror or error})"
        ) from None
