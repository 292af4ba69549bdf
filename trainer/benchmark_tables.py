"""What a benchmark found, as tables to read."""

from typing import Any

from tabulate import tabulate

Row = dict[str, Any]
GROUPS = "of the time of operations: {}; `rest` is normalisation, pooling, activations, losses, optimizer"


def format_report(report: dict[str, Any]) -> str:
    """Machine and rates, and a table for each part that was measured."""
    rows, sections = report["rows"], [format_rates(report)]
    if "data" in rows:
        sections.append(f"data path, {report['batch_size']} slices a batch\n" + format_data(rows["data"]))
    steps = rows.get("train", []) + rows.get("inference", [])
    if steps:
        sections.append(f"steps of {report['model']}\n" + format_steps(steps))
    for row in rows.get("breakdown", []):
        sections.append("where a step of training goes\n" + format_breakdown(row))
    floors = "floor: the longer of bytes over bandwidth and operations over their rate; it leaves out\n"
    return "\n\n".join([*sections, floors + "\n".join(f"- {text}" for text in report["floor_leaves_out"])])


def format_rates(report: dict[str, Any]) -> str:
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
    return "\n".join(lines)


def format_data(rows: list[Row]) -> str:
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
    return _table(lines, headers)


def format_steps(rows: list[Row]) -> str:
    """Training and inference by batch size, precision and compile mode."""
    headers = ["", "batch", "precision", "compile", "ms", "slices/s", "MiB", "floor", "times", *OFFICIAL]
    lines = []
    for row in rows:
        setting = [row["part"], row["batch_size"], row["precision"], row["compile"]]
        memory = f"{row['peak_bytes'] / 2**20:.0f}" if "peak_bytes" in row else ""
        official = _official(row, row["batch_size"])
        lines.append([*setting, *_time(row), memory, *_floor(row), *official])
    return _table(lines, headers)


def format_breakdown(row: Row) -> str:
    """Milliseconds and shares of the parts of a step, then of groups of operations."""
    if "failed" in row:
        return row["failed"]
    lines = [[name, f"{row['ms'][name]:.2f}", f"{share:.1%}"] for name, share in row["shares"].items()]
    groups = ", ".join(f"{name} {share:.1%}" for name, share in row["groups"].items())
    head = f"batch of {row['batch_size']}, {row['precision']}, {row['steps']} steps\n"
    return head + _table(lines, ["part", "ms", "share"]) + "\n" + GROUPS.format(groups)


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


def _table(lines: list[list[object]], headers: list[str]) -> str:
    """An aligned table, without columns that are empty throughout."""
    used = [k for k in range(len(headers)) if any(str(line[k]) for line in lines)]
    shown = [[line[k] for k in used] for line in lines]
    return tabulate(shown, headers=[headers[k] for k in used], disable_numparse=True)
