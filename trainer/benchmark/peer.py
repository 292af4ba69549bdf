"""The official `fastmri` package, measured beside ours by a script in an environment of its own."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from config.schema import Config
from fastmri.processes import ROOT
from fastmri.volumes import Volume
from trainer.benchmark.reading import Source
from trainer.data import mask_settings

SCRIPT = ROOT / "benchmarks" / "official.py"
KINDS = ("equispaced", "equispaced_fraction", "magic", "magic_fraction")  # that it has too; else random


class Peer(NamedTuple):
    """How the official package is called."""

    python: Path  # of an environment that has it
    folder: Path  # links to the volumes that are measured
    device: str
    seconds: float
    limit: float

    def reading(self, config: Config, source: Source) -> dict[str, Any]:
        """Its slice data set with the U-Net's transform, from the same files."""
        pairs = mask_settings(config).pairs
        return self._call(
            "data",
            root=self.folder,
            files=source.files,
            workers=source.workers,
            batch_size=config.data.batch_size,
            mask=config.masks.kind if config.masks.kind in KINDS else "random",
            accelerations=[pair.acceleration for pair in pairs],
            center_fractions=[pair.center_fraction for pair in pairs],
        )

    def step(self, part: str, batch_size: int, rows: int, columns: int) -> dict[str, Any]:
        """Its U-Net at a size of ours, in float32."""
        return self._call(part, batch_size=batch_size, rows=rows, columns=columns)

    def _call(self, measure: str, **options: Any) -> dict[str, Any]:
        """What the script prints, or {"failed": why}."""
        options |= {"device": self.device, "seconds": self.seconds, "threads": torch.get_num_threads()}
        command = [str(self.python), "-I", str(SCRIPT), measure]
        for name, value in options.items():
            values = value if type(value) is list else [value]
            command += [f"--{name.replace('_', '-')}", *map(str, values)]
        try:
            done = subprocess.run(
                command, cwd=self.folder, capture_output=True, text=True, timeout=self.limit, check=True
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"took more than {self.limit:.0f} s"}
        except subprocess.CalledProcessError as error:
            lines = error.stderr.strip().splitlines()
            return {"failed": lines[-1] if lines else f"its process ended with {error.returncode}"}
        return json.loads(done.stdout)


@contextmanager
def linked(volumes: list[Volume]) -> Iterator[Path]:
    """A folder that holds nothing but links to some volumes."""
    with tempfile.TemporaryDirectory() as name:
        for volume in volumes:
            (Path(name) / volume.fname).symlink_to(Path(volume.path).resolve())
        yield Path(name)
