"""A paper on validated runs, as PDF."""

import argparse
from pathlib import Path

from trainer.commands.arguments import add_device, add_runs
from trainer.commands.console import console

EXAMPLES = [
    "report runs/baseline runs/generative --out report.pdf",
    "report runs/baseline runs/generative --figures img --out report.pdf",
    "report runs/baseline runs/generative --ablations runs/ablation/* --out report.pdf",
    "report runs/baseline --benchmark runs/benchmark/*.json --out report.pdf",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs(parser, "validated run directories, the one that leads first")
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="the PDF")
    parser.add_argument(
        "--ablations",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="validated runs of which each differs from one of them in a switch of the generative model",
    )
    parser.add_argument(
        "--benchmark",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="what `benchmark` wrote, for a section on speed and scale",
    )
    parser.add_argument("--figures", type=Path, metavar="DIR", help="what `compare` of these runs drew")
    add_device(parser)


def run(
    runs: list[Path],
    out: Path,
    ablations: list[Path],
    benchmark: list[Path],
    figures: Path | None,
    device: str,
) -> int:
    from trainer.distributed import choose_device
    from trainer.provenance import typed
    from trainer.report.report import Sources, report

    console()
    named = ["--ablations", *ablations] if ablations else []
    named += ["--benchmark", *benchmark] if benchmark else []
    named += ["--figures", figures] if figures else []
    named += ["--device", device] if device != "auto" else []
    command = typed(["report", *runs, *named, "--out", out])
    print(report(Sources(runs, ablations, benchmark, figures, command), out, choose_device(device)))
    return 0
