"""What a benchmark found, as tables to read."""

from typing import Any

from trainer.benchmark.columns import Table
from trainer.benchmark.scaling_tables import format_scaling

Row = dict[str, Any]
REST = "normalisation, pooling, activations, losses, optimizer"


def format_report(report: dict[str, Any]) -> str:
    """Machine and rates, and a table for each part that was measured."""
    rows, sections = report["rows"], ["\n".join(rate_lines(report))]
    if "data" in rows:
        sections.append(f"data path, {report['batch_size']} slices a batch\n{data_table(rows['data'])}")
    steps = rows.get("train", []) + rows.get("inference", [])
    if steps:
        sections.append(f"steps of {report['model']}\n{step_table(steps)}")
    for row in rows.get("breakdown", []):
        sections.append("where a step of training goes\n" + format_breakdown(row))
    for row in rows.get("scaling", []):
        sections += format_scaling(row)
    floors = "floor: the longer of bytes over bandwidth and operations over their rate; it leaves out\n"
    return "\n\n".join([*sections, floors + "\n".join(f"- {text}" for text in report["floor_leaves_out"])])


def rate_lines(report: dict[str, Any]) -> list[str]:
    """What was measured where, and the rates that floors are made of."""
    volumes, rates, files = report["volumes"], report["rates"], report["files"]
    shapes = ", ".join(f"{rows} x {columns}" for rows, columns in volumes["kspace"])
    kind = "simulated " if volumes["simulated"] else ""
    lines = [
        report["machine"],
        f"torch {report['torch']}, {report['device']}, {report['threads']} threads",
        f"{volumes['slices']} {kind}slices of {volumes['count']} volumes, {shapes}",
        f"copy {rates['bandwidth'] / 1e9:.1f} GB/s, read and written",
    ]
    for precision, tried in rates["flops"].items():
        found = ", ".join(f"{name.replace('_', ' ')} {rate / 1e9:.0f}" for name, rate in tried.items())
        lines.append(f"{precision} {found} GFLOP/s")
    if files:
        lines.append(f"files {files['cold'] / 1e9:.2f} GB/s cold, {files['warm'] / 1e9:.2f} GB/s warm")
        lines.append(f"cold: {files['cold_note']}")
    return lines


def data_table(rows: list[Row]) -> Table:
    """The data path by source."""
    headers = ["files", "cache", "workers", "reads", "ms a slice", "slices/s", "floor", "times", *OFFICIAL]
    lines = [
        [
            row["files"],
            row["cache"],
            row["workers"],
            row["reads"],
            *_time(row),
            *_floor(row),
            *_official(row, 1),
        ]
        for row in rows
    ]
    return Table.of(lines, headers)


def step_table(rows: list[Row]) -> Table:
    """Training and inference by batch size, precision and compile mode."""
    headers = ["", "batch", "precision", "compile", "ms", "slices/s", "MiB", "floor", "times", *OFFICIAL]
    lines = []
    for row in rows:
        setting = [row["part"], row["batch_size"], row["precision"], row["compile"]]
        memory = f"{row['peak_bytes'] / 2**20:.0f}" if "peak_bytes" in row else ""
        official = _official(row, row["batch_size"])
        lines.append([*setting, *_time(row), memory, *_floor(row), *official])
    return Table.of(lines, headers)


def format_breakdown(row: Row) -> str:
    """Milliseconds and shares of the parts of a step, then of groups of operations."""
    if "failed" in row:
        return row["failed"]
    head, groups = breakdown_words(row)
    return f"{head}\n{breakdown_table(row)}\n{groups}"


def breakdown_table(row: Row) -> Table:
    """Milliseconds and shares of the parts of a step."""
    lines = [[name, f"{row['ms'][name]:.2f}", f"{share:.1%}"] for name, share in row["shares"].items()]
    return Table(["part", "ms", "share"], lines)


def breakdown_words(row: Row) -> list[str]:
    """Which step, and the shares of groups of its operations."""
    groups = ", ".join(f"{name} {share:.1%}" for name, share in row["groups"].items())
    return [
        f"batch of {row['batch_size']}, {row['precision']}, {row['steps']} steps",
        f"of the time of operations: {groups} ({REST})",
    ]


OFFICIAL = ["official slices/s", "ours / official"]


def _time(row: Row) -> list[str]:
    """Median with quartiles in ms, and slices per second; or why there is none."""
    if "failed" in row:
        return [row["failed"][:60], ""]
    low, median, high = (1e3 * row[name] for name in ("low", "median", "high"))
    return [f"{median:.2f} ({low:.2f}-{high:.2f})", f"{row['slices_per_second']:.1f}"]


def _floor(row: Row) -> list[str]:
    if "floor" not in row:
        return ["", ""]
    return [f"{1e3 * row['floor']:.3f} ms ({row['bound']})", f"{row['ratio']:.1f}"]


def _official(row: Row, slices: int) -> list[str]:
    found = row.get("official")
    if found is None:
        return ["", ""]
    if "failed" in found:
        return [found["failed"][:60], ""]
    return [f"{slices / found['median']:.1f}", f"{found['median'] / row['median']:.2f}"]
