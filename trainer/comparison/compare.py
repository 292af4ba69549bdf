"""The `compare` command: trained runs beside each other, in figures and in paired statistics."""

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from loguru import logger

from config.load import changed, config_sha256
from fastmri.atomic import replacing, writable_folder
from fastmri.volumes import Volume
from trainer.comparison.architecture import draw_architectures
from trainer.comparison.calibration_curves import draw_reliability, read_reliability
from trainer.comparison.curves import draw_losses_and_metrics
from trainer.comparison.gallery import choose_slice, reconstruct_slice
from trainer.comparison.gallery_figure import draw_gallery
from trainer.comparison.paired import Difference, compare_records, format_differences, plain
from trainer.comparison.records import Record, check_alike, read_records, titled_rows
from trainer.comparison.spectra import draw_spectra, read_spectra
from trainer.comparison.spread_curves import draw_tuning, read_tuning
from trainer.comparison.tradeoff import draw_tradeoff, measure, spread_out
from trainer.data import data_folder, find_volumes
from trainer.evaluation.tables import format_rows

SCHEMA = 1


class Request(NamedTuple):
    """Which data the pictures are made of."""

    data: Path | None  # validation volumes; None: those of the first run
    fname: str | None
    slice_num: int | None
    volumes: int  # for distortion and perception


def compare(runs: list[Path], out: Path, request: Request, device: torch.device) -> list[Path]:
    """Write every figure and table that the runs hold enough for; gives their paths.

    Wrong requests, and runs that were validated on other data, are told before anything is written.
    """
    records = read_records(runs, device)
    validated = [record for record in records if record.summary is not None]
    for other in validated[1:]:
        check_alike(validated[0], other)
    volumes = _volumes(records[0], request.data)
    volume, slice_num = choose_slice(volumes, request.fname, request.slice_num)
    writable_folder(out)
    written = draw_numbers(records, out)
    written += draw_architectures(records, out)
    gallery = reconstruct_slice(records, volume, slice_num, device)
    written.append(draw_gallery(out / "reconstruction.png", gallery))
    chosen = spread_out(volumes, request.volumes)
    points = measure(records, chosen, device)
    written.append(draw_tradeoff(out / "distortion_perception.png", points, len(chosen)))
    return written + compare_validated(records, validated, out)


def _volumes(first: Record, data: Path | None) -> list[Volume]:
    """The volumes that pictures are made of, with the first run's masks."""
    config = first.config
    if data is not None:
        config = changed(config, data={"val": data})
    logger.info("pictures are of {}", data_folder(config, "val"))
    return find_volumes(config, "val")


def draw_numbers(records: list[Record], out: Path) -> list[Path]:
    """Curves of training, of how samples spread, spectra and calibration, as far as runs hold them."""
    written = []
    for record in records:
        if not record.history:
            logger.warning("{}: no metrics.jsonl, so no curves of its training", record.label)
    if any(record.history for record in records):
        written.append(draw_losses_and_metrics(out / "loss_metric.png", records))
    if tuning := read_tuning(records):
        written.append(draw_tuning(out / "spread.png", tuning))
    if spectra := read_spectra(records):
        written.append(draw_spectra(out / "spectra.png", spectra))
    else:
        logger.warning("spectra.png is left out: no run's validate/metrics.json has spectra; validate again")
    told = read_reliability(records)
    for record in records:
        if record.model.stochastic and record.label not in {each.title for each in told}:
            logger.warning("{}: not in calibration.png; `validate` it again, with samples", record.label)
    return written + ([draw_reliability(out / "calibration.png", told)] if told else [])


def compare_validated(records: list[Record], validated: list[Record], out: Path) -> list[Path]:
    """Print what validation found and the paired differences; write compare.json and compare.csv."""
    for record in records:
        if record.summary is None:
            logger.warning("{}: not validated, so not in the tables; `validate` it first", record.label)
    differences = compare_records(validated) if validated else []
    if validated:
        print(format_rows(common_rows(validated)), end="\n\n")
        print(format_differences(differences), end="\n\n")
    return write_comparison(records, differences, out)


def common_rows(records: list[Record]) -> list[dict[str, Any]]:
    """Rows over all acquisitions of every run's metrics.json, by acceleration, the zero-filled one once."""
    titled = titled_rows(records).items()
    rows = [row | {"method": title} for title, found in titled for row in found.values()]
    return sorted(rows, key=lambda row: row["acceleration"])


def write_comparison(records: list[Record], differences: list[Difference], out: Path) -> list[Path]:
    """compare.json, volumes one by one, and compare.csv, without them."""
    rows = [plain(difference) for difference in differences]
    runs = [
        {
            "label": record.label,
            "model": record.config.model.name,
            "step": record.step,
            "config_sha256": config_sha256(record.config),
            "validated": record.summary and record.summary["data"],
            "rows": record.results["rows"] if record.summary else [],
        }
        for record in records
    ]
    content = {"schema": SCHEMA, "runs": runs, "differences": rows}
    with replacing(out / "compare.json") as partial:
        partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    with replacing(out / "compare.csv") as partial, open(partial, "w", newline="") as file:
        names = [*Difference._fields[:4], "volumes", "mean", "low", "high", "p"]
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return [out / "compare.json", out / "compare.csv"]
