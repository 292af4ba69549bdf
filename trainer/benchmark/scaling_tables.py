"""What two processes were measured to do, and what many would by the model, as tables."""

from typing import Any

from trainer.benchmark.columns import Table
from trainer.benchmark.scaling import MEANING

Row = dict[str, Any]

RATIOS = {
    "equal_cores": "rate over twice that of one process, each with as many cores",
    "all_cores": "rate over that of one process on all of these cores",
}
UNFIT = (
    "*: more than the memory that a host may give; all: every host keeps all slices, as data.cache=ram does"
)
CACHES = ("complex64", "half")


def format_scaling(row: Row) -> list[str]:
    """Sections of a benchmark's text."""
    if "failed" in row:
        return [f"one and two processes\n{row['failed']}"]
    measured = (
        f"one and two processes, {row['slices']:g} slices a step of each, {row['workers']} workers of each"
    )
    notes = [row["alone"]] if row["alone"] else [str(ratio_table(row))]
    found = row["beyond"]
    return [
        "\n".join([measured, str(case_table(row)), *notes]),
        f"exchanged and saved\n{exchange_table(row)}",
        f"steps on many devices, by a model\n{device_words(row)}\n{many_table(found)}",
        f"passes over fastMRI's single-coil knees, by the same model\n{epoch_table(found)}\n{UNFIT}",
        f"assumptions\n{assumption_table(found)}",
        "the model leaves out\n" + "\n".join(f"- {text}" for text in found["leaves_out"]),
    ]


def device_words(row: Row) -> str:
    """What each of many devices is taken to do."""
    device, assumed = row["beyond"]["device"], row["beyond"]["assumptions"]
    given, cores = assumed["device_rate"] or assumed["device_slices"], row["cases"][0]["cores"]
    origin = (
        "as is assumed"
        if given
        else f"as one process with {cores} core{'s' * (cores > 1)} was measured to do"
    )
    slices = f"{device['slices']:g} slice{'s' * (device['slices'] != 1)}"
    return f"each device takes {slices} in {number(1e3 * device['step_seconds'])} ms, {origin}"


def case_table(row: Row) -> Table:
    """Steps by number of processes and cores."""
    heads = ["processes", "cores of each", "ms a step", "slices/s"]
    lines = [
        [case["processes"], case["cores"], milliseconds(case), f"{case['slices_per_second']:.2f}"]
        for case in row["cases"]
    ]
    return Table.of(lines, heads)


def ratio_table(row: Row) -> Table:
    """What two processes are worth."""
    lines = [
        [words, *(f"{row['efficiency'][name][key]:.2f}" for key in ("median", "low", "high"))]
        for name, words in RATIOS.items()
        if name in row["efficiency"]
    ]
    return Table.of(lines, ["two processes, round by round", "median", "least", "most"])


def exchange_table(row: Row) -> Table:
    """What goes from process to process and to disk."""
    saved, lines = row["checkpoint"], []
    if "exchange" in row:
        gradients, large = row["exchanged_bytes"], row["large_bytes"]
        predicted = f"{1e3 * row['exchange_predicted']:.3f}"
        lines = [
            [
                f"gradients, {row['exchanged']}",
                amount(gradients),
                milliseconds(row["exchange"]),
                predicted,
                "",
            ],
            [
                "a large buffer",
                amount(large),
                milliseconds(row["large"]),
                "",
                f"{amount(row['bandwidth'])}/s",
            ],
            ["a single value", amount(4), milliseconds(row["single"]), "", ""],
        ]
    rate = f"{amount(saved['bytes'] / saved['median'])}/s"
    lines.append(["checkpoint", amount(saved["bytes"]), milliseconds(saved), "", rate])
    return Table.of(lines, ["", "size", "ms", "as a ring [ms]", "rate"])


def many_table(found: dict[str, Any]) -> Table:
    """A step's parts and rates by number of GPUs."""
    heads = [
        "devices",
        "hosts",
        "exchanged in",
        "compute [ms]",
        "exchange [ms]",
        "reading [ms]",
        "saving [ms]",
    ]
    heads += ["steps/s", "slices/s", "efficiency", "limit", "to read, a host", "to read, in all"]
    lines = [
        [
            row["gpus"],
            row["hosts"],
            row["exchanged"] if row["gpus"] > 1 else "",
            *(number(1e3 * row[part]) for part in ("compute", "exchange", "reading", "saving")),
            number(row["steps_per_second"]),
            number(row["slices_per_second"]),
            f"{row['efficiency']:.1%}",
            row["limit"],
            f"{amount(row['host_bandwidth'])}/s",
            f"{amount(row['total_bandwidth'])}/s",
        ]
        for row in found["steps"]
    ]
    return Table.of(lines, heads)


def epoch_table(found: dict[str, Any]) -> Table:
    """A pass over the data by their size and number of GPUs, and what a host has to keep of them."""
    heads = ["knees", "k-space", "devices", "steps a pass", "from files", "cached"]
    heads += [f"{kept}, {name}" for kept in ("all", "share") for name in CACHES]
    lines = []
    for row in found["epochs"]:
        sizes = [
            amount(row[kept][name]) + ("" if row[fits][name] else " *")
            for kept, fits in (("cache_bytes", "fits"), ("share_bytes", "share_fits"))
            for name in CACHES
        ]
        times = [span(row["seconds"]), span(row["cached_seconds"])]
        data = [f"{row['times']} x", amount(row["kspace_bytes"])]
        lines.append([*data, row["gpus"], number(row["steps"]), *times, *sizes])
    return Table.of(lines, heads)


def assumption_table(found: dict[str, Any]) -> Table:
    """Each assumption with its unit."""
    lines = [
        [name, "none" if value is None else f"{value:g}", *MEANING[name]]
        for name, value in found["assumptions"].items()
    ]
    return Table.of(lines, ["assumption", "value", "unit", ""])


def milliseconds(timing: Row) -> str:
    """Median and quartiles."""
    low, median, high = (1e3 * timing[name] for name in ("low", "median", "high"))
    return f"{number(median)} ({number(low)}-{number(high)})"


def number(value: float) -> str:
    """Three digits, or as many as it has before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def amount(size: float) -> str:
    """Bytes in the largest unit that there is one of."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} B"


def span(seconds: float) -> str:
    """Seconds in the largest unit that there are two of."""
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{number(seconds / unit)} {name}"
    return f"{seconds:.3g} s"
