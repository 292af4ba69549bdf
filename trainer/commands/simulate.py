"""Make knee phantoms in fastMRI's layout."""

import argparse
import os
from pathlib import Path
from typing import Any

from trainer.commands.arguments import add_split, at_least, size

EXAMPLES = [
    "simulate data/phantoms --volumes 30 --slices 8",
    "simulate data/small --volumes 30 --matrix 256x160",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--volumes", type=at_least(1), default=10, help="how many (10)")
    parser.add_argument("--slices", type=at_least(1), default=8, help="slices per volume (8)")
    parser.add_argument(
        "--matrix",
        type=size,
        default=(640, 368),
        help="k-space ROWSxCOLUMNS (640x368); the image is half the rows",
    )
    parser.add_argument("--workers", type=at_least(1), default=os.cpu_count(), help="processes (all cores)")
    add_split(parser)


def run(out: Path, **options: Any) -> int:
    from fastmri.simulate import simulate

    written = simulate(out, **options)
    print(f"{len(written)} volumes in {out}")
    return 0
