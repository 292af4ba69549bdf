"""What a fresh model starts from: a baseline's run, and weights of others."""

from pathlib import Path

from loguru import logger
from torch import Tensor

from config.load import make_config, plain_config
from config.schema import Config
from custom_nn.encoder import pretrained_mobilenet
from custom_nn.models import Trained
from trainer import checkpoint


def resolve_baseline(config: Config, own: checkpoint.Checkpoint | None) -> Config:
    """The config with the options that its baseline has in the run it starts from.

    `own` is the run's own checkpoint: once there is one, the baseline's run is needed no more. Raises
    ValueError if the run is not one of a baseline, or its own not one of the config's model.
    """
    if config.model.name != "generative" or config.model.baseline is None:
        return config
    content = plain_config(config)
    if own is not None:
        found = own.config
        if found.model.name != "generative":
            raise ValueError(
                f"--out: holds a run of {found.model.name}, not of generative; train to another --out"
            )
        stored = plain_config(found)["model"]
        cascade = stored.get("cascade")
        if stored["baseline"] and Path(stored["baseline"]).resolve() == config.model.baseline.resolve():
            content["model"]["baseline"] = stored["baseline"]  # one place, by whatever name
    else:
        found = _baseline(config.model.baseline).config
        cascade = {name: value for name, value in plain_config(found)["model"].items() if name != "name"}
    slices = found.data.adjacent_slices
    if config.data.adjacent_slices != slices:
        logger.info("data.adjacent_slices is {}, as its baseline has it", slices)
    content["model"] |= {"cascade": cascade}
    content["data"] |= {"adjacent_slices": slices}
    return make_config(content)


def load_pretrained(model: Trained, config: Config) -> None:
    """Load what a fresh model is to start from. Raises ValueError in one line if it can't be had."""
    options, features = config.model, starting_features(config)
    if options.name == "generative" and model.name == "generative":
        if options.baseline is not None:
            model.baseline.load_state_dict(_baseline(options.baseline).state["ema"])
        if features is not None and model.proxy.pretrained is not None:
            model.proxy.pretrained.features.load_state_dict(features)
    if features is not None and model.name == "generative_global":
        model.encoder.features.load_state_dict(features)
        model.proxy.features.load_state_dict(features)


def starting_features(config: Config) -> dict[str, Tensor] | None:
    """The weights that the encoder or proxy starts from; None where it starts anew, or there is none.

    Raises ValueError in one line if they can't be had.
    """
    options = config.model
    if options.name == "generative" and options.proxy_weights != "none":
        return pretrained_mobilenet(options.proxy_weights, "model.proxy_weights")
    if options.name == "generative_global" and options.encoder_weights != "none":
        return pretrained_mobilenet(options.encoder_weights, "model.encoder_weights")
    return None


def _baseline(run: Path) -> checkpoint.Checkpoint:
    try:
        found = checkpoint.load(checkpoint.find(run))
    except ValueError as error:
        raise ValueError(f"model.baseline: {error}") from None
    if found.config.model.name != "adaptive_cs_net":
        raise ValueError(f"model.baseline: {run} is a run of {found.config.model.name}")
    return found
