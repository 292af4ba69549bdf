"""Networks compiled by torch.compile, and what happens where that fails."""

from collections.abc import Callable
from typing import Any, TypeVar

from loguru import logger
from torch import nn

from custom_nn.adaptive_cs_net import forbid_replay
from custom_nn.transform import ThresholdedTransform

Result = TypeVar("Result")

COMPILED: dict[str, dict[str, Any]] = {  # keywords of nn.Module.compile by mode
    "default": {"dynamic": False},
    "reduce-overhead": {"dynamic": False, "mode": "reduce-overhead"},
    "dynamic": {"dynamic": True},
}


def compile_network(model: nn.Module, mode: str) -> None:
    """Compile a network at its first call of each size, unless mode is off; its state keeps its names."""
    if mode != "off":
        for part in compiled_parts(model):
            part.compile(**COMPILED[mode])
    if mode == "reduce-overhead":  # it records graphs, which it can't within another recording
        forbid_replay(model)


def compiled_parts(model: nn.Module) -> list[nn.Module]:
    """The transforms of a cascade, also of a generative model's baseline, or else the whole network.

    All blocks share one compilation, where the whole cascade takes as many times as long; and what is between
    them is complex, of which no code is made. They draw no noise.
    """
    transforms = [module for module in model.modules() if isinstance(module, ThresholdedTransform)]
    return list(transforms) or [model]


def or_eager(model: nn.Module, mode: str, step: Callable[[], Result]) -> Result:
    """What a step gives; where compiling its network fails, told in a line, without that from then on.

    Compiling is done by forward and backward passes, so the step is called again: it must change nothing
    before both are through.
    """
    if mode == "off":
        return step()
    from torch._dynamo.exc import TorchDynamoException  # here, because its import takes seconds

    try:
        return step()
    except TorchDynamoException as error:  # of all that tracing and backends raise
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        logger.warning("train.compile={} fails, so not compiled: {}", mode, reason)
        for part in compiled_parts(model):
            part._compiled_call_impl = None  # what nn.Module.compile sets, for which torch has no undoing
    return step()
