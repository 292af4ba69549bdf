"""Functions of tensors without gradients, replayed as CUDA graphs: one launch in place of a thousand."""

import copy
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch
from loguru import logger
from torch import Tensor

MEETINGS = 2  # calls of a shape before it is worth a graph
MOST_GRAPHS = 24  # each keeps the memory of its intermediate results


class _Recording(NamedTuple):
    graph: "torch.cuda.CUDAGraph"
    inputs: list[Tensor]  # where the graph reads, and where it writes
    output: Tensor


class Replay:
    """`function`, of CUDA tensors, as it is; from the third call of the same shapes on, by its CUDA graph.

    Only without gradients, and only for a function whose kernels its inputs' shapes determine; the weights it
    uses may change in place. Elsewhere, and if a recording fails, which is told once, the function is called.
    """

    def __init__(self, function: Callable[..., Tensor]):
        self.function = function
        self.recordings: dict[tuple, _Recording] = {}
        self.met: Counter[tuple] = Counter()
        self.works = True

    def __deepcopy__(self, memo: dict) -> "Replay":
        return Replay(copy.deepcopy(self.function, memo))

    def __call__(self, *inputs: Tensor) -> Tensor:
        if not (self.works and inputs[0].is_cuda) or torch.is_grad_enabled():
            return self.function(*inputs)
        key = (torch.is_autocast_enabled("cuda"), *((x.shape, x.dtype) for x in inputs))
        if key not in self.recordings:
            self.met[key] += 1
            if self.met[key] <= MEETINGS or len(self.recordings) >= MOST_GRAPHS:
                return self.function(*inputs)
            try:
                self.recordings[key] = _record(self.function, inputs)
            except RuntimeError as error:
                self.works = False
                _end_of_capture()
                logger.warning("no CUDA graphs, so slower: {}", str(error).splitlines()[0])
                return self.function(*inputs)
        recording = self.recordings[key]
        for static, x in zip(recording.inputs, inputs, strict=True):
            static.copy_(x)
        recording.graph.replay()
        return recording.output.clone()


def _end_of_capture() -> None:
    """Let the device's noise be drawn again: a recording that broke off leaves it as if that went on."""
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    generator.graphsafe_set_state(generator.clone_state())


def _record(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> _Recording:
    static = [x.clone() for x in inputs]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    enabled, kind = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    with torch.autocast(
        "cuda", kind, enabled, cache_enabled=False
    ):  # a cast weight would grow old in a cache
        with torch.cuda.stream(stream):
            function(*static)  # libraries set themselves up for the stream
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # the loader's thread that pins memory may go on calling CUDA meanwhile
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            output = function(*static)
    return _Recording(graph, static, output)
