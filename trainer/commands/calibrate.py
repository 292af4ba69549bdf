"""Learn how wide a generative run's intervals must be to hold the truth."""

import argparse
from pathlib import Path

from trainer.commands.arguments import add_overrides, add_run
from trainer.commands.console import console

EXAMPLES = [
    "calibrate runs/generative data/held_out",
    "calibrate runs/generative data/held_out validate.level=0.8 validate.samples=4",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="held-out volumes: singlecoil_val/ in it, or else its files"
    )
    add_overrides(parser, "validate.samples=4")


def run(run: Path, data: Path, overrides: list[str]) -> int:
    from config.load import changed
    from trainer import distributed
    from trainer.evaluation.calibrate import calibrate_run
    from trainer.evaluation.validate import load_run
    from trainer.provenance import record_command

    found, held_out = load_run(run, overrides), data / "singlecoil_val"
    place = {"val": held_out if held_out.is_dir() else data}  # no override: YAML may take a name for a number
    found = found._replace(config=changed(found.config, data=place))
    process = distributed.find_process(found.config.device)
    console(quiet=not process.main)
    with distributed.group(process):
        written = calibrate_run(found, process)
    if process.main:
        record_command(written.parent, ["calibrate", run, data, *overrides], process.device)
        print(written)
    return 0
