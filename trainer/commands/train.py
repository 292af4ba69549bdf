"""Train a model; the same command again resumes."""

import argparse
from pathlib import Path
from typing import Any

from trainer.commands.arguments import add_overrides
from trainer.commands.console import console

EXAMPLES = [
    "train config/baseline.yaml data.path=data/phantoms --plan",
    "train config/baseline.yaml data.path=data/phantoms --out runs/baseline",
    "train config/unet.yaml data.path=data/phantoms train.lr=3e-4 --out runs/unet",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML file, such as config/baseline.yaml")
    add_overrides(parser, "train.steps=1000")
    parser.add_argument("--out", type=Path, metavar="RUN", help="run directory; needed, but for --plan")
    parser.add_argument(
        "--plan", action="store_true", help="tell what memory, time and room it takes, and train nothing"
    )


def run(config: Path, overrides: list[str], out: Path | None, plan: bool) -> int:
    from config.load import load_config
    from trainer import distributed
    from trainer.loop import train
    from trainer.provenance import record_command
    from trainer.signals import exit_code

    if out is None and not plan:
        raise ValueError(
            "--out RUN: names the folder of the run; only --plan, which trains nothing, needs none"
        )
    options = load_config(config, overrides)
    _check_trainable(options)
    process = distributed.find_process(options.device)
    console(quiet=not process.main)
    if plan:
        return _plan(options, out, process)
    assert out is not None
    with distributed.group(process):
        stopped = train(options, out, process)
    if process.main:
        record_command(out, ["train", config, *overrides, "--out", out], process.device)
    return exit_code(stopped)


def _check_trainable(options: Any) -> None:
    """Raises ValueError for options of other commands, with which no run can be trained."""
    if options.model.name == "generative" and options.model.amplitude != 1:
        raise ValueError("model.amplitude: is for validate and reconstruct; texture is trained at 1")
    if options.loss.posterior and options.draws < 2:
        raise ValueError("validate.samples: training takes at least 2, by which it sees how much they differ")


def _plan(options: Any, out: Path | None, process: Any) -> int:
    from trainer.planning.plan import make_plan
    from trainer.planning.plan_tables import format_plan

    print(format_plan(make_plan(options, out, process)))
    return 0
