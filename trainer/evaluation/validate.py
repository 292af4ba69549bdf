"""The `validate` command: a checkpoint, or a method without training, on a validation set."""

from pathlib import Path
from typing import Any, NamedTuple

from loguru import logger

from config.load import make_config, named, plain_config
from config.schema import METHODS, STOCHASTIC, Config
from fastmri.atomic import writable_folder
from trainer import checkpoint
from trainer.cache import cached
from trainer.data import data_folder, find_volumes
from trainer.distributed import Process
from trainer.evaluation.calibration import Calibrations, calibration_terms, read_calibration
from trainer.evaluation.conditions import refuse_others
from trainer.evaluation.donor import choose_donors
from trainer.evaluation.evaluate import Evaluation, evaluate
from trainer.evaluation.figures import draw_panels
from trainer.evaluation.known import tuned_by
from trainer.evaluation.methods import build_methods, choose_weights, describe
from trainer.evaluation.page import select_views, write_page
from trainer.evaluation.perceptual import Perceptual
from trainer.evaluation.summary import summarize, trust_rows, write_summary
from trainer.evaluation.tables import format_perceptual, format_posterior, format_rows, format_trust


class Run(NamedTuple):
    """What to evaluate, with the options to evaluate it by."""

    path: Path  # of a checkpoint, or the name of a method
    found: checkpoint.Checkpoint | None  # None: a method without training
    config: Config

    @property
    def name(self) -> str:
        """The model or method, as titles have it."""
        return self.config.model.name if self.found else str(self.path)

    @property
    def trained(self) -> checkpoint.Checkpoint:
        """The checkpoint of a run that has one."""
        assert self.found is not None
        return self.found

    @property
    def step(self) -> str:
        """How long it was trained, to follow its name."""
        return f", step {self.found.progress.step}" if self.found else ""

    @property
    def stochastic(self) -> bool:
        """Whether it has more than one sample."""
        return self.found is not None and self.config.model.name in STOCHASTIC

    @property
    def default_out(self) -> Path:
        """Where `validate` writes unless told: what is not the run's best, as it was trained, goes apart."""
        if self.found is None:
            return Path("runs", self.name, "validate")
        folder, apart = checkpoint.run_directory(self.path), ["validate"]
        if self.path.parent.name == "checkpoints" and self.path != checkpoint.find(folder):
            apart.append(self.path.stem)
        knobs = _knobs(plain_config(self.config)["model"])
        trained = _knobs(plain_config(self.found.config)["model"])
        apart += [f"{name}{value:g}" for name, value in knobs.items() if value != trained[name]]
        return folder / "_".join(apart)


def load_run(run: Path, overrides: list[str]) -> Run:
    """A run's checkpoint, its config changed by overrides; the model that its weights fit can't change.

    A name that is no path means a method without training, under the default options and the overrides.
    Another data.path means its own parts, whatever folders the checkpoint has for them.
    """
    _refuse_idle(overrides)
    if not run.exists():
        return _load_method(str(run), overrides)
    path = checkpoint.find(run)
    found = checkpoint.load(path)
    content = _without_places(plain_config(found.config))
    if "data.path" in named(overrides):
        content["data"] |= {"train": None, "val": None}
    config = make_config(content, overrides)
    fixed = plain_config(found.config)["model"], found.config.data.adjacent_slices
    if (plain_config(config)["model"] | _knobs(fixed[0]), config.data.adjacent_slices) != fixed:
        raise ValueError(
            "options of model, but for a generative run's model.amplitude, and data.adjacent_slices "
            "are fixed by the checkpoint; train another run"
        )
    return Run(path, found, config)


def _refuse_idle(overrides: list[str]) -> None:
    """Raises ValueError at options that nothing depends on any more."""
    for name in named(overrides):
        if name.startswith(("train.", "loss.", "adversarial.")):
            raise ValueError(f"{name}: an option of training, which changes nothing here")


def trained_config(found: checkpoint.Checkpoint) -> Config:
    """What a run was trained by, which may be anyone's, without its places to write to."""
    return make_config(_without_places(plain_config(found.config)))


def _without_places(content: dict) -> dict:
    """Options of a checkpoint, which may be anyone's, but for where to write: the defaults tell that."""
    data = dict(content["data"])
    del data["cache_dir"]
    if data["scan_cache"] is not None:  # no file at all is harmless
        del data["scan_cache"]
    return content | {"data": data}


def _load_method(name: str, overrides: list[str]) -> Run:
    if name not in METHODS:
        raise ValueError(f"{name}: neither a run or checkpoint, nor a method; those are {', '.join(METHODS)}")
    config = make_config({}, overrides)
    # last, where a model would be: its error is drawn
    methods = ",".join([*(other for other in config.validation.methods if other != name), name])
    return Run(Path(name), None, make_config(plain_config(config), [f"validate.methods=[{methods}]"]))


def _knobs(model: dict) -> dict:
    """Options of a model that its weights don't depend on."""
    return {"amplitude": model["amplitude"]} if "amplitude" in model else {}


def validate(run: Run, out: Path | None, process: Process, html: Path | None = None) -> dict[str, Any]:
    """Score a run's model and methods; writes metrics.json, metrics.csv and pictures; gives the first.

    With `html`, a folder, also a page to look through the pictures. Without `out` results under other options
    are replaced by those under the run's own alone, else it raises ValueError.
    """
    config, trained = run.config, trained_config(run.found) if run.found else None
    if out is None and config != trained:
        refuse_others(run.default_out, config)
    volumes = find_volumes(config, "val")
    for folder in [*([html] if html else []), out or run.default_out]:
        writable_folder(folder, make=False)  # what is wrong is told before the work, and nothing left behind
    if "donor" in config.validation.methods:
        choose_donors(volumes)  # likewise
    model = checkpoint.load_model(run.found, config, process.device) if run.found else None
    weights = choose_weights(config, process)
    folder = data_folder(config, "val")
    known = tuned_by(volumes, trained) if trained else []
    logger.info("{}{}: {} volumes of {} on {}", run.path, run.step, len(volumes), folder, process.device)
    if known:
        logger.info(
            "by {} of them betas and gains were tuned: on others samples may differ by less", len(known)
        )
    methods = build_methods(weights, config.masks.accelerations, config)
    options = config.validation
    perceptual = Perceptual(options.learned, process.device) if options.perceptual else None
    page = select_views(volumes, options) if html else None
    with cached(volumes, config, process) as kept:
        evaluation = evaluate(model, kept, config, process, methods, perceptual, page)
    logger.info("{:.4f} s per slice{}", evaluation.seconds_per_slice, " and sample" * (config.draws > 1))
    summary = summarize(evaluation, config) | describe(weights, config)
    summary |= checkpoint.evaluated(run.found, config) if run.found else {}
    if known:
        summary["tuned_by"] = known
    if calibrations := run_calibration(run, config.draws):
        summary["trust"] = trust_rows(evaluation.trusts, calibrations)
    if perceptual:
        summary["missing"] = perceptual.missing
    if process.main:
        written = write_results(summary, evaluation, run, out or run.default_out)
        if html:
            written.append(write_page(html, evaluation.views, run.name + run.step, len(volumes)))
        print(*written, sep="\n")
    return summary


def run_calibration(run: Run, samples: int) -> Calibrations | None:
    """What `calibrate` learnt of this checkpoint at so many samples, if it did."""
    if not run.stochastic or samples < 2:
        return None
    terms = calibration_terms(run.trained, run.config, samples)
    return read_calibration(checkpoint.run_directory(run.path), terms)


def write_results(summary: dict[str, Any], evaluation: Evaluation, run: Run, out: Path) -> list[Path]:
    """Print the tables; write them, and draw a picture per acceleration; gives where everything is."""
    write_summary(summary, out)
    print(format_rows(summary["rows"]), end="\n\n")
    if "missing" in summary:
        print(format_perceptual(summary["rows"], summary["missing"]), end="\n\n")
    if evaluation.spreads:
        print(format_posterior(summary["posterior"]), end="\n\n")
    if summary.get("trust"):
        print(format_trust(summary["trust"]), end="\n\n")
    pictures = []
    for acceleration in run.config.masks.accelerations:
        pictures.append(out / f"x{acceleration}.png")
        draw_panels(pictures[-1], evaluation.panels(acceleration), f"{run.name}, x{acceleration}")
    return [out / "metrics.json", out / "metrics.csv", *pictures]
