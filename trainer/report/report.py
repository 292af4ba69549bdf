"""The `report` command: a paper on runs, whose figures all come from their files."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import typst
from loguru import logger
from PIL import Image

from config.load import changed, config_sha256
from fastmri.atomic import replacing, writable_folder
from fastmri.volumes import Volume
from trainer.comparison.compare import Request, compare
from trainer.comparison.paired import ENOUGH, compare_records
from trainer.comparison.records import Record, check_alike, read_records
from trainer.data import find_volumes
from trainer.provenance import environment
from trainer.report.ablations import find_ablations
from trainer.report.findings import measure_table, perceptual_blocks, result_rows
from trainer.report.headline import headline
from trainer.report.origins import data_table, provenance_table, training_table, where
from trainer.report.speed import speed_contents
from trainer.report.verdicts import ablation_rows, difference_table, donor_table, effects, law, trust_table

PAPER = Path(__file__).parent / "paper"  # its words
PAGE = (16.8, 21.0)  # cm: the widest and the tallest figure
QUALITY = {"psnr": ".2f", "ssim": ".3f"}
TEXTURE = {"power_ratio": ".2f", "correlation": "z.2f", "hallucination": ".2f"}
SAMPLES = {"psnr": ".2f", "power_ratio": ".2f", "correlation": "z.2f"}
FRECHET = {"frechet_wavelet": ".2f"}


class Sources(NamedTuple):
    """What the report is made of."""

    runs: list[Path]
    ablations: list[Path]
    benchmarks: list[Path]  # what `benchmark` wrote
    figures: Path | None  # as `compare` drew them; None: they are drawn for this report alone
    command: str  # as it was typed


def report(sources: Sources, out: Path, device: torch.device) -> Path:
    """Write the report as PDF. Raises ValueError if a run was not validated, or figures are of other runs."""
    if out.suffix != ".pdf":
        raise ValueError(f"--out {out}: must end with .pdf")
    writable_folder(out.parent)
    records = read_records(sources.runs, device)
    ablations = read_records(sources.ablations, device) if sources.ablations else []
    for record in [*records, *ablations]:
        if record.summary is None:
            raise ValueError(f"{record.label}: not validated, and so nothing to report; `validate` it first")
        check_alike(records[0], record)
    content = contents(records) | {
        "ablations": ablation_contents(ablations) if ablations else None,
        "speed": speed_contents(sources.benchmarks),
        "provenance": provenance_table([*records, *ablations]),
        **_origin(sources, device),
    }
    with _figures(sources, records, device) as figures:
        return compile_report(content, figures, out)


@contextmanager
def _figures(sources: Sources, records: list[Record], device: torch.device) -> Iterator[Path]:
    """The folder of figures: the given one, if they are of these runs, or one that is drawn and forgotten."""
    if sources.figures is not None:
        _check_figures(sources.figures, records)
        yield sources.figures
        return
    logger.info("drawing figures; --figures takes those of `compare`")
    with TemporaryDirectory() as folder:
        compare(sources.runs, Path(folder), Request(None, None, None, 2), device)
        yield Path(folder)


def _check_figures(folder: Path, records: list[Record]) -> None:
    try:
        drawn = json.loads((folder / "compare.json").read_text())["runs"]
        known = [(run["step"], run["config_sha256"]) for run in drawn]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{folder}: no figures of `compare` ({type(error).__name__})") from None
    if known != [(record.step, config_sha256(record.config)) for record in records]:
        raise ValueError(
            f"{folder}: its figures are of other runs, steps or options; "
            f"`compare` {', '.join(record.label for record in records)} first"
        )


def contents(records: list[Record]) -> dict[str, Any]:
    """All that the words need of the runs; runs and figures follow the order given, the first one leads."""
    first, found = records[0], result_rows(records)
    tables = {"quality": QUALITY, "texture": TEXTURE, "frechet": FRECHET}
    return {
        "accelerations": [f"x{r}" for r in first.results["masks"]["accelerations"]],
        "data": {
            "folder": first.results["data"],
            "masks": first.results["masks"]["kind"],
            "table": data_table(_volumes(first)),
        },
        "first": first.label,
        "headline": headline(records),
        "training": training_table(records),
        "tables": {name: measure_table(found, measures) for name, measures in tables.items()},
        "perceptual": perceptual_blocks(found),
        "missing": first.results.get("missing", {}),
        "differences": difference_table(compare_records(records), first.title("model")),
        "laws": [law(record) for record in records if "posterior" in record.results],
        "donor": donor_table(records),
        "trust": [line for record in records for line in trust_table(record)],
    }


def _volumes(record: Record) -> dict[str, list[Volume]]:
    """What a run was trained on, and what it was validated on."""
    config = changed(record.config, data={"val": Path(record.results["data"])})
    return {"training": find_volumes(config, "train"), "validation": find_volumes(config, "val")}


def ablation_contents(records: list[Record]) -> dict[str, Any]:
    """What the switches of a reference among these runs change."""
    reference, ablations = find_ablations(records)
    rows, model = ablation_rows(reference, ablations), reference.config.model
    assert model.name == "generative"
    return {
        "steps": reference.step,
        "enough": ENOUGH,
        "tokens": model.tokens,
        "high_pass": model.high_pass,
        "table": measure_table(rows, SAMPLES),
        "frechet": measure_table(rows, FRECHET),
        "effects": effects(ablations),
    }


def _origin(sources: Sources, device: torch.device) -> dict[str, str | None]:
    here = environment(device)
    date = datetime.now(UTC).strftime("%d %B %Y")
    return {"command": sources.command, "where": where(here), "date": date, "revision": here["revision"]}


def compile_report(content: dict[str, Any], figures: Path, out: Path) -> Path:
    """The words with their figures, as PDF."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(PAPER, folder, dirs_exist_ok=True)
        pictures = sorted(figures.glob("*.png"))
        for picture in pictures:
            shutil.copy(picture, folder / picture.name)
        content = content | {"figures": {picture.stem: _placed(picture) for picture in pictures}}
        (folder / "report.json").write_text(json.dumps(content))
        with replacing(out) as partial:
            partial.write_bytes(typst.compile(folder / "report.typ", root=folder))
    return out


def _placed(picture: Path) -> dict[str, Any]:
    """A figure's file and width in cm, so that it fits a page."""
    with Image.open(picture) as image:
        width = min(PAGE[0], PAGE[1] * image.width / image.height)
    return {"path": picture.name, "width": width}
