"""The benchmark: what it measures is there, and its arithmetic is right."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import nn

from config.load import load_config
from custom_nn.generative import Generative
from main import main
from tests.trainer.conftest import SHORT, write_config
from trainer.benchmark import launch as launching
from trainer.benchmark.benchmark import benchmark
from trainer.benchmark.benchmark_tables import format_report
from trainer.benchmark.breakdown import GROUPS, Watch, group_of, profile_groups
from trainer.benchmark.efficiency import ring_figures
from trainer.benchmark.floors import Cost, Floor, Rates, count_flops
from trainer.benchmark.isolation import in_child
from trainer.benchmark.launch import launch
from trainer.benchmark.measurements import PARTS, Bench, Request, plan, step_row
from trainer.benchmark.peer import Peer
from trainer.benchmark.reading import CACHES, NO_CACHE, Source, as_read
from trainer.benchmark.throughput import Setting, as_set, make_batch, make_call
from trainer.benchmark.timing import time_calls
from trainer.data import find_volumes
from trainer.distributed import Process
from trainer.draws import evaluation_draws
from trainer.report.speed import benchmark_contents
from trainer.state import make_state

TIMES = {"median", "low", "high", "count", "first", "slices_per_second", "floor", "bound", "ratio"}


class Clock:
    """A clock that calls move."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def report(tiny_benchmark) -> dict:
    return json.loads(tiny_benchmark.read_text())


def test_every_part_is_measured(report):
    assert set(report["rows"]) == set(PARTS)
    for part in ("data", "train", "inference"):
        for row in report["rows"][part]:
            assert row.keys() >= TIMES, row
            assert row["low"] <= row["median"] <= row["high"]
            assert row["ratio"] == pytest.approx(row["median"] / row["floor"])
    files = [(row["files"], row["cache"]) for row in report["rows"]["data"]]
    assert files[:2] == [("cold", "none"), ("warm", "none")]
    for row in report["rows"]["train"] + report["rows"]["inference"]:
        assert row["slices_per_second"] == pytest.approx(row["batch_size"] / row["median"])
        assert row["peak_bytes"] > 0
        assert row["cost"]["slice_flops"] > 0
    (train,), (inference,) = report["rows"]["train"], report["rows"]["inference"]
    assert train["cost"]["slice_flops"] > 2 * inference["cost"]["slice_flops"]


def test_two_processes_are_beside_one_and_many_follow_from_it(report):
    (row,) = report["rows"]["scaling"]
    cores = row["cases"][0]["cores"]
    wanted = [(1, cores), (2, cores), (1, 2 * cores)][: 1 if row["alone"] else 3]
    assert [(case["processes"], case["cores"]) for case in row["cases"]] == wanted
    for case in row["cases"]:
        assert len(case["rounds"]) > 1
        assert all(min(found) > 0 for found in case["rounds"])
        rate = case["processes"] * row["slices"] / case["median"]
        assert case["slices_per_second"] == pytest.approx(rate)
    assert row["exchanged_bytes"] == 4 * row["gradient_values"] < row["checkpoint"]["bytes"]
    device = row["beyond"]["device"]
    assert device["step_seconds"] == pytest.approx(row["cases"][0]["median"])
    assert [found["gpus"] for found in row["beyond"]["steps"]] == [1, 8, 8, 64, 64, 512, 512]
    if row["alone"]:
        assert row["efficiency"] == {}
    else:
        assert 0 < row["efficiency"]["equal_cores"]["low"] <= row["efficiency"]["equal_cores"]["high"]
        assert row["bandwidth"] > 0
        assert row["exchange"]["median"] > 0


def test_processes_that_fail_are_told(tmp_path):
    (tmp_path / "config.yaml").write_text("device: cpu\n")
    found = launch(tmp_path, 1, 0.1, 1, limit=60)
    assert found["failed"].startswith("data.path: not set")


def test_shares_add_up_to_one(report):
    (row,) = report["rows"]["breakdown"]
    assert list(row["shares"]) == ["data wait", "transfer and mask", "forward", "backward", "optimizer"]
    assert row["shares"].keys() == row["ms"].keys()
    assert min(row["ms"].values()) > 0
    assert set(row["groups"]) == set(GROUPS)
    assert sum(row["shares"].values()) == pytest.approx(1)
    assert sum(row["groups"].values()) == pytest.approx(1)
    assert min(row["groups"].values()) > 0


def test_a_step_measured_when_transfer_was_a_part_of_waiting_can_still_be_told(report):
    (row,) = report["rows"]["breakdown"]
    old = {name: {k: v for k, v in row[name].items() if "transfer" not in k} for name in ("ms", "shares")}
    found = report | {"rows": {"breakdown": [row | old]}}
    parts = [line[0] for line in benchmark_contents(found)["tables"]["breakdown"]["lines"]]
    assert parts == ["data wait", "forward", "backward", "optimizer"]
    assert "transfer" not in format_report(found)
    assert "transfer and mask" in format_report(report)


def test_the_json_tells_where_it_is_from(report):
    assert report["command"].startswith("python main.py benchmark ")
    assert report["torch"] == torch.__version__
    assert "cores" in report["machine"]
    assert len(report["config_sha256"]) == 64
    assert report["volumes"] == {"count": 2, "slices": 4, "kspace": [[64, 48]], "simulated": True}
    assert report["floor_leaves_out"]
    assert report["files"]["cold_note"]


def test_the_tables_have_a_line_for_every_row(report):
    text = format_report(report)
    for word in ("GFLOP/s", "cold", "train", "inference", "data wait", "physics", "leaves out"):
        assert word in text
    assert "official" not in text  # nobody asked for it


def test_failures_are_told_in_the_tables(report, tiny_data):
    found = Peer(Path(sys.executable), tiny_data, "cpu", 0.1, 60).step("train", 1, 32, 32)
    assert found == {"failed": "ModuleNotFoundError: No module named 'fastmri'"}
    row = report["rows"]["train"][0]
    failed = {"part": "train", "batch_size": 1, "precision": "bf16", "compile": "off", "failed": "why not"}
    rows = {"train": [failed, row | {"official": found}]}
    text = format_report(report | {"rows": rows})
    assert "why not" in text
    assert "No module named 'fastmri'" in text


def test_what_takes_too_long_is_told_in_every_table(report, tiny_data, tmp_path):
    config = load_config(write_config(tmp_path / "tiny.yaml", tiny_data))
    hasty = Request([*PARTS], -45.0, [2], [0], ["float32"], ["off"], 2, 2, (64, 48), [], None)
    assert hasty.limit == 0
    bandwidths, volumes = {"cold": 1.0, "warm": 1.0}, find_volumes(config, "train")
    bench = Bench(config, volumes, "cpu", hasty, Rates(1.0, {"float32": 1.0}), bandwidths, None)
    rows: dict[str, list] = {part: [] for part in PARTS}
    for part, measure in plan(bench):
        rows[part].append(measure())
    found = [row for part in PARTS for row in rows[part]]
    assert all(row["failed"] == "took more than 0 s" for row in found)
    assert format_report(report | {"rows": rows}).count("took more than 0 s") == len(found)
    with pytest.raises(ValueError, match="the rates of cpu can't be measured: took more than 0 s"):
        benchmark(config, hasty._replace(peer=Path(sys.executable)), torch.device("cpu"))


def test_precisions_that_a_cpu_does_not_train_in_are_told(tiny_data, tmp_path):
    config = load_config(write_config(tmp_path / "tiny.yaml", tiny_data))
    with pytest.raises(ValueError, match="is for CUDA alone"):
        as_set(config, Setting("train", 1, "bf16", "off"), torch.device("cpu"))


def test_the_official_package_is_asked_for_the_same_work(report, tiny_data, tmp_path):
    config = load_config(write_config(tmp_path / "tiny.yaml", tiny_data))
    plain = Source("warm", NO_CACHE, 0, "plain")
    assert as_read(config, plain).data.crop_rows is None
    other = tmp_path / "python"
    other.write_text("""#!/bin/sh\nprintf '{"median": 0.5, "asked": "%s"}' "$*"\n""")
    other.chmod(0o700)
    peer = Peer(other, tiny_data, "cpu", 0.1, 60)
    found = peer.reading(config, plain)
    assert found["median"] == 0.5
    assert f"data --root {tiny_data} --files warm --workers 0 --batch-size 2 --mask random" in found["asked"]
    assert "--accelerations 4 8 --center-fractions 0.08 0.04" in found["asked"]
    row = report["rows"]["train"][0] | {"median": 0.25, "official": found}
    assert "2.00" in format_report(report | {"rows": {"train": [row]}})
    other.write_text("#!/bin/sh\nexec sleep 60\n")
    assert peer._replace(limit=0.1).step("train", 1, 32, 32) == {"failed": "took more than 0 s"}


def test_a_launcher_ends_with_its_limit_and_is_killed_where_it_does_not(tmp_path, monkeypatch):
    assert launch(tmp_path, 1, 0.1, 1, limit=0.01) == {"failed": "took more than 0 s"}
    monkeypatch.setattr(launching, "GRACE", 0.1)
    deaf = subprocess.Popen(["sh", "-c", "trap '' TERM; echo; exec sleep 60"], stdout=subprocess.PIPE)
    assert deaf.stdout is not None
    deaf.stdout.readline()
    launching.end(deaf)
    assert deaf.wait(10) == -signal.SIGKILL


def test_where_there_is_one_core_two_processes_are_not_measured():
    assert "two processes need 2000000 cores, there is " in str(launching.why_alone("cpu", 10**6))
    assert ring_figures({}) == {}


def test_data_of_ones_own(tiny_data, tmp_path):
    config, out = write_config(tmp_path / "tiny.yaml", tmp_path), tmp_path / "b.json"
    asked = [str(config), *SHORT, "--data", str(tiny_data), "--volumes", "2", "--only", "data"]
    asked += ["--workers", "1"]
    assert main(["benchmark", *asked, "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["volumes"]["count"] == 2
    assert not found["volumes"]["simulated"]
    assert set(found["rows"]) == {"data"}
    assert len(found["rows"]["data"]) == 1 + len(CACHES)


@pytest.mark.parametrize(
    ("option", "value"), [("--only", "data,lunch"), ("--precisions", "int4"), ("--compile", "off,hard")]
)
def test_an_unknown_name_ends_with_2_and_one_line(option, value, tiny_data, tmp_path, capsys):
    config = write_config(tmp_path / "tiny.yaml", tiny_data)
    assert main(["benchmark", str(config), option, value]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {option}: must be of ")
    assert line.endswith(f"got '{value.split(',')[-1]}'")


@pytest.mark.parametrize("mode", ["off", "reduce-overhead"])
def test_a_step_records_no_graphs_where_its_compiler_is_to(mode, tiny_data, tmp_path):
    config = load_config(write_config(tmp_path / "tiny.yaml", tiny_data), ["train.compile=default"])
    process = Process(torch.device("cpu"))
    found = as_set(config, Setting("train", 1, "float32", mode), process.device)
    assert found.train.compile == mode
    assert make_state(found, process, pretrained=False).gradients._replayed.works == (mode == "off")


@pytest.mark.parametrize("name", ["data #2", "2024", "null"])
def test_a_folder_of_data_may_have_any_name(name, tiny_data, tmp_path, capsys, monkeypatch):
    config = write_config(tmp_path / "tiny.yaml", tiny_data)
    monkeypatch.chdir(tmp_path)
    assert main(["benchmark", str(config), "--data", name, "--only", "data"]) == 2
    assert f"error: {name}/singlecoil_train: no such file or folder" in capsys.readouterr().err


def test_a_python_that_is_not_there_ends_with_2(tiny_data, tmp_path, capsys):
    config = write_config(tmp_path / "tiny.yaml", tiny_data)
    assert main(["benchmark", str(config), "--peer-python", "/nowhere"]) == 2
    assert capsys.readouterr().err == "error: --peer-python: /nowhere does not exist\n"


def test_medians_are_without_the_warm_up():
    clock, durations = Clock(), iter([50.0, 40.0, 30.0, 1.0, 2.0, 9.0, 1000.0])

    def call() -> None:
        clock.now += next(durations)

    timing = time_calls(call, seconds=10, warmup=3, clock=clock)
    assert timing.median == 2
    assert timing.count == 3
    assert timing.first == 50
    assert (timing.low, timing.high) == (1.5, 5.5)


def test_calls_between_two_looks_at_the_clock_are_shared_out():
    clock = Clock()

    def call() -> None:
        clock.now += 1

    def wait() -> None:
        clock.now += 5

    timing = time_calls(call, seconds=1, together=5, wait=wait, clock=clock)
    assert timing.median == 2  # (5 * 1 + 5) / 5


def test_floors_scale_with_size():
    rates = Rates(bandwidth=10.0, flops={"float32": 100.0, "bf16": 400.0})
    cost = Cost(fixed_bytes=0, slice_bytes=20, slice_flops=1000)
    assert Floor.of(cost, 1, rates, "float32") == (10, "flops")
    assert Floor.of(cost, 4, rates, "float32") == (40, "flops")
    assert Floor.of(cost, 4, rates, "bf16") == (10, "flops")
    assert Floor.of(cost._replace(slice_bytes=200), 4, rates, "bf16") == (80, "bytes")
    assert Floor.of(Cost(500, 0, 0), 1, rates, "bf16") == Floor.of(Cost(500, 0, 0), 9, rates, "bf16")


def test_flops_of_a_known_convolution():
    convolution, image = nn.Conv2d(3, 5, 3, padding=1), torch.randn(2, 3, 16, 20, requires_grad=True)
    forward = 2 * 9 * 3 * 5 * 2 * 16 * 20
    assert count_flops(lambda: convolution(image)) == forward
    assert count_flops(lambda: convolution(image).sum().backward()) == 3 * forward  # of weights and image


def test_flops_of_a_gradient_penalty():
    """Which differentiates a module's gradient once more, as an adversary's step does."""
    convolution, image = nn.Conv2d(3, 5, 3, padding=1), torch.randn(2, 3, 16, 20, requires_grad=True)
    forward = 2 * 9 * 3 * 5 * 2 * 16 * 20

    def penalise() -> None:
        (gradient,) = torch.autograd.grad(convolution(image).sum(), image, create_graph=True)
        gradient.square().sum().backward()

    assert count_flops(penalise) >= 3 * forward  # image, gradient, and the gradient's by the weights


def test_a_step_that_no_floor_can_be_counted_of_has_its_rate(report):
    setting = Setting("train", 4, "float32", "off")
    bench = SimpleNamespace(measured=lambda *_: TIMED, peer=None, request=SimpleNamespace(seconds=0.1))
    row = step_row(cast(Bench, bench), setting, {("train", "float32"): {"failed": "why not"}})
    assert row["slices_per_second"] == 2
    assert " 2.0" in format_report(report | {"rows": {"train": [row]}})


TIMED = {"median": 2.0, "low": 2.0, "high": 2.0, "peak_bytes": 2**20, "shape": [4, 1, 32, 32]}


def test_samples_are_measured_as_a_trained_model_draws_them(generative_config):
    config = load_config(generative_config, [])
    process, setting = Process(torch.device("cpu")), Setting("inference", 1, "float32", "off")
    batch = make_batch(config, find_volumes(config, "train"), process, setting)
    state = make_state(config, process, pretrained=False)
    assert isinstance(state.average, Generative)
    with torch.inference_mode():
        once = count_flops(lambda: evaluation_draws(state.average, batch, 0, 1))
        more = count_flops(lambda: evaluation_draws(state.average, batch, 0, 2)) - once
    settled = count_flops(make_call(state, batch, config, process, setting))
    assert state.average.gains is not None
    # and the wavelets' products with it
    assert settled > once + (config.draws - 1) * more + config.draws * more


def test_a_watch_gives_what_passed_between_marks():
    clock = Clock()
    watch = Watch(lambda: None, clock)
    for forward in (1, 1, 4):
        for part, seconds in (("data wait", 1), ("forward", forward)):
            clock.now += seconds
            watch(part)
    found = watch.result()
    assert found["ms"] == {"data wait": 1000, "forward": 1000}
    assert found["shares"] == {"data wait": 3 / 9, "forward": 6 / 9}
    assert found["steps"] == 3


def test_operations_are_physics_convolutions_or_the_rest():
    image, real = torch.zeros(2, dtype=torch.complex64), torch.zeros(2)
    assert group_of("aten::convolution_backward", [real]) == "convolutions"
    assert group_of("aten::mul", [image, real]) == "physics"
    assert group_of("aten::_fft_c2r", []) == "physics"
    assert group_of("aten::mul", [real, 2.0, None]) == "rest"
    found = profile_groups(lambda: torch.fft.fft(torch.zeros(512, 512)), torch.device("cpu"))
    assert found["groups"]["physics"] > 0.3
    assert found["groups"]["convolutions"] == 0


def _sleep(seconds: float) -> dict[str, object]:
    time.sleep(seconds)
    return {}


def test_what_fails_in_a_process_of_its_own_is_told():
    assert in_child(dict, [("a", 1)], limit=60) == {"a": 1}
    assert "length 1" in in_child(dict, ["x"], limit=60)["failed"]
    assert in_child(os._exit, 3, limit=60) == {"failed": "its process ended with 3"}
    assert in_child(_sleep, 60, limit=0.2) == {"failed": "took more than 0 s"}
