"""What a recording asks for before it is made, by an allocator that is played: no GPU is needed."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from custom_nn.replay import Replay

GIB = 2**30
STREAM, POOL = 7, (0, 3)


class Card:
    """16 GiB; whatever no pool has is given back when the cache is emptied."""

    def __init__(self, *segments: tuple[int, tuple[int, int], int]):
        """Of (stream, pool, GiB) each."""
        self.segments = segments

    def snapshot(self) -> list[dict[str, Any]]:
        keys = ("stream", "segment_pool_id", "total_size")
        return [dict(zip(keys, (s, pool, size * GIB), strict=True)) for s, pool, size in self.segments]

    def empty(self) -> None:
        self.segments = tuple(segment for segment in self.segments if segment[1] != (0, 0))

    def info(self) -> tuple[int, int]:
        return 16 * GIB - sum(segment["total_size"] for segment in self.snapshot()), 16 * GIB


def check(monkeypatch: pytest.MonkeyPatch, *segments: tuple[int, tuple[int, int], int]) -> None:
    card = Card(*segments)
    replay: Any = Replay(torch.sin)
    monkeypatch.setattr(torch.cuda, "memory_snapshot", card.snapshot)
    monkeypatch.setattr(torch.cuda, "empty_cache", card.empty)
    monkeypatch.setattr(torch.cuda, "mem_get_info", card.info)
    replay.stream = SimpleNamespace(cuda_stream=STREAM)
    replay._check_room()


def test_what_calls_took_is_there_again_for_the_recording(monkeypatch):
    check(monkeypatch, (STREAM, (0, 0), 10), (0, (0, 0), 5))


def test_what_other_recordings_took_is_not_asked_for_once_more(monkeypatch):
    check(monkeypatch, (STREAM, POOL, 8), (STREAM, (0, 0), 6))


def test_what_is_not_free_even_then_is_refused(monkeypatch):
    with pytest.raises(RuntimeError, match=r"they need 6\.0 GiB more, and less is free"):
        check(monkeypatch, (STREAM, (0, 0), 6), (0, (1, 0), 11))
