"""PSNR, SSIM and NMSE of a run, or of a method without training, beside the zero-filled image."""

import argparse
from pathlib import Path

from trainer.commands.arguments import add_overrides, add_run
from trainer.commands.console import console

EXAMPLES = [
    "validate runs/baseline",
    "validate runs/baseline data.path=data/other --out runs/baseline/other",
    "validate runs/baseline validate.methods=[tv,wavelet,low_pass]",
    "validate tv data.path=data/phantoms --out runs/tv",
    "validate runs/generative --html page validate.page_volumes=12 validate.page_slices=4",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    add_overrides(parser, "validate.samples=4")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where results go (RUN/validate, or runs/METHOD/validate). Without it, options a.b=value "
        "never replace results of other data, acquisitions, masks, samples or seed",
    )
    parser.add_argument(
        "--html",
        type=Path,
        metavar="DIR",
        help="also write DIR/index.html, to look through volumes and slices",
    )


def run(run: Path, overrides: list[str], out: Path | None, html: Path | None) -> int:
    from trainer import distributed
    from trainer.evaluation.validate import load_run, validate
    from trainer.provenance import record_command

    found = load_run(run, overrides)
    process = distributed.find_process(found.config.device)
    console(quiet=not process.main)
    with distributed.group(process):
        validate(found, out, process, html)
    if process.main:
        typed = ["validate", run, *overrides, *(["--out", out] if out else [])]
        typed += ["--html", html] if html else []
        record_command(out or found.default_out, typed, process.device)
    return 0
