"""Python started again: what lies in the folder where the program is called is not taken for ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastmri.processes import ROOT, start_server
from fastmri.volumes import describe_volume

IN_CHILD = """
from trainer.benchmark.isolation import in_child

if __name__ == "__main__":
    print(in_child(dict, limit=300))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with packages of our names in it."""
    for name in ("fastmri", "trainer", "config", "custom_nn"):
        (tmp_path / "here" / name).mkdir(parents=True)
        (tmp_path / "here" / name / "__init__.py").touch()
    return tmp_path / "here"


def call(folder: Path, *arguments: str, **environment: str) -> str:
    """What Python prints there."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_simulate_works_beside_folders_of_our_names(folder: Path) -> None:
    options = ["--volumes", "2", "--slices", "1", "--matrix", "64x40", "--workers", "2"]
    assert call(folder, str(ROOT / "main.py"), "simulate", "out", *options) == "2 volumes in out\n"
    assert describe_volume(folder / "out" / "singlecoil_val" / "file1000002.h5").num_slices == 1


def test_a_measurement_apart_works_beside_folders_of_our_names(folder: Path) -> None:
    script = folder.with_name("script.py")
    script.write_text(IN_CHILD)
    assert call(folder, str(script), PYTHONPATH=str(ROOT)) == "{}\n"


@pytest.mark.parametrize("before", [None, "/elsewhere"])
def test_the_environment_stays_as_it_was(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if before is not None:
        monkeypatch.setenv("PYTHONPATH", before)
    seen, whole = [], dict(os.environ)
    monkeypatch.setattr("multiprocessing.forkserver.ensure_running", lambda: seen.append(dict(os.environ)))
    start_server()
    path = f"{ROOT}:{before}" if before else f"{ROOT}"
    assert seen == [whole | {"PYTHONSAFEPATH": "1", "PYTHONPATH": path}]
    assert dict(os.environ) == whole
