"""The model of many processes: its arithmetic, and that it finds what limits."""

import pytest
import torch

from config.schema import Config
from main import main
from tests.trainer.conftest import TINY, write_config
from trainer.benchmark import pair
from trainer.benchmark.efficiency import efficiencies, ring_figures
from trainer.benchmark.scaling import (
    KNEE_SLICES,
    MEANING,
    Assumptions,
    Measured,
    Step,
    assumptions,
    beyond,
    epoch_row,
    ring_seconds,
    step_of,
    step_row,
)
from trainer.data import find_volumes
from trainer.distributed import Process
from trainer.state import make_state

ADVERSARIAL = {"adversarial": {"weight": 0.01, "filters": [4, 8]}}
KEPT = {"complex64": 1.35e6, "half": 0.88e6}
DEVICE = Measured(0.1, 8, 1_000_000, 2, 2e6, KEPT, 16_000_000, 1000)
FREE = Assumptions(8, 1e30, 1e30, 1e30, 0.0, 0.0)  # where nothing but computing takes time


def test_without_costs_rates_are_in_proportion_to_the_number_of_gpus():
    one = step_row(DEVICE, 1, "float32", FREE)
    assert one["slices_per_second"] == pytest.approx(80)
    for gpus in (8, 64, 512):
        row = step_row(DEVICE, gpus, "float32", FREE)
        assert row["slices_per_second"] == pytest.approx(gpus * one["slices_per_second"])
        assert row["efficiency"] == pytest.approx(1)
        assert row["limit"] == "compute"


def test_a_ring_sends_twice_the_buffer_but_an_nth():
    assert ring_seconds(1, 1e9, 1.0, 1.0) == 0
    assert ring_seconds(4, 1e9, 1e9, 0) == pytest.approx(2 * 3 / 4)
    assert ring_seconds(4, 0, 1e9, 0.5) == pytest.approx(2 * 3 * 0.5)


def test_between_hosts_the_slower_link_counts():
    assumed = Assumptions(link_latency=0, network_latency=0)
    within, across = (step_of(DEVICE, gpus, 4, assumed).exchange for gpus in (8, 64))
    assert within == pytest.approx(2 * 7 / 8 * 4e6 / 50e9)
    assert across == pytest.approx(2 * 63 / 64 * 4e6 / 25e9)
    assert step_of(DEVICE, 64, 2, assumed).exchange == pytest.approx(across / 2)  # bf16


def test_the_exchange_is_not_hidden_and_reading_is():
    assert Step(1, 2, 2.5, 0).seconds == 3
    assert Step(1, 2, 4, 0.5).seconds == 4.5
    limits = {
        "compute": (3, 2, 4, 0),
        "exchange": (2, 3, 4, 1),
        "reading": (2, 3, 6, 1),
        "saving": (2, 3, 4, 5),
    }
    assert {name: Step(*parts).limit for name, parts in limits.items()} == {name: name for name in limits}


def test_read_at_the_bandwidth_that_is_asked_for_nothing_waits():
    slow = Assumptions(storage_bandwidth=1e6)
    assert step_row(DEVICE, 64, "float32", slow)["limit"] == "reading"
    needed = step_row(DEVICE, 64, "float32", slow)["host_bandwidth"]
    step = step_of(DEVICE, 64, 4, slow._replace(storage_bandwidth=needed))
    assert step.reading == pytest.approx(step.compute + step.exchange)
    assert step_row(DEVICE, 64, "float32", slow)["total_bandwidth"] == pytest.approx(8 * needed)


def test_a_pass_goes_once_through_all_slices_and_grows_with_them():
    found = {times: epoch_row(DEVICE, 64, times, Assumptions()) for times in (1, 10)}
    assert found[1]["steps"] * 64 * DEVICE.slices == pytest.approx(KNEE_SLICES)
    for name in ("seconds", "cached_seconds", "steps", "kspace_bytes"):
        assert found[10][name] == pytest.approx(10 * found[1][name])
    assert found[1]["cache_bytes"]["complex64"] == pytest.approx(8 * found[1]["share_bytes"]["complex64"])
    few = epoch_row(DEVICE, 64, 1, Assumptions(host_memory=20e9))
    assert few["fits"] == {"complex64": False, "half": False}  # 47 and 31 GB
    assert few["share_fits"] == {"complex64": True, "half": True}


def test_a_slow_disk_costs_nothing_once_slices_are_kept():
    row = epoch_row(DEVICE, 8, 1, Assumptions(storage_bandwidth=1e7, link_latency=0))
    step = step_of(DEVICE, 8, 4, Assumptions(storage_bandwidth=1e7, link_latency=0))
    assert row["seconds"] == pytest.approx(row["steps"] * (step.reading + step.saving))
    assert row["cached_seconds"] == pytest.approx(row["steps"] * (0.1 + step.exchange + step.saving))


def test_another_device_may_be_assumed():
    found = beyond(DEVICE, Assumptions(device_rate=320, device_slices=32))
    assert found["steps"][0]["slices_per_second"] == pytest.approx(320, rel=1e-3)
    assert found["device"]["step_seconds"] == pytest.approx(0.1)
    assert DEVICE.on(Assumptions()) == DEVICE


def test_every_assumption_has_a_unit_and_can_be_set():
    assert set(MEANING) == set(Assumptions._fields)
    assert assumptions(["gpus_per_host=4", "storage_bandwidth=5e8"]) == Assumptions(
        gpus_per_host=4, storage_bandwidth=5e8
    )


@pytest.mark.parametrize("given", ["lunch=1", "gpus_per_host=1.5", "storage_bandwidth=0", "host_memory=much"])
def test_an_assumption_that_can_not_be_ends_with_2_and_one_line(given, tiny_data, tmp_path, capsys):
    config = write_config(tmp_path / "tiny.yaml", tiny_data)
    assert main(["benchmark", str(config), "--assume", given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --assume: ")
    assert line.endswith(f"got '{given if given == 'lunch=1' else given.partition('=')[2]}'")


def test_efficiency_is_of_rounds_and_of_slices():
    cases = [
        {"processes": 1, "cores": 2, "rounds": [[1.0, 1.0, 1.0], [2.0, 2.0, 9.0], [3.0, 3.0, 3.0]]},
        {"processes": 2, "cores": 2, "rounds": [[2.0, 2.0, 2.0], [2.5, 2.5, 2.5], [3.0, 3.0, 3.0]]},
        {"processes": 1, "cores": 4, "rounds": [[0.8, 0.8, 0.8], [1.5, 1.5, 1.5], [1.5, 1.5, 1.5]]},
    ]
    found = efficiencies(cases)
    assert found["equal_cores"]["median"] == pytest.approx(0.8)  # of 0.5, 0.8 and 1
    assert (found["equal_cores"]["low"], found["equal_cores"]["high"]) == (0.5, 1)
    assert found["all_cores"]["median"] == pytest.approx(1)  # of 0.8, 1.2 and 1
    assert efficiencies(cases[:1]) == {}


def test_a_ring_s_bandwidth_and_latency_explain_what_they_were_found_by():
    bandwidth, latency, size = 2e9, 1e-4, 2**26
    row = {
        "exchange": {},
        "large": {"median": ring_seconds(2, size, bandwidth, latency)},
        "single": {"median": 2 * latency},
        "large_bytes": size,
        "exchanged_bytes": 4e6,
        "exchanges": 2,
    }
    found = ring_figures(row)
    assert found["bandwidth"] == pytest.approx(bandwidth)
    assert found["latency"] == pytest.approx(latency)
    assert found["exchange_predicted"] == pytest.approx(
        ring_seconds(2, 4e6, bandwidth, latency) + 2 * latency
    )


@pytest.mark.parametrize("parts", [{}, ADVERSARIAL])
def test_a_step_makes_as_many_exchanges_as_are_counted(parts, tiny_data, monkeypatch):
    """As one of two processes, whose sums are its own."""
    config = Config.model_validate(TINY | parts | {"data": TINY["data"] | {"path": str(tiny_data)}})
    process, calls = Process(torch.device("cpu"), 0, 2), []
    volumes = find_volumes(config, "train")
    state = make_state(config, process, pretrained=False)
    measured = pair.Pair(config, volumes, state, process, 1, [0, 1])
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda *tensors: calls.append(tensors))
    monkeypatch.setattr(pair, "time_together", lambda call, *_: [call()])
    pair.measure_steps(measured, process, 0.0, 1)
    assert len(calls) == measured.exchanges == 3 + len(parts)
    measured.exchange()
    assert len(calls) == 2 * measured.exchanges


def test_small_exchanges_of_a_step_cost_latency_alone():
    assumed = Assumptions(link_bandwidth=1e30, link_latency=1e-3)
    one, four = (step_of(DEVICE._replace(exchanges=count), 8, 4, assumed).exchange for count in (1, 4))
    assert one == pytest.approx(14e-3)
    assert four == pytest.approx(4 * one)
