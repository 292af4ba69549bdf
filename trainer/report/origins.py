"""Where the report's figures come from: volumes, trainings, commands."""

from typing import Any

from config.load import config_sha256
from custom_nn.model import parameter_count
from fastmri.volumes import Volume
from trainer.comparison.records import Record
from trainer.provenance import read_commands

MODELS = {
    "adaptive_cs_net": "Adaptive-CS-Net",
    "unet": "U-Net",
    "pix2pix": "pix2pix",
    "generative": "texture in the null space",
    "generative_global": "cascade under one texture vector",
}


def data_table(volumes: dict[str, list[Volume]]) -> list[list[str]]:
    """Lines of part, acquisition, volumes, slices, image size."""
    lines = []
    for part, found in volumes.items():
        for acquisition in sorted({volume.acquisition for volume in found}):
            chosen = [volume for volume in found if volume.acquisition == acquisition]
            sizes = sorted({volume.recon_size for volume in chosen})
            size = " to ".join(f"{h} × {w}" for h, w in dict.fromkeys([sizes[0], sizes[-1]]))
            slices = sum(volume.num_slices for volume in chosen)
            lines.append([part, acquisition, str(len(chosen)), str(slices), size])
    return lines


def training_table(records: list[Record]) -> list[list[str]]:
    """Lines of run, model, parameters, steps, slices a step, minutes."""
    return [
        [
            record.label,
            MODELS[record.config.model.name],
            f"{parameter_count(record.model) / 1e6:.2f}",
            f"{record.step:,}",
            str(_slices_of_step(record)),
            f"{minutes:.0f}" if (minutes := _minutes(record)) else "-",
        ]
        for record in records
    ]


def _slices_of_step(record: Record) -> int:
    """Slices of a step of all processes, as many as there were at last."""
    return record.config.data.batch_size * record.config.train.accumulate * record.world


def _minutes(record: Record) -> float:
    """Minutes of stepping, by the logged rates, without validation and saving."""
    seconds, before = 0.0, 0
    for line in record.history:
        if line["kind"] == "train":
            slices = (line["step"] - before) * _slices_of_step(record)
            seconds += slices / line["slices_per_second"]
            before = line["step"]
    return seconds / 60


def provenance_table(records: list[Record]) -> list[dict[str, Any]]:
    """Per run its commands, hash of options, machines and versions."""
    return [
        {
            "label": record.label,
            "config_sha256": config_sha256(record.config),
            "commands": _commands(record),
        }
        for record in records
    ]


def _commands(record: Record) -> list[dict[str, str]]:
    folders = [record.folder, record.folder / "validate"]
    lines = [line for folder in folders for line in read_commands(folder)]
    last = {line["command"]: line for line in lines}
    return [{"command": line["command"], "where": where(line)} for line in last.values()]


def where(line: dict[str, Any]) -> str:
    """Machine and versions of a recorded command."""
    versions = f"Python {line['python']}, PyTorch {line['torch']}"
    return f"{line['machine']}; {versions}" + (f", revision {line['revision']}" if line["revision"] else "")
