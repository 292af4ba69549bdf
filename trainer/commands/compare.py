"""Figures and paired statistics of several runs."""

import argparse
from pathlib import Path

from trainer.commands.arguments import add_device, add_runs, at_least
from trainer.commands.console import console

EXAMPLES = [
    "compare runs/baseline runs/unet runs/generative --out img",
    "compare runs/baseline runs/generative --out img --fname file1000001.h5 --slice 18 --volumes 4",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs(parser, "run directories; tables are of the first minus others")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", required=True, help="folder for figures and tables"
    )
    parser.add_argument("--data", type=Path, help="volumes for pictures (validation set of the first run)")
    parser.add_argument("--fname", metavar="FILE", help="volume of the picture (the first)")
    parser.add_argument(
        "--slice", type=at_least(0), metavar="K", dest="slice_num", help="its slice, from 0 (the middle one)"
    )
    parser.add_argument(
        "--volumes", type=at_least(1), default=2, metavar="N", help="for distortion and perception (2)"
    )
    add_device(parser)


def run(
    runs: list[Path],
    out: Path,
    data: Path | None,
    fname: str | None,
    slice_num: int | None,
    volumes: int,
    device: str,
) -> int:
    from trainer.comparison.compare import Request, compare
    from trainer.distributed import choose_device

    console()
    written = compare(runs, out, Request(data, fname, slice_num, volumes), choose_device(device))
    print(*written, sep="\n")
    return 0
