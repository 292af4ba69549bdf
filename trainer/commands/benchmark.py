"""Speed of the data path, a training step and inference, beside the least time they could take."""

import argparse
from pathlib import Path
from typing import Any

from trainer.commands.arguments import add_overrides, at_least, names, numbers, positive, size
from trainer.commands.console import console

EXAMPLES = [
    "benchmark config/baseline.yaml",
    "benchmark config/unet.yaml --data data/phantoms --only data --workers 0,2,4",
    "benchmark config/unet.yaml --batch-sizes 1,8 --compile off,default --peer-python PATH",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML file, such as config/baseline.yaml")
    add_overrides(parser, "data.crop_rows=null")
    parser.add_argument("--data", type=Path, metavar="DIR", help="data.path; without any, phantoms are made")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the JSON (runs/benchmark/NAME.json, by CONFIG's)"
    )
    everything = "data,train,inference,breakdown,scaling"
    parser.add_argument("--only", type=names, default=names(everything), help=f"parts of {everything}")
    parser.add_argument(
        "--seconds", type=positive, default=3.0, help="of each measurement, without warm-up (3)"
    )
    counts = {"batch_sizes": ([1, 4], 1, "slices a step (1,4)"), "workers": ([0, 2], 0, "that read (0,2)")}
    for name, (default, lowest, text) in counts.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=numbers(lowest), default=default, help=text)
    parser.add_argument("--precisions", type=names, default=["float32", "bf16"], help="float32,bf16: both")
    parser.add_argument(
        "--compile", type=names, default=["off"], help="off (default), default, reduce-overhead, dynamic"
    )
    parser.add_argument("--volumes", type=at_least(1), default=6, help="to simulate, or first of DIR (6)")
    parser.add_argument("--slices", type=at_least(1), default=8, help="of a simulated volume (8)")
    parser.add_argument("--matrix", type=size, default=(640, 368), help="of simulated k-space (640x368)")
    parser.add_argument(
        "--assume",
        type=names,
        default=[],
        metavar="NAME=VALUE,...",
        help="of the cluster that scaling is modelled for, such as gpus_per_host=4,network_bandwidth=50e9",
    )
    parser.add_argument(
        "--peer-python", type=Path, metavar="PATH", dest="peer", help="Python that has the official package"
    )


def run(config: Path, overrides: list[str], data: Path | None, out: Path | None, **asked: Any) -> int:
    import json

    from config.load import changed, load_config
    from fastmri.atomic import replacing
    from trainer.benchmark.benchmark import benchmark
    from trainer.benchmark.benchmark_tables import format_report
    from trainer.benchmark.measurements import Request
    from trainer.distributed import choose_device
    from trainer.provenance import typed

    console()
    request = Request(**asked)
    options = load_config(config, overrides)
    if data:  # no override: YAML may take a name for a number
        options = changed(options, data={"path": data})
    given = [*overrides, *(["--data", data] if data else []), *request.arguments()]
    command = {"command": typed(["benchmark", config, *given])}
    report = command | benchmark(options, request, choose_device(options.device))
    print(format_report(report))
    out = out or Path("runs/benchmark") / f"{config.stem}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as partial:
        partial.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n{out}")
    return 0
