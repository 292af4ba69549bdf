"""Knee phantoms in the layout of fastMRI's single-coil knees, for trials and tests without patients' data."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from fastmri.phantom.scan import draw_acquired, draw_subject, measure
from fastmri.processes import start_server
from fastmri.splitting import val_count
from fastmri.volumes import ACQUISITIONS
from fastmri.writing import write_volume

SMALLEST = 32  # side of the target; below, a knee is no longer one
FIRST_NUMBER = 1_000_001


class Scan(NamedTuple):
    """One file to write; its content depends on `seed`, `number` and the sizes alone."""

    path: Path
    seed: int
    number: int  # 0, 1, ... over both folders
    slices: int
    matrix: tuple[int, int]


def simulate(
    out: Path,
    *,
    volumes: int,
    slices: int,
    matrix: tuple[int, int] = (640, 368),
    seed: int,
    val_fraction: float = 0.2,
    split: str | None = None,
    workers: int = os.cpu_count() or 1,
) -> list[Path]:
    """Write `volumes` knees under out/singlecoil_train and out/singlecoil_val; gives their paths.

    `matrix` is (rows, columns) of k-space; the target's side is half of the rows. The last volumes are the
    validation's; of two or more each side gets one at least, unless the fraction is 0 or 1. `split` sends
    all to one side. Contrasts alternate.
    Raises ValueError in one line for what cannot be simulated or written.
    """
    _check(volumes, slices, matrix, seed, val_fraction, split, workers)
    splits = _splits(volumes, val_fraction, split)
    scans = [
        Scan(
            path=Path(out) / f"singlecoil_{name}" / f"file{FIRST_NUMBER + number}.h5",
            seed=seed,
            number=number,
            slices=slices,
            matrix=(matrix[0], matrix[1]),
        )
        for number, name in enumerate(splits)
    ]
    _check_leak([scan.path for scan in scans])
    try:
        for folder in sorted({scan.path.parent for scan in scans}):
            folder.mkdir(parents=True, exist_ok=True)
        _write_all(scans, min(workers, volumes))
    except OSError as error:
        raise ValueError(
            f"out must be a folder that can be written, is {out} ({error.strerror or error})"
        ) from None
    return [scan.path for scan in scans]


def _check(
    volumes: int,
    slices: int,
    matrix: tuple[int, int],
    seed: int,
    val_fraction: float,
    split: str | None,
    workers: int,
) -> None:
    rows, columns = matrix
    rules = (
        (volumes >= 1, f"volumes must be at least 1, is {volumes}"),
        (slices >= 1, f"slices must be at least 1, is {slices}"),
        (workers >= 1, f"workers must be at least 1, is {workers}"),
        (seed >= 0, f"seed must be at least 0, is {seed}"),
        (rows >= 2 * SMALLEST, f"matrix must have at least {2 * SMALLEST} rows, is {rows}x{columns}"),
        (rows % 2 == 0, f"matrix must have an even number of rows, is {rows}x{columns}"),
        (2 * columns >= rows, f"matrix must have at least half as many columns as rows, is {rows}x{columns}"),
        (0 <= val_fraction <= 1, f"val_fraction must be between 0 and 1, is {val_fraction}"),
        (split in (None, "train", "val"), f"split must be train or val, is {split}"),
    )
    for holds, message in rules:
        if not holds:
            raise ValueError(message)


def _check_leak(paths: list[Path]) -> None:
    """A knee must not be in train and val: earlier files of the same name on the other side are an error."""
    for path in paths:
        other = "val" if path.parent.name.endswith("train") else "train"
        twin = path.parent.with_name(f"singlecoil_{other}") / path.name
        if twin.exists():
            raise ValueError(f"out must not hold the same volumes in the other split already, holds {twin}")


def _splits(volumes: int, val_fraction: float, split: str | None) -> list[str]:
    if split is not None:
        return [split] * volumes
    val = val_count(volumes, val_fraction)
    return ["train"] * (volumes - val) + ["val"] * val


def _write_all(scans: list[Scan], workers: int) -> None:
    with tqdm(total=len(scans), desc="simulate", unit="volume", disable=None) as progress:
        if workers == 1:
            _write_here(scans, progress)
            return
        # not forked from this process: torch's threads do not survive it; all from one that imports it once
        start_server("fastmri.simulate")
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_single_threaded) as pool:
            processes = pool._processes  # which it forgets when it ends, and does not tell what ended one
            try:
                written = [pool.submit(_write, scan) for scan in scans]
                for done in as_completed(written):
                    done.result()
                    progress.update()
            except BrokenProcessPool:
                pool.shutdown()  # waits for all of them
                codes = [process.exitcode for process in processes.values()]
                raise ValueError(_why_ended(codes, workers)) from None
            except BaseException:
                pool.shutdown(cancel_futures=True)  # else all the others are still written first
                raise


def _why_ended(codes: list[int | None], workers: int) -> str:
    """What exit codes tell of a pool that broke; the others in it are ended by SIGTERM."""
    if -signal.SIGKILL in codes:  # as the system does where memory is short
        return f"workers must fit into memory: one of {workers} was ended by the system, try fewer"
    code = next((code for code in codes if code not in (0, None, -signal.SIGTERM)), -signal.SIGTERM)
    return f"workers must not end early: one of {workers} did, with exit code {code}"


def _write_here(scans: list[Scan], progress: tqdm) -> None:
    threads = torch.get_num_threads()
    try:
        _single_threaded()
        for scan in scans:
            _write(scan)
            progress.update()
    finally:
        torch.set_num_threads(threads)


def _single_threaded() -> None:
    torch.set_num_threads(1)  # volumes run side by side


def _write(scan: Scan) -> None:
    rng = np.random.default_rng((scan.seed, scan.number))
    acquisition = ACQUISITIONS[scan.number % 2]
    subject = draw_subject(rng, acquisition=acquisition, slices=scan.slices)
    acquired = draw_acquired(rng, scan.matrix[1])
    raw = measure(subject, matrix=scan.matrix, acquired=acquired, rng=rng)
    write_volume(
        scan.path,
        raw.kspace,
        raw.target,
        acquisition=acquisition,
        acquired=acquired,
        attributes={
            "patient_id": f"phantom-{scan.seed}-{scan.number}",
            "simulated": f"knee phantom, seed {scan.seed}, volume {scan.number}",
        },
    )
