"""Python started again: it imports from this repository, not from the folder that it is called in."""

import multiprocessing
import os
from multiprocessing import forkserver
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def imports() -> dict[str, str]:
    """Environment variables of such a process."""
    path = [str(ROOT), os.environ.get("PYTHONPATH")]
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, path))}


def start_server(*preloaded: str) -> None:
    """Start what new processes are forked from, with these imports, unless it runs already.

    It never ran a kernel: a fork of it is quick, and neither threads nor CUDA come along.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload([*preloaded])
    ours = imports()
    before = {name: os.environ.get(name) for name in ours}
    os.environ |= ours
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
