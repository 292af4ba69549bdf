"""Judging beside what computes changes neither results nor their order, and holds few volumes."""

import threading
from collections.abc import Iterator
from typing import cast

import pytest

from main import main
from trainer.evaluation.judgement import BESIDE, Judgement, judged
from trainer.evaluation.scores import Result

LIMIT = 60.0  # seconds, where something hangs


def test_the_bytes_are_those_of_judging_in_line(generative_run, tmp_path, monkeypatch):
    """Scores, spreads, trust, perceptual metrics and the page."""
    options = ["validate.perceptual=true", "validate.learned=off"]
    for threads in (0, 2):
        monkeypatch.setitem(BESIDE, "cpu", threads)
        out = tmp_path / str(threads)
        where = ["--out", str(out / "o"), "--html", str(out / "h")]
        assert main(["validate", str(generative_run), *options, *where]) == 0
    for name in ("o/metrics.json", "o/metrics.csv", "o/x4.png", "h/index.html"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


class Bench:
    """Numbers for results, whose judging is as slow as `judging` has it."""

    def __init__(self, count: int):
        self.computed = [threading.Event() for _ in range(count)]
        self.judged = 0
        self.most = 0

    def results(self) -> Iterator[Result]:
        for k, event in enumerate(self.computed):
            self.most = max(self.most, k - self.judged)  # that wait while this one is computed
            event.set()
            yield cast(Result, k)

    def judging(self, result: Result) -> Judgement:
        """Waits until the next result but one is there: never in line."""
        k = cast(int, result)
        assert self.computed[min(k + 2, len(self.computed) - 1)].wait(LIMIT)
        self.judged += 1
        return cast(Judgement, k)


def test_the_next_volumes_are_computed_meanwhile_but_no_more():
    bench = Bench(9)
    assert list(judged(bench.results(), bench.judging, threads=2)) == list(range(9))
    assert bench.most == 2


def test_what_a_thread_raises_is_raised():
    def judging(result: Result) -> Judgement:
        if result == 1:
            raise ValueError("file1.h5: cannot be scored")
        return cast(Judgement, result)

    numbers = iter(range(100))
    found = judged((cast(Result, k) for k in numbers), judging, threads=2)
    assert next(found) == 0
    with pytest.raises(ValueError, match=r"file1\.h5"):
        list(found)
    assert next(numbers) < 6  # the rest is not computed
