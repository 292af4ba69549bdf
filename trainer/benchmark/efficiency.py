"""What two processes are worth beside one, of measured durations."""

from dataclasses import asdict
from statistics import median
from typing import Any

from trainer.benchmark.scaling import Measured, exchange_seconds
from trainer.benchmark.timing import summarize

Row = dict[str, Any]


def summarize_row(row: Row) -> Row:
    """Rates, efficiencies and the ring's figures of a measurement by `pair`."""
    found = {"cases": [timed(case, row["slices"]) for case in row["cases"]]}
    return found | {"efficiency": efficiencies(row["cases"]), **ring_figures(row)}


def timed(case: Row, slices: float) -> Row:
    """A case with the median of its blocks in all rounds, and slices per second of its processes together."""
    durations = [seconds for found in case["rounds"] for seconds in found]
    timing = summarize(durations, durations[0])
    return case | asdict(timing) | {"slices_per_second": case["processes"] * slices / timing.median}


def efficiencies(cases: list[Row]) -> Row:
    """The rate of two processes over twice that of one, and over that of one on all cores, round by round.

    A step of two has twice the slices of a step of one.
    """
    seconds = {(c["processes"], c["cores"]): [median(found) for found in c["rounds"]] for c in cases}
    pair = next((key for key in seconds if key[0] == 2), None)
    if pair is None:
        return {}
    share = pair[1]
    ratios = {
        "equal_cores": [one / two for one, two in zip(seconds[1, share], seconds[pair], strict=True)],
        "all_cores": [
            2 * one / two for one, two in zip(seconds.get((1, 2 * share), []), seconds[pair], strict=False)
        ],
    }
    return {name: _spread(found) for name, found in ratios.items() if found}


def _spread(values: list[float]) -> Row:
    return {"median": median(values), "low": min(values), "high": max(values), "count": len(values)}


def ring_figures(row: Row) -> Row:
    """Bandwidth and latency of a ring of two that explain two exchanges, and the gradients' by them."""
    if "exchange" not in row:
        return {}
    large, single = row["large"]["median"], row["single"]["median"]
    latency = single / 2  # of two messages
    bandwidth = row["large_bytes"] / max(large - single, 1e-9)
    predicted = exchange_seconds(2, row["exchanged_bytes"], row["exchanges"], bandwidth, latency)
    return {"bandwidth": bandwidth, "latency": latency, "exchange_predicted": predicted}


def measured_device(row: Row) -> Measured:
    """One process on its share of the cores, for the model of many."""
    return Measured(
        step_seconds=row["cases"][0]["median"],
        slices=row["slices"],
        gradient_values=row["gradient_values"],
        exchanges=row["exchanges"],
        read_bytes=row["read_bytes"],
        kept_bytes=row["kept_bytes"],
        checkpoint_bytes=row["checkpoint"]["bytes"],
        save_every=row["save_every"],
    )
