"""Checkpoints: all that a run needs to go on, and all that an evaluation needs to begin."""

import io
import os
import shutil
from pathlib import Path
from pickle import UnpicklingError
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor

from config.load import make_config, plain_config
from config.schema import STOCHASTIC, Config
from custom_nn.gains import BandGains, BandTable
from custom_nn.models import Trained, build_model
from fastmri.atomic import replacing
from trainer.band_tables import is_whole, starting_tables
from trainer.seal import read_sealed, seal
from trainer.seen import Seen

SCHEMA = 9
OLDER = (2, 3, 4, 5, 6, 7, 8)  # textures were drawn otherwise; tables differed, which without one say nothing
STATES = ("model", "ema", "optimizer")
UNTOLD: dict[str, Any] = {"bad_steps": 0, "seen": {}}  # of checkpoints from before they were kept


class Progress(NamedTuple):
    """How far a run is."""

    step: int
    batches: int | None  # of all processes together; None of a checkpoint from before they were counted
    validated: int  # the last step that was validated
    best: float | None  # highest score of a validation so far
    world: int  # processes that share a step
    betas: BandTable  # weights of the standard deviation's rewards
    gains: BandTable  # of the texture's spread in evaluation
    means: BandTable  # of its mean
    bad_steps: Annotated[int, Field(ge=0)]  # that were not finite, of the first process
    seen: Seen  # volumes that it was trained on, and validated on meanwhile


class Checkpoint(NamedTuple):
    """What a checkpoint file holds."""

    config: Config
    progress: Progress
    state: dict[str, Any]  # state dicts by name: STATES, and a discriminator's where there is one


def make_model(config: Config) -> Trained:
    """The config's model, with weights that depend on the seed alone."""
    torch.manual_seed(config.seed)
    options = config.model.model_dump(exclude={"name"})
    model = build_model(config.model.name, options | {"adjacent_slices": config.data.adjacent_slices})
    assert model.stochastic == (config.model.name in STOCHASTIC)
    return model


def save(path: Path, config: Config, progress: Progress, state: dict[str, Any], older: int = 0) -> None:
    """Write a checkpoint, atomically; `older`: of those before it that stay, as `previous1` and so on.

    Raises OSError in one line if it can't be written; then all before it are as they were.
    """
    versions = {"torch": str(torch.__version__), "schema": SCHEMA}
    content = {"config": plain_config(config), "versions": versions, **progress._asdict(), **state}
    packed = io.BytesIO()
    torch.save(content, packed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(seal(packed.getvalue()))
            _set_aside(path, older)
    except OSError as error:
        raise OSError(f"{path}: can't be saved ({error.strerror}); those before it are whole") from None


def previous(path: Path, number: int) -> Path:
    """Where the checkpoint is that was at `path` so many times before; 0 is `path` itself."""
    return path.with_name(f"previous{number}.pt") if number else path


def _set_aside(path: Path, older: int) -> None:
    """Keep what is at `path`, where it also stays until it is replaced."""
    if not (older and path.exists()):
        return
    for number in range(older - 1, 0, -1):
        if previous(path, number).exists():
            os.replace(previous(path, number), previous(path, number + 1))
    with replacing(previous(path, 1)) as partial:
        try:
            os.link(path, partial)
        except OSError:  # some file systems have no links
            shutil.copyfile(path, partial)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; nothing in the file is executed. Raises ValueError in one line."""
    try:
        packed = io.BytesIO(read_sealed(path))
        content = torch.load(packed, map_location="cpu", weights_only=True)
        schema = content["versions"]["schema"]
        known = OLDER if content["config"]["model"]["name"] != "generative" else ()
        state = {name: content[name] for name in STATES}
        state |= {name: value for name, value in content.items() if name.startswith("discriminator")}
        if not all(isinstance(part, dict) for part in (content["config"], *state.values())):
            raise TypeError
    except FileNotFoundError:
        raise ValueError(f"{path}: no such checkpoint") from None
    except ValueError as error:
        raise ValueError(f"{path}: not a checkpoint of this program, or not whole: {error}") from None
    except (RuntimeError, UnpicklingError, EOFError, LookupError, TypeError, OSError) as error:
        raise ValueError(f"{path}: not a checkpoint of this program ({type(error).__name__})") from None
    if schema not in (*known, SCHEMA):
        others = f", of other models {OLDER[0]} to {OLDER[-1]} as well" if schema in OLDER else ""
        raise ValueError(f"{path}: written with schema {schema}, this program reads {SCHEMA}{others}")
    try:
        config = make_config(content["config"])
        content |= {} if schema == SCHEMA else starting_tables(config)._asdict()
        told = UNTOLD | content
        progress = TypeAdapter(Progress).validate_python([told.get(name) for name in Progress._fields])
    except ValidationError as error:
        place = error.errors()[0]["loc"][0]
        wrong = Progress._fields[place] if isinstance(place, int) else place
        raise ValueError(f"{path}: not a checkpoint of this program ({wrong} is of another kind)") from None
    except ValueError as error:
        lines = " ".join(str(error).split())
        raise ValueError(f"{path}: its options don't fit this program: {lines}") from None
    for name in ("betas", "gains", "means"):
        if not is_whole(getattr(progress, name), config.loss.octaves):
            raise ValueError(f"{path}: not a checkpoint of this program (its {name} are not of its bands)")
    return Checkpoint(config, progress, state)


def find(run: Path) -> Path:
    """The checkpoint that a run directory or a path means: best, else last."""
    if run.is_file():
        return run
    for name in ("best", "last"):
        if (path := run / "checkpoints" / f"{name}.pt").is_file():
            return path
    raise ValueError(f"{run}: neither a checkpoint nor a run directory with checkpoints/best.pt or last.pt")


def run_directory(checkpoint: Path) -> Path:
    """The run that a checkpoint file belongs to."""
    folder = checkpoint.parent
    return folder.parent if folder.name == "checkpoints" else folder


def evaluated(found: Checkpoint, config: Config) -> dict[str, Any]:
    """What of a run may differ between its evaluations: its step, and the options weights don't depend on."""
    return {"step": found.progress.step, "amplitude": config.model.model_dump().get("amplitude")}


def load_model(checkpoint: Checkpoint, config: Config, device: torch.device) -> Trained:
    """The averaged weights, ready to evaluate as `config`, the checkpoint's or one like it, has it."""
    check_weights(checkpoint.state["ema"], config)
    model = make_model(config)
    model.load_state_dict(checkpoint.state["ema"])
    set_gains(model, checkpoint.progress.gains, checkpoint.progress.means)
    return model.to(device).eval()


def set_gains(model: Trained, gains: BandTable, means: BandTable) -> None:
    """Set the factors of a generative model's texture bands; where all are 1, none, which costs nothing."""
    if model.name == "generative":
        tuned = (torch.tensor([*gains.values(), *means.values()]) != 1).any()
        model.gains = BandGains(gains, means).to(next(model.parameters()).device) if tuned else None


def check_weights(found: dict[str, Any], config: Config) -> None:
    """Raises ValueError unless the weights are those of the config's model; before that takes memory."""
    with torch.device("meta"):
        expected = make_model(config).state_dict()
    shapes = {name: value.shape for name, value in found.items() if isinstance(value, Tensor)}
    wrong = [
        name
        for name in {**expected, **found}
        if name not in expected or shapes.get(name) != expected[name].shape
    ]
    if wrong:
        raise ValueError(f"the checkpoint's weights are not of the model that its options tell: {wrong[0]}")
