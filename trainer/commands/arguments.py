"""Arguments that several commands have, and what their text may be."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="run directory or checkpoint file; or, without training: zero_filled, low_pass, tv, wavelet",
    )


def add_runs(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help=about)


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],  # without one, argparse tells that they were required
        metavar="a.b=value",
        help=f"options, such as {example}",
    )


def add_split(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--val-fraction", type=float, default=0.2, help="volumes for validation (0.2)")
    parser.add_argument("--split", choices=["train", "val"], help="put every volume there instead")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of anatomy, phase and noise (0)")


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=["auto", "cuda", "cpu"], default="auto")


def at_least(lowest: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdigit() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least {lowest}")
        return int(text)

    return number


def positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return number


def numbers(lowest: int) -> Callable[[str], list[int]]:
    def numbers(text: str) -> list[int]:
        return [at_least(lowest)(part) for part in text.split(",")]

    return numbers


def names(text: str) -> list[str]:
    return text.split(",")


def size(text: str) -> tuple[int, int]:
    rows, _, columns = text.lower().partition("x")
    if not (rows.isdigit() and columns.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text}' is not ROWSxCOLUMNS, such as 640x368")
    return int(rows), int(columns)


def size_or_side(text: str) -> int | tuple[int, int]:
    return int(text) if text.isdigit() else size(text)
