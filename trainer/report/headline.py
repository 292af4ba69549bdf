"""The report's summary in figures."""

from collections.abc import Callable
from typing import Any

from trainer.comparison.records import Record, Row, method_rows
from trainer.evaluation.intervals import few_words
from trainer.report.findings import mean_of


def headline(records: list[Record]) -> dict[str, Any]:
    """The first cascade against the zero-filled image, and the first posterior sampler's texture."""
    sampled = [record for record in records if "posterior" in record.results]
    volumes = len({volume["fname"] for volume in records[0].results["volumes"]})
    return {
        "volumes": volumes,
        "few": few_words(volumes),
        "baseline": _of_first(records, "adaptive_cs_net", _cascade_words),
        "sample": _of_first(sampled, "generative", _sampler_words),
        "global": _of_first(records, "generative_global", _texture_words),
        "spatial": _of_first(records, "generative", _texture_words),
    }


def _of_first(
    records: list[Record], model: str, words: Callable[[Record], dict[str, str]]
) -> dict[str, str] | None:
    """None where no run is of that model."""
    found = [record for record in records if record.config.model.name == model]
    return words(found[0]) if found else None


def _cascade_words(record: Record) -> dict[str, str]:
    rows = method_rows(record)
    own, zero = rows["model"], rows["zero_filled"]
    return {
        "label": record.label,
        "gain": span([own[r]["psnr"]["mean"] - zero[r]["psnr"]["mean"] for r in own], ".1f"),
    }


def _sampler_words(record: Record) -> dict[str, str]:
    rows, posterior = method_rows(record), record.results["posterior"]
    count = max(posterior[0]["psnr"], key=int)
    mean, baseline = rows.get(f"mean_{count}", rows["sample"]), rows["baseline"]
    return {
        "count": count,
        "power": _powers(rows["sample"]),
        "baseline_power": _powers(baseline),
        "below": span([mean[r]["psnr"]["mean"] - baseline[r]["psnr"]["mean"] for r in mean], "+.2f"),
        "gain": span([row["gap"] for row in posterior], ".2f"),
        "law": f"{posterior[0]['law']:.2f}",
    }


def _texture_words(record: Record) -> dict[str, str]:
    sample = method_rows(record)["sample"]
    return {
        "label": record.label,
        "power": f"{mean_of(sample, 'power_ratio'):.2f}",
        "correlation": f"{mean_of(sample, 'correlation'):.2f}",
    }


def _powers(rows: dict[int, Row]) -> str:
    return span([row["power_ratio"]["mean"] for row in rows.values()], ".2f")


def span(values: list[float], form: str) -> str:
    """Least to most, as words."""
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"
