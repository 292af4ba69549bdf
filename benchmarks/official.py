"""Speed of the official `fastmri` package on the same files and at the same sizes, as one line of JSON.

Run by `python main.py benchmark CONFIG --peer-python PATH`, where PATH is the Python of an environment that
holds the official package; see README.md beside this file. Imports nothing of ours, whose data package has
the same name, so it must be run with -I.
"""

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastmri.data import SliceDataset
from fastmri.data.subsample import create_mask_for_mask_type
from fastmri.data.transforms import UnetDataTransform
from fastmri.models import Unet
from torch.nn.functional import l1_loss
from torch.utils.data import DataLoader

import fastmri

CHANNELS = 32
WARMUP, LEAST = 3, 3


def summarize(durations: list[float]) -> dict[str, float]:
    """Median and quartiles, in seconds."""
    low, median, high = np.quantile(durations, [0.25, 0.5, 0.75]).tolist()
    return {"median": median, "low": low, "high": high, "count": len(durations)}


def status(name: str) -> int:
    """Bytes that this process holds, or held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def drop(folder: Path) -> None:
    """Ask the system to forget the files' pages."""
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def endless(loader: DataLoader) -> Iterator[Any]:
    """Batches of one pass after the other."""
    while True:
        yield from loader


def take(batches: Iterable[Any], count: int) -> float:
    """Seconds that some batches take."""
    started = time.perf_counter()
    for _ in islice(batches, count):
        pass
    return time.perf_counter() - started


def measure_reading(args: argparse.Namespace) -> dict:
    """Seconds per slice of the slice data set with the U-Net's transform, the first pass left out."""
    mask = create_mask_for_mask_type(args.mask, args.center_fractions, args.accelerations)
    transform = UnetDataTransform("singlecoil", mask_func=mask, use_seed=False)
    dataset = SliceDataset(args.root, "singlecoil", transform=transform)
    loader = DataLoader(
        dataset,
        batch_size=args.batch_size,
        shuffle=True,
        drop_last=len(dataset) >= args.batch_size,
        num_workers=args.workers,
        persistent_workers=args.workers > 0,
    )
    queued, size = 2 * args.workers, min(args.batch_size, len(dataset))
    counted, batches = max(len(loader) - queued, 1), endless(loader)
    take(batches, len(loader))
    durations: list[float] = []
    while len(durations) < LEAST or sum(durations) * counted * size < args.seconds:
        if args.files == "cold":
            drop(args.root)
        take(batches, queued)
        durations.append(take(batches, counted) / (counted * size))
    return summarize(durations)


def measure_step(args: argparse.Namespace) -> dict:
    """Seconds of a step of the U-Net on random images: of training as its module trains, or of inference."""
    device = torch.device(args.device)
    cuda = device.type == "cuda"
    shape = (args.batch_size, 1, args.rows, args.columns)
    image, target = (torch.randn(shape, device=device) for _ in range(2))
    before = status("VmRSS")
    model = Unet(in_chans=1, out_chans=1, chans=CHANNELS, num_pool_layers=4).to(device)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

    def train() -> None:
        loss = l1_loss(model(image), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    @torch.inference_mode()
    def infer() -> None:
        model(image)

    call = (model.train(), train)[1] if args.measure == "train" else (model.eval(), infer)[1]
    together = 5 if cuda else 1
    durations: list[float] = []
    while len(durations) < WARMUP + LEAST or sum(durations[WARMUP:]) * together < args.seconds:
        started = time.perf_counter()
        for _ in range(together):
            call()
        if cuda:
            torch.cuda.synchronize()
        durations.append((time.perf_counter() - started) / together)
    most = torch.cuda.max_memory_allocated() if cuda else status("VmHWM") - before
    return {**summarize(durations[WARMUP:]), "peak_bytes": most, "shape": list(shape)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measure", choices=["data", "train", "inference"])
    parser.add_argument("--root", type=Path, help="folder of singlecoil files")
    parser.add_argument("--files", choices=["cold", "warm"], default="warm")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--mask", default="random")
    parser.add_argument("--accelerations", type=int, nargs="+", default=[4])
    parser.add_argument("--center-fractions", type=float, nargs="+", default=[0.08])
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--columns", type=int, default=320)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found = measure_reading(args) if args.measure == "data" else measure_step(args)
    version = fastmri.__version__  # type: ignore[attr-defined]  # mypy sees ours, not the official package
    print(json.dumps({**found, "fastmri": version, "torch": str(torch.__version__)}))


if __name__ == "__main__":
    main()
