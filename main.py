"""The only entry: `python main.py COMMAND --help` tells the rest.

Imports of packages stay inside the functions, so that --help is quick and a missing one is told in a line.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


def simulate(out: Path, **options: Any) -> int:
    """make knee phantoms in fastMRI's layout"""
    from fastmri.simulate import simulate

    written = simulate(out, **options)
    print(f"{len(written)} volumes in {out}")
    return 0


def import_(source: Path, out: Path, **options: Any) -> int:
    """turn DICOM, NIfTI or npy images into emulated single-coil volumes"""
    from fastmri.importing import import_images

    _console()
    report = import_images(source, out, **options)
    print(f"{len(report.written)} volumes in {out}, {len(report.skipped)} inputs left out")
    return 0 if report.written else 1


def check(data: Path | None, env: bool) -> int:
    """tell what is in a data folder, and what is wrong with it; or, with --env, what this runs on"""
    from fastmri.check import check_folder, format_report

    if env:
        return _check_environment()
    if data is None:
        raise ValueError("DATA: names a folder or file to check; only --env needs none")
    report = check_folder(data)
    print(format_report(report))
    return 1 if report.problems else 0


def _check_environment() -> int:
    from trainer.environment import describe_environment

    table, missing = describe_environment()
    print(table)
    for line in missing:
        print(f"missing: {line}")
    return 1 if missing else 0


def train(config: Path, overrides: list[str], out: Path | None, plan: bool) -> int:
    """train a model; the same command again resumes"""
    from config.load import load_config
    from trainer import distributed
    from trainer.loop import train
    from trainer.provenance import record_command
    from trainer.signals import exit_code

    if out is None and not plan:
        raise ValueError(
            "--out RUN: names the folder of the run; only --plan, which trains nothing, needs none"
        )
    options = load_config(config, overrides)
    process = distributed.find_process(options.device)
    _console(quiet=not process.main)
    if plan:
        return _plan(options, out, process)
    assert out is not None
    with distributed.group(process):
        stopped = train(options, out, process)
    if process.main:
        record_command(out, ["train", config, *overrides, "--out", out], process.device)
    return exit_code(stopped)


def _plan(options: Any, out: Path | None, process: Any) -> int:
    from trainer.plan import make_plan
    from trainer.plan_tables import format_plan

    print(format_plan(make_plan(options, out, process)))
    return 0


def validate(run: Path, overrides: list[str], out: Path | None, html: Path | None) -> int:
    """PSNR, SSIM and NMSE of a run, or of a method without training, beside the zero-filled image"""
    from trainer import distributed
    from trainer.provenance import record_command
    from trainer.validate import load_run, validate

    found = load_run(run, overrides)
    process = distributed.find_process(found.config.device)
    _console(quiet=not process.main)
    with distributed.group(process):
        validate(found, out, process, html)
    if process.main:
        typed = ["validate", run, *overrides, *(["--out", out] if out else [])]
        typed += ["--html", html] if html else []
        record_command(out or found.default_out, typed, process.device)
    return 0


def calibrate(run: Path, data: Path, overrides: list[str]) -> int:
    """learn how wide a generative run's intervals must be to hold the truth"""
    from trainer import distributed
    from trainer.calibrate import calibrate_run
    from trainer.provenance import record_command
    from trainer.validate import load_run

    held_out = data / "singlecoil_val"
    found = load_run(run, [*overrides, f"data.val={held_out if held_out.is_dir() else data}"])
    process = distributed.find_process(found.config.device)
    _console(quiet=not process.main)
    with distributed.group(process):
        written = calibrate_run(found, process)
    if process.main:
        record_command(written.parent, ["calibrate", run, data, *overrides], process.device)
        print(written)
    return 0


def reconstruct(run: Path, source: Path, out: Path, overrides: list[str], device: str, **options: Any) -> int:
    """reconstruct files from a checkpoint, or by a method without training"""
    from trainer import distributed
    from trainer.reconstruct import reconstruct
    from trainer.validate import load_run

    process = distributed.find_process(device)
    _console(quiet=not process.main)
    found = load_run(run, overrides)
    with distributed.group(process):
        written = reconstruct(found, source, out, process=process, **options)
    if process.main:
        print(*(shown(str(path)) for path in written), sep="\n")
    return 0


def compare(
    runs: list[Path],
    out: Path,
    data: Path | None,
    fname: str | None,
    slice_num: int | None,
    volumes: int,
    device: str,
) -> int:
    """figures and paired statistics of several runs"""
    from trainer.compare import Request, compare
    from trainer.distributed import choose_device

    _console()
    written = compare(runs, out, Request(data, fname, slice_num, volumes), choose_device(device))
    print(*written, sep="\n")
    return 0


def report(
    runs: list[Path],
    out: Path,
    ablations: list[Path],
    benchmark: list[Path],
    figures: Path | None,
    device: str,
) -> int:
    """a paper on validated runs, as PDF"""
    from trainer.distributed import choose_device
    from trainer.provenance import typed
    from trainer.report import Sources, report

    _console()
    named = ["--ablations", *ablations] if ablations else []
    named += ["--benchmark", *benchmark] if benchmark else []
    named += ["--figures", figures] if figures else []
    command = typed(["report", *runs, *named, "--out", out])
    print(report(Sources(runs, ablations, benchmark, figures, command), out, choose_device(device)))
    return 0


def benchmark(config: Path, overrides: list[str], data: Path | None, out: Path | None, **asked: Any) -> int:
    """speed of the data path, a training step and inference, beside the least time they could take"""
    import json

    from config.load import load_config
    from fastmri.atomic import replacing
    from trainer.benchmark import benchmark
    from trainer.benchmark_tables import format_report
    from trainer.distributed import choose_device
    from trainer.measurements import Request
    from trainer.provenance import typed

    _console()
    request = Request(**asked)
    options = load_config(config, [*overrides, *([f"data.path={data}"] if data else [])])
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


def _simulate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--volumes", type=_at_least(1), default=10, help="how many (10)")
    parser.add_argument("--slices", type=_at_least(1), default=8, help="slices per volume (8)")
    parser.add_argument("--matrix", type=_size, default=(640, 368), help="k-space ROWSxCOLUMNS (640x368)")
    parser.add_argument("--recon", type=_at_least(1), help="side of the image: half of the rows, the default")
    parser.add_argument("--workers", type=_at_least(1), default=os.cpu_count(), help="processes (all cores)")
    _add_split(parser)


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SRC", help="file or folder: DICOM, .nii, .nii.gz, .npy")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--snr", type=float, default=30.0, help="mean foreground over the noise's std (30)")
    parser.add_argument("--matrix", type=_size_or_side, help="longer side N, or HxW, by cropping k-space")
    parser.add_argument("--slice-axis", type=int, choices=[0, 1, 2], help="default: the shortest axis")
    parser.add_argument("--acquisition", help="label of the volumes, instead of one from their headers")
    _add_split(parser)


def _add_split(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--val-fraction", type=float, default=0.2, help="volumes for validation (0.2)")
    parser.add_argument("--split", choices=["train", "val"], help="put every volume there instead")
    parser.add_argument("--seed", type=_at_least(0), default=0, help="of anatomy, phase and noise (0)")


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data", type=Path, nargs="?", metavar="DATA", help="data folder, or a folder of files, or a file"
    )
    parser.add_argument("--env", action="store_true", help="versions, devices, memory and what is missing")


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML file, such as config/baseline.yaml")
    _add_overrides(parser)
    parser.add_argument("--out", type=Path, metavar="RUN", help="run directory; needed, but for --plan")
    parser.add_argument(
        "--plan", action="store_true", help="tell what memory, time and room it takes, and train nothing"
    )


def _validate_arguments(parser: argparse.ArgumentParser) -> None:
    _add_run(parser)
    _add_overrides(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where results go (RUN/validate, or runs/METHOD/validate)"
    )
    parser.add_argument(
        "--html",
        type=Path,
        metavar="DIR",
        help="also write DIR/index.html, to look through volumes and slices",
    )


def _calibrate_arguments(parser: argparse.ArgumentParser) -> None:
    _add_run(parser)
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="held-out volumes: singlecoil_val/ in it, or else its files"
    )
    _add_overrides(parser)


def _reconstruct_arguments(parser: argparse.ArgumentParser) -> None:
    _add_run(parser)
    parser.add_argument("source", type=Path, metavar="INPUT", help="HDF5 file with kspace, or folder of them")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for files of the same names")
    _add_overrides(parser)
    parser.add_argument(
        "--slice", type=_at_least(0), metavar="K", dest="slice_num", help="also draw slice K, from 0"
    )
    parser.add_argument("--acceleration", type=_at_least(2), metavar="R", help="undersample full input x R")
    parser.add_argument(
        "--samples", type=_at_least(1), default=1, metavar="P", help="draws of a generative model"
    )
    _add_device(parser)


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="run directories; tables are of the first minus others",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", required=True, help="folder for figures and tables"
    )
    parser.add_argument("--data", type=Path, help="volumes for pictures (validation set of the first run)")
    parser.add_argument("--fname", metavar="FILE", help="volume of the picture (the first)")
    parser.add_argument(
        "--slice", type=_at_least(0), metavar="K", dest="slice_num", help="its slice, from 0 (the middle one)"
    )
    parser.add_argument(
        "--volumes", type=_at_least(1), default=2, metavar="N", help="for distortion and perception (2)"
    )
    _add_device(parser)


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="validated run directories, the one that leads first",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="the PDF")
    parser.add_argument(
        "--ablations",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="validated runs of which each differs from one of them in a switch of the generative model",
    )
    parser.add_argument(
        "--benchmark",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="what `benchmark` wrote, for a section on speed and scale",
    )
    parser.add_argument("--figures", type=Path, metavar="DIR", help="what `compare` of these runs drew")
    _add_device(parser)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=["auto", "cuda", "cpu"], default="auto")


def _benchmark_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="YAML file, such as config/baseline.yaml")
    _add_overrides(parser)
    parser.add_argument("--data", type=Path, metavar="DIR", help="data.path; without any, phantoms are made")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the JSON (runs/benchmark/NAME.json, by CONFIG's)"
    )
    everything = "data,train,inference,breakdown,scaling"
    parser.add_argument("--only", type=_names, default=_names(everything), help=f"parts of {everything}")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement, without warm-up (3)")
    numbers = {"batch_sizes": ([1, 4], 1, "slices a step (1,4)"), "workers": ([0, 2], 0, "that read (0,2)")}
    for name, (default, lowest, text) in numbers.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=_numbers(lowest), default=default, help=text)
    parser.add_argument("--precisions", type=_names, default=["float32", "bf16"], help="float32,bf16: both")
    parser.add_argument(
        "--compile", type=_names, default=["off"], help="off (default), default, reduce-overhead, dynamic"
    )
    parser.add_argument("--volumes", type=_at_least(1), default=6, help="to simulate, or first of DIR (6)")
    parser.add_argument("--slices", type=_at_least(1), default=8, help="of a simulated volume (8)")
    parser.add_argument("--matrix", type=_size, default=(640, 368), help="of simulated k-space (640x368)")
    parser.add_argument(
        "--assume",
        type=_names,
        default=[],
        metavar="NAME=VALUE,...",
        help="of the cluster that scaling is modelled for, such as gpus_per_host=4,network_bandwidth=50e9",
    )
    parser.add_argument(
        "--peer-python", type=Path, metavar="PATH", dest="peer", help="Python that has the official package"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="run directory or checkpoint file; or, without training: zero_filled, low_pass, tv, wavelet",
    )


def _add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", metavar="a.b=value", help="options, such as train.steps=1000")


def _size(text: str) -> tuple[int, int]:
    rows, _, columns = text.lower().partition("x")
    if not (rows.isdigit() and columns.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text}' is not ROWSxCOLUMNS, such as 640x368")
    return int(rows), int(columns)


def _size_or_side(text: str) -> int | tuple[int, int]:
    return int(text) if text.isdigit() else _size(text)


def _at_least(lowest: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdigit() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least {lowest}")
        return int(text)

    return number


def _names(text: str) -> list[str]:
    return text.split(",")


def _numbers(lowest: int) -> Callable[[str], list[int]]:
    def numbers(text: str) -> list[int]:
        return [_at_least(lowest)(part) for part in text.split(",")]

    return numbers


class Command(NamedTuple):
    """A subcommand; the first line of its function's docstring is its help."""

    run: Callable[..., int]
    arguments: Callable[[argparse.ArgumentParser], None]
    examples: list[str]


COMMANDS = {
    "simulate": Command(
        simulate,
        _simulate_arguments,
        [
            "simulate data/phantoms --volumes 30 --slices 8",
            "simulate data/small --volumes 30 --matrix 256x160",
        ],
    ),
    "import": Command(
        import_,
        _import_arguments,
        ["import scans/ data/mine --snr 30", "import brain.nii.gz data/mine --split val --matrix 128"],
    ),
    "check": Command(check, _check_arguments, ["check data/phantoms", "check file1000001.h5", "check --env"]),
    "train": Command(
        train,
        _train_arguments,
        [
            "train config/baseline.yaml data.path=data/phantoms --plan",
            "train config/baseline.yaml data.path=data/phantoms --out runs/baseline",
            "train config/unet.yaml data.path=data/phantoms train.lr=3e-4 --out runs/unet",
        ],
    ),
    "validate": Command(
        validate,
        _validate_arguments,
        [
            "validate runs/baseline",
            "validate runs/baseline data.path=data/other --out runs/baseline/other",
            "validate runs/baseline validate.methods=[tv,wavelet,low_pass]",
            "validate tv data.path=data/phantoms --out runs/tv",
            "validate runs/generative --html page validate.page_volumes=12 validate.page_slices=4",
        ],
    ),
    "calibrate": Command(
        calibrate,
        _calibrate_arguments,
        [
            "calibrate runs/generative data/held_out",
            "calibrate runs/generative data/held_out validate.level=0.8 validate.samples=4",
        ],
    ),
    "reconstruct": Command(
        reconstruct,
        _reconstruct_arguments,
        [
            "reconstruct runs/baseline data/phantoms/singlecoil_val out --slice 4 --acceleration 8",
            "reconstruct runs/baseline/checkpoints/best.pt file1000001.h5 out",
            "reconstruct runs/generative file1000001.h5 out --slice 4 --samples 8 model.amplitude=0.5",
            "reconstruct tv file1000001.h5 out --acceleration 8 'classical.tv_weights={8: 0.01}'",
        ],
    ),
    "compare": Command(
        compare,
        _compare_arguments,
        [
            "compare runs/baseline runs/unet runs/generative --out img",
            "compare runs/baseline runs/generative --out img --fname file1000001.h5 --slice 18 --volumes 4",
        ],
    ),
    "report": Command(
        report,
        _report_arguments,
        [
            "report runs/baseline runs/generative --out report.pdf",
            "report runs/baseline runs/generative --figures img --out report.pdf",
            "report runs/baseline runs/generative --ablations runs/ablation/* --out report.pdf",
            "report runs/baseline --benchmark runs/benchmark/*.json --out report.pdf",
        ],
    ),
    "benchmark": Command(
        benchmark,
        _benchmark_arguments,
        [
            "benchmark config/baseline.yaml",
            "benchmark config/unet.yaml --data data/phantoms --only data --workers 0,2,4",
            "benchmark config/unet.yaml --batch-sizes 1,8 --compile off,default --peer-python PATH",
        ],
    ),
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; argparse itself ends with exit code 2 on a wrong one."""
    parser = argparse.ArgumentParser(prog="main.py", description="Extreme accelerated MRI, x4 to x32.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        assert command.run.__doc__
        about = command.run.__doc__.splitlines()[0]
        sub = subparsers.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog="\n".join(["examples:", *(f"  python main.py {example}" for example in command.examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(sub)
    if arguments and arguments[0] in COMMANDS:  # options may stand between positional arguments
        chosen = subparsers.choices[arguments[0]]
        return chosen.parse_intermixed_args(arguments[1:], argparse.Namespace(command=arguments[0]))
    return parser.parse_args(arguments)


def _console(quiet: bool = False) -> None:
    """Log to the console without breaking progress bars; quiet leaves warnings and errors."""
    from loguru import logger
    from tqdm import tqdm

    logger.remove()
    logger.configure(patcher=lambda record: record.update({"message": shown(record["message"])}))
    logger.add(
        lambda text: tqdm.write(text, file=sys.stderr, end=""),
        format="<dim>{time:HH:mm:ss}</dim> <level>{message}</level>",
        level="WARNING" if quiet else "INFO",
        colorize=sys.stderr.isatty(),
    )


def explain(error: Exception) -> str:
    """An error in the user's words: what a loader's process met, without its traceback."""
    text = str(error).strip()
    if "in DataLoader worker process" in text:
        text = text.splitlines()[-1].partition(": ")[2]
    return shown(text)


def shown(text: str) -> str:
    """The text with a ? for what a terminal would obey: names of files and in them may hold anything."""
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def explain_memory(error: RuntimeError) -> str | None:
    """What to do where memory ran out; None of another error."""
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported here
        return (
            "the GPU's memory is too small; lower data.batch_size or validate.batch_size, or data.crop_rows"
        )
    if re.search(r"DataLoader worker.*(is killed by signal|exited unexpectedly)", str(error), re.DOTALL):
        from trainer.feed import LOST_READER

        return LOST_READER
    return None


def main(arguments: list[str]) -> int:
    """Run one command; gives the exit code: 2 for what the user can mend, told without a traceback."""
    options = vars(parse(arguments))
    command = COMMANDS[options.pop("command")]
    try:
        return command.run(**options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        print(f"error: {error}; pip install -r requirements.txt brings what is needed", file=sys.stderr)
        return 2
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        advice = explain_memory(error)
        if advice is None:
            raise
        print(f"error: {advice}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
