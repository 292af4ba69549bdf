"""Are two methods different on the same volumes? Paired differences, their interval and test."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import wilcoxon
from tabulate import tabulate

from trainer.comparison.records import REFERENCES, Record, volume_scores
from trainer.evaluation.intervals import LEVEL, bootstrap_interval

METRICS = ("psnr", "ssim")
NOTHING = 1e-5  # dB or SSIM: a difference that the order of additions makes, counted as none
ENOUGH = 6  # volumes, from which a signed-rank or a sign test can have a p below 0.05


class Paired(NamedTuple):
    """What the differences of two methods on the same volumes say."""

    volumes: int
    mean: float
    low: float | None  # bootstrap interval of the mean over volumes; None of a single volume
    high: float | None
    p: float | None  # Wilcoxon signed-rank, two-sided; None of a single volume


class Difference(NamedTuple):
    """A method minus another at an acceleration, in one metric."""

    method: str
    minus: str
    acceleration: int
    metric: str
    result: Paired
    per_volume: dict[str, float]  # by file name


def paired(differences: list[float]) -> Paired:
    """Mean, its bootstrap interval over volumes and the signed-rank test (Wilcoxon 1945).

    Volumes count as independent, and zero differences are left out of the test, as Wilcoxon did.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = np.where(np.abs(values) < NOTHING, 0.0, values)
    interval = bootstrap_interval(values.tolist())
    if interval is None:
        return Paired(1, float(values[0]), None, None, None)
    low, high = interval
    p = float(wilcoxon(values).pvalue) if values.any() else 1.0
    return Paired(len(values), float(values.mean()), low, high, p)


def compare_records(records: list[Record]) -> list[Difference]:
    """The first run against each other run, then the methods within each; of validated runs alone."""
    first, *others = records
    found = []
    for other in others:
        found += _compare(first, other, [(a, b) for a in _methods(first) for b in _methods(other)])
    for record in records:
        # a later method against those before it: sample - baseline, model - zero-filled, model - wavelet
        pairs = combinations(list(dict.fromkeys(v["method"] for v in record.results["volumes"])), 2)
        own = [(later, earlier) for earlier, later in pairs if later in _methods(record)]
        found += _compare(record, record, own)
    return found


def _methods(record: Record) -> list[str]:
    """What the run itself makes of the data, in the order of its table."""
    found = dict.fromkeys(v["method"] for v in record.results["volumes"])
    return [method for method in found if method not in REFERENCES]


def _compare(one: Record, other: Record, pairs: list[tuple[str, str]]) -> list[Difference]:
    """Differences one - other of pairs of methods, at every acceleration and volume that both have."""
    mine, theirs = volume_scores(one.results), volume_scores(other.results)
    accelerations = [r for r in one.results["masks"]["accelerations"] if (pairs[0][1], r) in theirs]
    found = []
    for method, minus in pairs:
        for r in accelerations:
            a, b = mine[method, r], theirs[minus, r]
            for metric in METRICS:
                values = {fname: a[fname][metric] - b[fname][metric] for fname in a if fname in b}
                result = paired(list(values.values()))
                found.append(Difference(one.title(method), other.title(minus), r, metric, result, values))
    return found


def plain(difference: Difference) -> dict[str, Any]:
    """A difference as a row of JSON."""
    fields = difference._asdict()
    return fields | fields.pop("result")._asdict() | {"per_volume": fields.pop("per_volume")}


def format_differences(differences: list[Difference]) -> str:
    """All differences as a table to read, both metrics of a pair and acceleration on one line."""
    lines, last = [], None
    for psnr, ssim in zip(differences[::2], differences[1::2], strict=True):
        pair = f"{psnr.method} - {psnr.minus}"
        lines.append(["" if pair == last else pair, f"x{psnr.acceleration}", psnr.result.volumes])
        lines[-1] += [*paired_words(psnr.result, ".2f"), *paired_words(ssim.result, ".3f")]
        last = pair
    interval = f"{LEVEL:.0%} interval"
    headers = ["", "", "volumes", "PSNR [dB]", interval, "p", "SSIM", interval, "p"]
    note = "Paired over volumes, taken as independent; each p by itself, not corrected for their number."
    most = max(difference.result.volumes for difference in differences)
    if 1 < most < ENOUGH:  # a single one has no p
        note += f"\n{most} volumes are too few: no p can be below {min(1.0, 2 ** (1 - most)):.2g}."
    return f"{tabulate(lines, headers=headers, disable_numparse=True)}\n{note}"


def paired_words(result: Paired, form: str) -> list[str]:
    """Mean, interval and p; of a single volume the first alone."""
    if result.p is None:
        return [f"{result.mean:+{form}}", "", ""]
    return [f"{result.mean:+{form}}", f"{result.low:+{form}} to {result.high:+{form}}", f"{result.p:.2g}"]
