"""Methods without training, by name and acceleration, and the weights of their regularisers."""

from collections.abc import Iterable
from math import log

from loguru import logger

from config.schema import Config
from custom_nn.models import Untrained, build_untrained
from trainer.distributed import Process
from trainer.evaluation.tuning import ENDS, Weights, tune_weights

Methods = dict[str, dict[int, Untrained]]  # by name and acceleration

# What a file is reconstructed by where neither weights nor training data are named: a single file should need
# no data set, and every slice is divided by its measured scale, so that weights carry over roughly. Tuned on
# the training images of the README's results at 128 pixels; at x32, where none gained 0.1 dB, those of x16.
FALLBACK = {
    "tv": {4: 0.005, 8: 0.01, 16: 0.01, 32: 0.01},
    "wavelet": {4: 0.002, 8: 0.005, 16: 0.01, 32: 0.01},
}


def choose_weights(config: Config, process: Process) -> Weights:
    """The weights of `validate.methods` at the config's accelerations: those of the config, else tuned.

    Raises ValueError if the config lacks an acceleration, or if there is nothing to tune on.
    """
    accelerations = config.masks.accelerations
    given, missing = _given(config)
    for name, weights in given.items():
        if lacking := [f"x{r}" for r in accelerations if r not in weights]:
            raise ValueError(
                f"classical.{name}_weights: none for {', '.join(lacking)}, only for "
                f"{', '.join(f'x{r}' for r in weights)}; or null, to tune all"
            )
    chosen = {name: {r: weights[r] for r in accelerations} for name, weights in given.items()}
    return chosen | (tune_weights(missing, accelerations, config, process) if missing else {})


def weights_of_files(accelerations: Iterable[int], config: Config, process: Process) -> Weights:
    """Weights of the config's methods for files to reconstruct, of any acceleration: the nearest serves.

    Without weights they are tuned if the config names training data; else `FALLBACK` serves.
    """
    given, missing = _given(config)
    tuned = {}
    if missing and (config.data.path or config.data.train):
        tuned = tune_weights(missing, accelerations, config, process)
    elif missing:
        logger.info("default weights; to tune them on training data, set data.path")
        given |= {name: FALLBACK[name] for name in missing}
    return tuned | {name: {r: _nearest(weights, r) for r in accelerations} for name, weights in given.items()}


def _given(config: Config) -> tuple[Weights, list[str]]:
    """The config's weights of its methods, and the methods that need some and have none."""
    options = {"tv": config.classical.tv_weights, "wavelet": config.classical.wavelet_weights}
    asked: list[str] = [name for name in config.validation.methods if name in options]
    given = {name: weights for name in asked if (weights := options[name])}
    return given, [name for name in asked if name not in given]


def _nearest(weights: dict[int, float], acceleration: int) -> float:
    return weights[min(weights, key=lambda r: abs(log(r / acceleration)))]


def build_methods(weights: Weights, accelerations: Iterable[int], config: Config) -> Methods:
    """The methods of `validate.methods`; the zero-filled image and the donor are none to build."""
    return {
        name: {r: build_method(name, weights, r, config) for r in accelerations}
        for name in config.validation.methods
        if name not in ("zero_filled", "donor")
    }


def build_method(name: str, weights: Weights, acceleration: int, config: Config) -> Untrained:
    """A method as it is at an acceleration."""
    if name not in weights:
        return build_untrained(name, {})
    options = {"weight": weights[name][acceleration], "iterations": config.classical.iterations}
    return build_untrained(name, options)


def describe(weights: Weights, config: Config) -> dict:
    """What metrics.json tells of the weights that were used, under `classical`, by their options' names.

    Under `at_end`, by method, the accelerations whose tuned weight is at an end of what was tried.
    """
    named = {f"{name}_weights": {str(r): w for r, w in found.items()} for name, found in weights.items()}
    _, tuned = _given(config)
    at_end = {name: ends for name in tuned if (ends := [r for r, w in weights[name].items() if w in ENDS])}
    told = {"iterations": config.classical.iterations, **named} | ({"at_end": at_end} if at_end else {})
    return {"classical": told} if weights else {}
