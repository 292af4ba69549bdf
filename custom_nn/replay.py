"""Functions of tensors replayed as CUDA graphs: one launch in place of thousands."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from loguru import logger
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

MEETINGS = 2  # calls of a shape before it is worth a graph
MOST_GRAPHS = 24
NO_POOL = (0, 0)  # a segment's that no graph has for itself


class _Recording(NamedTuple):
    graph: "torch.cuda.CUDAGraph"
    inputs: list[Tensor]  # where the graph reads, and where it writes
    outputs: list[Tensor | None]
    structure: TreeSpec  # of what the function gives


class Replay:
    """`function`, of CUDA tensors, as it is; from the third call of the same shapes on, by its CUDA graph.

    Only where gradients are off (they may be on within), and only for a function whose kernels its inputs'
    shapes determine: it waits for nothing, gives tensors or None, nested as one likes, and draws noise from
    torch's own generator, if at all. Weights it uses may change in place. Elsewhere it is called, as it is if
    a recording fails, or would need memory that is not free; either is told once.
    """

    def __init__(self, function: Callable[..., Any], works: bool = True):
        self.function = function
        self.recordings: dict[tuple, _Recording] = {}
        self.met: Counter[tuple] = Counter()
        self.works = works  # and more may be recorded

    def __deepcopy__(self, memo: dict) -> "Replay":
        return Replay(copy.deepcopy(self.function, memo), self.works)

    def __call__(self, *inputs: Tensor) -> Any:
        apart = not inputs[0].is_cuda or torch.is_grad_enabled()
        if apart or torch.cuda.is_current_stream_capturing():  # as a part of another recording
            return self.function(*inputs)
        key = (_surroundings(), *((x.shape, x.dtype) for x in inputs))
        if key not in self.recordings:
            self.met[key] += 1
            if not self.works or len(self.recordings) >= MOST_GRAPHS:
                return self.function(*inputs)
            if self.met[key] <= MEETINGS:
                with self._aside():
                    return self.function(*inputs)
            now = torch.cuda.current_stream()
            try:
                self.recordings[key] = self._record(inputs)
            except RuntimeError as error:
                self.works = False
                _end_of_capture(now)
                logger.warning("no CUDA graphs, so slower: {}", str(error).splitlines()[0])
                return self.function(*inputs)
        return _play(self.recordings[key], inputs)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Call on the stream of later recordings: libraries and compilers set themselves up for that."""
        now = torch.cuda.current_stream()
        if not hasattr(self, "stream"):
            self.stream, self.pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
        self.stream.wait_stream(now)
        with torch.cuda.stream(self.stream), _uncached():
            yield
        now.wait_stream(self.stream)

    def _record(self, inputs: tuple[Tensor, ...]) -> _Recording:
        """Recordings share their memory: one is played at a time, and what it gives is copied at once."""
        self._check_room()
        static = [x.clone() for x in inputs]
        graph = torch.cuda.CUDAGraph()
        # the loader's thread that pins memory may go on calling CUDA meanwhile
        recording = torch.cuda.graph(graph, self.pool, self.stream, capture_error_mode="thread_local")
        with _uncached(), recording:
            outputs, structure = tree_flatten(self.function(*static))
        return _Recording(graph, static, outputs, structure)

    def _check_room(self) -> None:
        """Raises RuntimeError unless what its calls took would be free once more, after it was given back.

        As `torch.cuda.graph` does first. What earlier recordings took, which this one shares, is in a pool of
        theirs and not counted.
        """
        stream = self.stream.cuda_stream
        segments = torch.cuda.memory_snapshot()
        called = (s for s in segments if s["stream"] == stream and s["segment_pool_id"] == NO_POOL)
        taken = sum(segment["total_size"] for segment in called)
        torch.cuda.empty_cache()
        if torch.cuda.mem_get_info()[0] < taken:
            raise RuntimeError(f"they need {taken / 2**30:.1f} GiB more, and less is free")


def _uncached() -> torch.autocast:
    """Autocast as it is, but for its cache of cast weights, in which they would grow old."""
    enabled, kind = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    return torch.autocast("cuda", kind, enabled, cache_enabled=False)


def _surroundings() -> tuple:
    """What else decides which kernels are called."""
    return torch.is_autocast_enabled("cuda"), torch.is_inference_mode_enabled()


def _play(recording: _Recording, inputs: tuple[Tensor, ...]) -> Any:
    """What the function gives for these inputs, in memory of its own."""
    torch._foreach_copy_(recording.inputs, list(inputs))
    recording.graph.replay()
    given = [x for x in recording.outputs if x is not None]
    fresh = [torch.empty_like(x) for x in given]
    torch._foreach_copy_(fresh, given)
    kept = iter(fresh)
    return tree_unflatten([x if x is None else next(kept) for x in recording.outputs], recording.structure)


def _end_of_capture(stream: "torch.cuda.Stream") -> None:
    """Undo what a recording that broke off may leave: its own stream, and noise as if it went on."""
    torch.cuda.set_stream(stream)
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    generator.graphsafe_set_state(generator.clone_state())
