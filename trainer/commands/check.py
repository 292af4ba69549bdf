"""Tell what is in a data folder, and what is wrong with it; or, with --env, what this runs on."""

import argparse
from pathlib import Path

EXAMPLES = [
    "check data/phantoms",
    "check file1000001.h5",
    "check --env",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data", type=Path, nargs="?", metavar="DATA", help="data folder, or a folder of files, or a file"
    )
    parser.add_argument("--env", action="store_true", help="versions, devices, memory and what is missing")


def run(data: Path | None, env: bool) -> int:
    from fastmri.check import check_folder, format_report

    if env:
        return _check_environment()
    if data is None:
        raise ValueError("DATA: names a folder or file to check; only --env needs none")
    report = check_folder(data)
    print(format_report(report))
    return 1 if report.problems else 0


def _check_environment() -> int:
    from trainer.environment import describe_environment

    table, missing = describe_environment()
    print(table)
    for line in missing:
        print(f"missing: {line}")
    return 1 if missing else 0
