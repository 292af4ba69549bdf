"""From YAML and a.b=value to a Config, with errors that a user can act on."""

import difflib
import hashlib
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from config.schema import FAMILY, Config

LARGEST = 2**20  # bytes of a config
DEEPEST = 20  # levels of options in options
# what is raised of bytes that are no text, of a 13th month, and of a type that a value is not of
NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)


class Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-4 is a number, as people write it, and nothing is many times what is written."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name), of which a few can stand for gigabytes; write the value")
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.YAMLError(f"more than {DEEPEST} levels deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("+-0123456789")
)


UNSEEN = {  # they change no figure
    "data": ["num_workers", "cache", "cache_dir", "scan_cache"],
    "train": ["compile", "cuda_graphs", "checkpoint_blocks", "keep", "max_bad_steps", "deterministic"],
    "validate": ["batch_size", "page_volumes", "page_slices"],
}
LATER: dict[str, dict[str, Any]] = {  # options added later: at these values the hash leaves them out
    "data": {"cache_dtype": "complex64"},  # the same bits as without a cache
    "loss": {"tune_every": 100, "tune_slices": 32, "gain_rate": 0.7, "energy_score": 0.0, "baseline": 1.0},
    "train": {"accumulate": 1, "bf16_gradients": False},
}


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """The options of a YAML file, then those of `a.b=value`. Raises ValueError that lists every fault."""
    try:
        content = yaml.load(_read(path), Loader)
    except OSError as error:
        raise ValueError(f"{path}: can't be read ({error.strerror})") from None
    except NOT_YAML as error:
        raise ValueError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if content is not None and not isinstance(content, dict):
        raise ValueError(f"{path}: must hold options as 'name: value', holds a {type(content).__name__}")
    return make_config(content or {}, overrides)


def _read(path: Path) -> str:
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise yaml.YAMLError(f"longer than {LARGEST} bytes")
    return content.decode()


def make_config(content: dict, overrides: Sequence[str] = ()) -> Config:
    """A Config from plain values and `a.b=value` overrides."""
    # a model's name first: it drops the options of another model, but none that are given with it
    for override in sorted(overrides, key=lambda override: not override.startswith("model.name=")):
        content = _override(content, override)
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise ValueError("\n".join(_explain(fault) for fault in error.errors())) from None


def changed(config: Config, **values: Any) -> Config:
    """The config with other groups, or, where a dictionary is given, some options of a group set anew."""
    groups = {
        name: getattr(config, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in values.items()
    }
    return config.model_copy(update=groups)


def plain_config(config: Config) -> dict:
    """The resolved options as values of JSON and YAML, as stored in runs and checkpoints."""
    return config.model_dump(mode="json", by_alias=True)


def dump_config(config: Config) -> str:
    """The resolved options as YAML."""
    return yaml.safe_dump(plain_config(config), sort_keys=False)


def config_sha256(config: Config) -> str:
    """Identifies the resolved options, but for those that change no figure."""
    content = plain_config(config)
    for group, names in UNSEEN.items():
        for name in names:
            del content[group][name]
    del content["device"]
    if content["model"]["name"] == "generative_global":  # it was written, and did as little
        content["model"]["cascade"]["normalize"] = True
    for group, values in LATER.items():
        for name, value in values.items():
            if content[group][name] == value:
                del content[group][name]
    return hashlib.sha256(yaml.safe_dump(content, sort_keys=False).encode()).hexdigest()


def named(overrides: Sequence[str]) -> list[str]:
    """The options that `a.b=value` set."""
    return [override.partition("=")[0] for override in overrides]


def _override(content: dict, override: str) -> dict:
    name, equals, value = override.partition("=")
    if not equals or not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"'{override}': an option is set by a.b=value, such as train.steps=100")
    try:
        value = yaml.load(value, Loader)
    except NOT_YAML:
        raise ValueError(f"{name}: '{value}' is not a YAML value") from None
    *groups, last = name.split(".")
    return _with(content, groups, last, value)


def _with(content: dict, groups: list[str], last: str, value: Any) -> dict:
    """`content` with one value set, as a copy; another model's name drops the options of the old one."""
    if not groups:
        if last == "name" and content.get("name", FAMILY) != value:
            content = {}
        return content | {last: value}
    inner = content.get(groups[0])
    inner = inner if isinstance(inner, dict) else {}
    return content | {groups[0]: _with(inner, groups[1:], last, value)}


def _explain(fault: Mapping[str, Any]) -> str:
    """One line for one fault: where, what is allowed, what was given."""
    place = [str(part) for part in fault["loc"]]
    if len(place) > 1 and place[0] == "model":  # pydantic inserts the tag of the union
        place = [place[0], *place[2:]]
    name = _short("".join(c if c.isprintable() else "?" for c in ".".join(place)))
    if fault["type"] == "extra_forbidden":
        return f"{name}: unknown option{_suggest(place, fault['loc'])}"
    if fault["type"] == "union_tag_invalid":
        given, expected = fault["ctx"]["tag"], fault["ctx"]["expected_tags"]
        return f"{name}.name: must be {expected.replace(', ', ' or ')}, got '{given}'"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    given = "" if fault["type"] == "value_error" else f", got {_short(repr(fault['input']))}"
    return f"{name}: {message}{given}" if name else f"{message}{given}"


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}..."


def _suggest(place: list[str], loc: tuple) -> str:
    allowed = _option_names(Config, [str(part) for part in loc[:-1]])
    close = difflib.get_close_matches(place[-1], allowed, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(allowed)}"


def _option_names(group: type[BaseModel], path: list[str]) -> list[str]:
    """The option names of a group of the schema, followed by name or by a union's tag."""
    fields = {info.alias or name: info for name, info in group.model_fields.items()}
    if not path:
        return list(fields)
    candidates = _groups(fields[path[0]].annotation)
    if len(candidates) > 1:  # a model: the next part of the path is its name
        candidates = [c for c in candidates if c.model_fields["name"].default == path[1]]
        return _option_names(candidates[0], path[2:])
    return _option_names(candidates[0], path[1:])


def _groups(annotation: Any) -> list[type[BaseModel]]:
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        return [group for part in get_args(annotation) for group in _groups(part)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
