"""Turn DICOM, NIfTI or npy images into emulated single-coil volumes."""

import argparse
from pathlib import Path
from typing import Any

from trainer.commands.arguments import add_split, size_or_side
from trainer.commands.console import console

EXAMPLES = [
    "import scans/ data/mine --snr 30",
    "import brain.nii.gz data/mine --split val --matrix 128",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SRC", help="file or folder: DICOM, .nii, .nii.gz, .npy")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--snr", type=float, default=30.0, help="mean foreground over the noise's std (30)")
    parser.add_argument("--matrix", type=size_or_side, help="longer side N, or HxW, by cropping k-space")
    parser.add_argument("--slice-axis", type=int, choices=[0, 1, 2], help="default: the shortest axis")
    parser.add_argument("--acquisition", help="label of the volumes, instead of one from their headers")
    add_split(parser)


def run(source: Path, out: Path, **options: Any) -> int:
    from fastmri.importing import import_images

    console()
    report = import_images(source, out, **options)
    if not report.written:
        raise ValueError(
            f"{source}: holds nothing that can be imported, {len(report.skipped)} inputs left out"
        )
    print(f"{len(report.written)} volumes in {out}, {len(report.skipped)} inputs left out")
    return 0
