"""Reconstruct files from a checkpoint, or by a method without training."""

import argparse
from pathlib import Path
from typing import Any

from trainer.commands.arguments import add_device, add_overrides, add_run, at_least
from trainer.commands.console import console, shown

EXAMPLES = [
    "reconstruct runs/baseline data/phantoms/singlecoil_val out --slice 4 --acceleration 8",
    "reconstruct runs/baseline/checkpoints/best.pt file1000001.h5 out",
    "reconstruct runs/generative file1000001.h5 out --slice 4 --samples 8 model.amplitude=0.5",
    "reconstruct tv file1000001.h5 out --acceleration 8 'classical.tv_weights={8: 0.01}'",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("source", type=Path, metavar="INPUT", help="HDF5 file with kspace, or folder of them")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for files of the same names")
    add_overrides(parser, "model.amplitude=0.5")
    parser.add_argument(
        "--slice", type=at_least(0), metavar="K", dest="slice_num", help="also draw slice K, from 0"
    )
    parser.add_argument("--acceleration", type=at_least(2), metavar="R", help="undersample full input x R")
    parser.add_argument(
        "--samples", type=at_least(1), default=1, metavar="P", help="draws of a generative model"
    )
    add_device(parser)
    parser.set_defaults(device=None)


def run(run: Path, source: Path, out: Path, overrides: list[str], device: str | None, **options: Any) -> int:
    from config.load import named
    from trainer import distributed
    from trainer.evaluation.reconstruct import reconstruct
    from trainer.evaluation.validate import load_run

    found = load_run(run, overrides)
    if device is None:  # a checkpoint's own is not meant
        device = found.config.device if "device" in named(overrides) else "auto"
    process = distributed.find_process(device)
    console(quiet=not process.main)
    with distributed.group(process):
        written = reconstruct(found, source, out, process=process, **options)
    if process.main:
        print(*(shown(str(path)) for path in written), sep="\n")
    return 0
