"""What an evaluation found, as tables to read."""

from collections.abc import Iterator
from typing import Any

from tabulate import tabulate

from trainer.evaluation.intervals import LEVEL, few_words


def format_rows(table: list[dict[str, Any]]) -> str:
    """The rows as an aligned table; a single acquisition is not shown apart from all."""
    heads = list(_heads(table))
    lines = [[*head, *_cells(row, COLUMNS)] for head, row in heads]
    text = tabulate(lines, headers=[*HEAD, *_titles(COLUMNS)], disable_numparse=True)
    several = [row["volumes"] for _, row in heads if row["volumes"] > 1]  # which have an interval
    return text + (f"\n{INTERVALS}{few_words(min(several))}" if several else "")


def format_perceptual(table: list[dict[str, Any]], missing: dict[str, str]) -> str:
    """The measures that are nearer to what readers see, over all acquisitions, and why some are missing."""
    chosen = [row for row in table if row["acquisition"] == "all"]
    lines = [[head[0], row["method"], *_cells(row, PERCEPTUAL)] for head, row in _heads(chosen)]
    reasons = [f"{PERCEPTUAL[name][0]}: {reason}" for name, reason in missing.items()]
    text = tabulate(lines, headers=["", "method", *_titles(PERCEPTUAL)], disable_numparse=True)
    return "\n".join([text, *reasons])


def format_trust(table: list[dict[str, Any]]) -> str:
    """How much of the truth calibrated intervals hold, and how often PSNR is above its bound."""
    lines = [
        [
            f"x{row['acceleration']}",
            row["acquisition"],
            row["volumes"],
            f"{row['coverage']['mean']:.1%} ({row['coverage']['min']:.1%})",
            f"{row['width']:.3f}",
            f"{row['psnr_bound_held']:.1%}",
            f"{row['psnr_bound']:.2f}",
            f"{row['psnr']:.2f}",
        ]
        for row in table
    ]
    wanted = f"{table[0]['level']:.0%} wanted"
    headers = ["", "acquisition", "volumes", f"pixels in interval, {wanted} (least)", "width / maximum"]
    headers += [f"slices above PSNR bound, {wanted}", "bound [dB]", "PSNR [dB]"]
    return tabulate(lines, headers=headers, disable_numparse=True)


def _heads(table: list[dict[str, Any]]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Each row that is shown, with what stands before its figures; repetitions are left blank."""
    if len({row["acquisition"] for row in table}) == 2:
        table = [row for row in table if row["acquisition"] == "all"]
    last = None
    for row in table:
        group, achieved = (row["acceleration"], row["acquisition"]), row["achieved_acceleration"]
        span = f"{achieved['mean']:.1f} ({achieved['min']:.1f}-{achieved['max']:.1f})"
        head = [f"x{row['acceleration']}", span, row["acquisition"], row["volumes"]]
        yield [*([""] * len(head) if group == last else head), row["method"]], row
        last = group


HEAD = ["", "achieved", "acquisition", "volumes", "method"]
COLUMNS = {
    "psnr": ("PSNR [dB]", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "nmse": ("NMSE", ".4f"),
    "power_ratio": ("power", ".2f"),
    "correlation": ("correlation", "z.2f"),
    "hallucination": ("invented", ".2f"),
    "dc_residual": ("misfit", ".0e"),
}
PERCEPTUAL = {
    "ms_ssim": ("MS-SSIM", ".3f"),
    "haarpsi": ("HaarPSI", ".3f"),
    "vsi": ("VSI", ".3f"),
    "gmsd": ("GMSD", ".3f"),
    "lpips": ("LPIPS", ".3f"),
    "dists": ("DISTS", ".3f"),
    "null_space_error": ("null-space error", ".3f"),
    "frechet_wavelet": ("Frechet (wavelet)", ".2f"),
}
INTERVALS = f"in brackets: {LEVEL:.0%} bootstrap interval of the mean over volumes"
WITH_INTERVAL = ("psnr", "ssim", "nmse")  # metrics.json has one for the others too


def format_posterior(table: list[dict[str, Any]]) -> str:
    """What the means of 2, 4, ... samples gain on one, beside what a posterior's samples would, in dB."""
    means = [count for count in table[0]["psnr"] if count != "1"]
    lines = [
        [
            f"x{row['acceleration']}",
            f"{row['psnr']['1']:.2f}",
            *(f"{row['psnr'][c]:.2f}: {row['gains'][c]:+.2f} (+{row['laws'][c]:.2f})" for c in means),
        ]
        for row in table
    ]
    headers = ["PSNR [dB]", "one sample", *(f"mean of {c}: gain (law)" for c in means)]
    return tabulate(lines, headers=headers, disable_numparse=True)


def _cells(row: dict[str, Any], columns: dict[str, tuple[str, str]]) -> list[str]:
    """Means over volumes, some with their 95 % interval; '-' for what was not measured."""
    return [
        _cell(row[name], form, name in WITH_INTERVAL) if name in row else "-"
        for name, (_, form) in columns.items()
    ]


def _cell(value: dict[str, Any], form: str, with_interval: bool) -> str:
    text = measure_words(value, form)
    if with_interval and value["interval"]:
        text += f" [{', '.join(f'{bound:{form}}' for bound in value['interval'])}]"
    return text


def measure_words(value: dict[str, Any], form: str) -> str:
    """A row's measure without its interval: the mean over volumes, or the distance of all together."""
    return f"{value['distance' if 'distance' in value else 'mean']:{form}}"


def _titles(columns: dict[str, tuple[str, str]]) -> list[str]:
    return [title for title, _ in columns.values()]
