"""What runs have left behind, read so that they can be compared."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, Field, ValidationError

from config.schema import METHODS, Config, Masks
from custom_nn.models import Trained
from fastmri.masks import MaskSettings
from trainer import checkpoint
from trainer.evaluation.figures import method_title
from trainer.evaluation.validate import load_run
from trainer.lines import read_history

REFERENCES = (*METHODS, "donor")  # methods that are no run's own
Row = dict[str, Any]  # of metrics.json, over all acquisitions
Rows = dict[str, dict[int, Row]]  # by a method, or its title, and by acceleration
SAME_ZERO_FILLED = 0.01  # dB between machines; other data or masks differ by more


class _Mean(BaseModel):
    mean: float


class _Row(BaseModel):
    method: str
    acceleration: int
    acquisition: str
    volumes: int
    psnr: _Mean
    ssim: _Mean
    nmse: _Mean


class _Volume(BaseModel):
    method: str
    acceleration: int
    fname: str
    psnr: float
    ssim: float


class _Summary(BaseModel):
    """What a metrics.json must have to be compared."""

    data: str
    masks: Masks
    rows: list[_Row] = Field(min_length=1)
    volumes: list[_Volume] = Field(min_length=1)


class Record(NamedTuple):
    """One run."""

    label: str  # the folder's name, with its parents' where names are the same
    folder: Path
    step: int  # of the checkpoint
    world: int  # processes that shared a step
    config: Config
    model: Trained  # ready to evaluate
    history: list[dict[str, Any]]  # lines of metrics.jsonl; none if the run has no such file
    summary: dict[str, Any] | None  # validate/metrics.json, if the run was validated

    @property
    def results(self) -> dict[str, Any]:
        """The summary of a run that was validated."""
        assert self.summary is not None, f"{self.label}: not validated"
        return self.summary

    def title(self, method: str) -> str:
        """A method of this run as figures and tables call it."""
        if method in REFERENCES:
            return method_title(method)
        return self.label if method == "model" else f"{self.label}, {method_title(method)}"


def read_records(runs: list[Path], device: torch.device) -> list[Record]:
    """The runs in their order. Raises ValueError if one is named twice or can't be read."""
    folders = [checkpoint.run_directory(checkpoint.find(run)).resolve() for run in runs]
    for run, folder in zip(runs, folders, strict=True):
        if folders.count(folder) > 1:
            raise ValueError(f"{run}: named twice; runs are compared with other runs")
    return [_read(*found, device) for found in zip(runs, folders, _labels(folders), strict=True)]


def _read(run: Path, folder: Path, label: str, device: torch.device) -> Record:
    loaded = load_run(run, [])
    found, config = loaded.trained, loaded.config
    model = checkpoint.load_model(found, config, device)
    history, summary = folder / "metrics.jsonl", folder / "validate" / "metrics.json"
    try:
        record = Record(
            label,
            folder,
            found.progress.step,
            found.progress.world,
            config,
            model,
            read_history(history),
            _read_summary(summary) if summary.exists() else None,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{folder}: metrics.jsonl or validate/metrics.json is not JSON ({error})") from None
    _check_evaluated(summary, record.summary or {}, checkpoint.evaluated(found, config))
    return record


def _read_summary(path: Path) -> dict[str, Any]:
    """A metrics.json. Raises ValueError if it is not what `validate` writes."""
    content = json.loads(path.read_text())
    try:
        _Summary.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "all of it"
        raise ValueError(
            f"{path}: not as `validate` writes it ({place}: {fault['msg']}); `validate` it again"
        ) from None
    return content


def _check_evaluated(path: Path, summary: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raises ValueError if figures are of another step or model; older files don't tell, and are taken."""
    for name, value in expected.items():
        if summary.get(name, value) != value:
            raise ValueError(f"{path}: is of {name} {summary[name]}, the run of {value}; `validate` it again")


def _labels(folders: list[Path]) -> list[str]:
    """The fewest last parts of each path that tell them all apart."""
    for depth in range(1, max(len(folder.parts) for folder in folders) + 1):
        labels = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(labels)) == len(labels):
            break
    return labels


def volume_scores(summary: dict[str, Any]) -> dict[tuple[str, int], dict[str, dict[str, Any]]]:
    """Volumes of a metrics.json as {(method, acceleration): {fname: measures}}."""
    scores: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for volume in summary["volumes"]:
        key = (volume["method"], volume["acceleration"])
        scores.setdefault(key, {})[volume["fname"]] = volume
    return scores


def check_alike(first: Record, other: Record) -> None:
    """Raises ValueError unless both were validated with the same masks, on volumes that are the same.

    Folders may have moved, and one run may have seen fewer volumes: what counts is that some are common, and
    that their zero-filled images score alike.
    """
    where = f"{other.label} was validated on other data or masks than {first.label}"
    settings = [_settings(record.results["masks"]) for record in (first, other)]
    common = [r for r, _ in settings[0].pairs if r in dict(settings[1].pairs)]
    if settings[0].kind != settings[1].kind or not common:
        raise ValueError(f"{where}: {_words(settings[1])}, there {_words(settings[0])}")
    for r in common:
        fractions = [one.center_fraction(r) for one in settings]
        if fractions[0] != fractions[1]:
            raise ValueError(f"{where}: center fraction at x{r} {fractions[1]:g}, there {fractions[0]:g}")
    scores = [volume_scores(record.results) for record in (first, other)]
    for r in common:
        zero = [one.get(("zero_filled", r), {}) for one in scores]
        both = [fname for fname in zero[0] if fname in zero[1]]
        if not both:
            raise ValueError(f"{where}: no volume in common")
        for fname in both:
            values = [one[fname]["psnr"] for one in zero]
            if abs(values[0] - values[1]) > SAME_ZERO_FILLED:
                raise ValueError(
                    f"{where}: zero-filled {fname} at x{r} has {values[1]:.2f} dB, there {values[0]:.2f}"
                )


def _settings(masks: dict[str, Any]) -> MaskSettings:
    return MaskSettings.make(masks["kind"], masks["accelerations"], masks["center_fractions"])


def _words(settings: MaskSettings) -> str:
    return f"{settings.kind} masks at {', '.join(f'x{r}' for r, _ in settings.pairs)}"


def method_rows(record: Record) -> Rows:
    """A run's rows over all acquisitions, by method and acceleration."""
    found: Rows = {}
    for row in record.results["rows"]:
        if row["acquisition"] == "all":
            found.setdefault(row["method"], {})[row["acceleration"]] = row
    return found


def titled_rows(records: list[Record]) -> Rows:
    """Rows over all acquisitions by method's title and acceleration; what runs share is the first one's.

    A title says of how many volumes it is, where those are more or fewer than the first run's.
    """
    volumes, found = records[0].results["rows"][0]["volumes"], Rows()
    for record in records:
        for method, rows in method_rows(record).items():
            for acceleration, row in rows.items():
                title = record.title(method) + f" (of {row['volumes']})" * (row["volumes"] != volumes)
                found.setdefault(title, {}).setdefault(acceleration, row)
    return found
