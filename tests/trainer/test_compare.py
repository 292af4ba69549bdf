"""Comparison promises: figures follow runs and configs, statistics are the textbook's, like with like."""

import copy
import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loguru import logger
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import wilcoxon

from config.load import changed
from fastmri.spectrum import RINGS
from main import main
from trainer.comparison import press
from trainer.comparison.compare import common_rows, compare_validated, draw_numbers
from trainer.comparison.curves import Curve, _draw_loss, loss_curves, metric_curves, smooth
from trainer.comparison.gallery import reconstruct_slice
from trainer.comparison.gallery_figure import gallery_figure
from trainer.comparison.paired import (
    Difference,
    Paired,
    compare_records,
    format_differences,
    paired,
    paired_words,
)
from trainer.comparison.records import read_records
from trainer.comparison.spectra import Spectrum, draw_spectra, read_spectra
from trainer.comparison.spread_curves import read_tuning, tuning_figure
from trainer.comparison.tradeoff import AMPLITUDES, measure, spread_out, stored_means
from trainer.data import find_volumes
from trainer.distributed import Process
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.figures import WARNING
from trainer.evaluation.intervals import RESAMPLES
from trainer.report.findings import result_rows

CPU = torch.device("cpu")
FIGURES = {
    "calibration.png",
    "spectra.png",
    "spread.png",
    "loss_metric.png",
    "reconstruction.png",
    "baseline.png",
    "generative.png",
    "distortion_perception.png",
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_run, generative_run) -> list[Path]:
    """A baseline and a generative run on it, both validated."""
    folder = tmp_path_factory.mktemp("compare")
    found = [folder / "cascade", folder / "texture"]
    for run, place in zip((tiny_run, generative_run), found, strict=True):
        shutil.copytree(run, place, ignore=shutil.ignore_patterns("validate"))
    for run in found:
        assert main(["validate", str(run)]) == 0
    return found


@pytest.fixture(scope="module")
def out(tmp_path_factory, runs) -> Path:
    folder = tmp_path_factory.mktemp("img")
    assert main(["compare", *map(str, runs), "--out", str(folder), "--volumes", "1"]) == 0
    return folder


@pytest.fixture
def records(runs):
    return read_records(runs, CPU)


@pytest.fixture
def copied(runs, tmp_path) -> Path:
    """The generative run, free to be changed."""
    return shutil.copytree(runs[1], tmp_path / "copied")


def change_metrics(run: Path, change) -> None:
    path = run / "validate" / "metrics.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_every_figure_is_there_and_not_blank(out):
    assert {path.name for path in out.iterdir()} == FIGURES | {"compare.json", "compare.csv"}
    for name in FIGURES:
        pixels = np.asarray(Image.open(out / name).convert("L"))
        assert min(pixels.shape) > 400
        assert pixels.std() > 5
        assert len(np.unique(pixels)) > 10


def test_curves_are_those_of_metrics_jsonl(records):
    losses = loss_curves(records)
    assert next(iter(losses)) == "total"
    assert {curve.run for curve in losses["total"]} == {0, 1}
    assert {curve.run for curve in losses["kl"]} == {1}
    lines = [line for line in records[0].history if line["kind"] == "train"]
    assert losses["total"][0].steps == [line["step"] for line in lines]
    assert losses["total"][0].values == [line["total"] for line in lines]
    metrics = metric_curves(records)
    assert set(metrics) == {(metric, r) for metric in ("psnr", "ssim") for r in (4, 8)}
    assert {(c.run, c.method) for c in metrics["psnr", 8]} == {
        *((0, method) for method in ("zero_filled", "model")),
        *((1, method) for method in ("zero_filled", "baseline", "mean_4", "sample")),
    }


def test_smoothing_leaves_a_constant_and_a_short_curve_alone():
    assert smooth([3.0] * 100) == pytest.approx([3.0] * 100)
    assert smooth([1.0, 5.0, 2.0]) == pytest.approx([1.0, 5.0, 2.0])
    noise = np.random.default_rng(0).standard_normal(400)
    assert smooth(list(noise)).std() < 0.3


def test_the_slice_is_that_of_validate_and_shared_rows_are_drawn_once(records):
    volume = find_volumes(records[0].config, "val")[0]
    gallery = reconstruct_slice(records, volume, 1, CPU)
    titles = [row.title for row in gallery.rows]
    # the frozen baseline within is the first run's image
    assert titles == ["zero-filled", "cascade", "texture, mean of 4 samples", "texture, sample"]
    assert {r for row in gallery.rows for r in row.images} == {4, 8}
    figure = gallery_figure(gallery)
    assert WARNING in figure.get_suptitle()
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 2 * (2 * len(titles) + 1)
    target = shown[-1].images[0]
    assert np.array_equal(np.asarray(target.get_array()), gallery.target[::-1])  # upright
    assert {axis.images[0].get_clim() for axis in shown[::4]} == {target.get_clim()}  # one window
    assert all("/" in axis.get_xlabel() for axis in shown[:2])


def test_the_knob_goes_from_the_baseline_to_a_sample(records):
    volumes = find_volumes(records[0].config, "val")
    points = measure(records, volumes, CPU)
    for r in (4, 8):
        found = {(p.title, p.amplitude): p for p in points if p.acceleration == r}
        knob = [found["texture, sample", a] for a in AMPLITUDES]
        assert knob[0].psnr == pytest.approx(found["cascade", None].psnr, abs=1e-4)
        assert knob[0].power_ratio < knob[-1].power_ratio
        for method, point in (("sample", knob[-1]), ("mean_4", found["texture, mean of 4 samples", None])):
            values = [
                v["psnr"]
                for v in records[1].summary["volumes"]
                if (v["method"], v["acceleration"]) == (method, r)
            ]
            assert point.psnr == pytest.approx(np.mean(values), abs=1e-4)


def test_the_knob_is_turned_without_drawing_again(records):
    """And to what the model itself gives at that amplitude."""
    volumes, (_, record) = find_volumes(records[0].config, "val")[:1], records[:2]
    drawn: list[int] = []
    hook = record.model.mapping.register_forward_hook(lambda *_: drawn.append(1))
    points = [p for p in measure([record], volumes, CPU) if p.amplitude == 0.25]
    slices = volumes[0].num_slices * len(record.config.masks.accelerations)
    assert len(drawn) <= 2 * slices  # two draws a sample where gains were settled
    hook.remove()
    turned = copy.copy(record.model)
    turned.amplitude = 0.25
    config = changed(record.config, validation={"samples": 1})
    expected = {
        score.acceleration: score.metrics.psnr
        for score in evaluate(turned, volumes, config, Process(CPU)).scores
        if score.method == "sample"
    }
    assert {p.acceleration: p.psnr for p in points} == pytest.approx(expected, abs=1e-4)


def test_volumes_are_spread_over_the_list():
    assert spread_out(list(range(12)), 3) == [0, 4, 8]
    assert spread_out(list(range(2)), 5) == [0, 1]


def test_no_two_lines_of_a_figure_look_alike():
    styles = [tuple(press.line(k).values()) for k in range(3 * len(press.COLORS))]
    assert len(set(styles)) == len(styles)


def test_spectra_are_drawn_where_they_are_told(copied, tmp_path):
    record = read_records([copied], CPU)[0]
    row = {"method": "sample", "acceleration": 4, "power_ratio": [0.0] + [0.5] * (RINGS - 1)}
    row |= {"correlation": [0.0] + [0.2] * (RINGS - 1)}
    nothing = row | {"method": "zero_filled", "power_ratio": [0.0] * RINGS}
    record = record._replace(summary=record.results | {"spectra": [row, nothing]})
    (spectrum,) = read_spectra([record])
    assert spectrum.title == "copied, sample"
    assert np.isnan(spectrum.power_ratio[0])  # all of that ring was measured
    assert spectrum.power_ratio[1] == 0.5
    assert len(read_spectra([record, record._replace(label="again")])) == 1  # as a frozen baseline would be
    assert draw_spectra(tmp_path / "spectra.png", [spectrum]).stat().st_size > 1000
    record.results.pop("spectra")
    record.results.pop("reliability")
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    assert draw_numbers([record._replace(history=[])], tmp_path) == []
    logger.remove(sink)
    assert "copied: no metrics.jsonl, so no curves of its training" in lines[0]
    assert "spectra.png is left out: no run's validate/metrics.json has spectra" in lines[1]
    assert "copied: not in calibration.png; `validate` it again, with samples" in lines[2]


def test_the_legend_of_spectra_has_every_method_whatever_its_accelerations(monkeypatch, tmp_path):
    monkeypatch.setattr(press, "write", lambda figure, path: figure)
    rings = np.full(RINGS, 0.5)
    found = [Spectrum("one", 4, rings, rings), Spectrum("one", 8, rings, rings)]
    figure: Any = draw_spectra(tmp_path, [*found, Spectrum("other", 8, rings, rings)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "other"]


def test_a_run_that_was_not_validated_is_told_and_left_out(records, tmp_path):
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    written = compare_validated([records[0]._replace(summary=None)], [], tmp_path)
    logger.remove(sink)
    assert json.loads(written[0].read_text())["differences"] == []
    assert "cascade: not validated, so not in the tables; `validate` it first" in lines[0]
    assert stored_means(records[0]._replace(summary=None), []) == []


def test_a_difference_over_one_volume_is_told_without_an_interval():
    assert paired_words(paired([0.5]), ".2f") == ["+0.50", "", ""]


@pytest.mark.parametrize(("last", "scale"), [(0.5, "linear"), (1e-3, "log")])
def test_losses_of_many_decades_are_on_a_logarithmic_axis(last, scale):
    axis = Figure().subplots()
    _draw_loss(axis, "total loss", [Curve(0, "", [*range(100)], np.geomspace(1, last, 100).tolist())])
    assert axis.get_yscale() == scale
    low, high = axis.get_ylim()
    assert low < last
    assert high > 0.9


def test_statistics_are_those_by_hand():
    values = [0.3, -0.1, 0.8, 0.25, 0.4, 0.0, 1.1]
    found = paired(values)
    rng = np.random.default_rng(0)
    means = [np.mean([values[k] for k in row]) for row in rng.integers(7, size=(RESAMPLES, 7))]
    assert found.volumes == 7
    assert found.mean == pytest.approx(np.mean(values))
    assert found.low == pytest.approx(np.percentile(means, 2.5))
    assert found.high == pytest.approx(np.percentile(means, 97.5))
    assert found.p == wilcoxon(values).pvalue


def told(found: Paired) -> tuple[float, float, float]:
    """Interval and p, of several volumes."""
    assert found.low is not None
    assert found.high is not None
    assert found.p is not None
    return found.low, found.high, found.p


def test_a_shift_is_significant_and_noise_is_not():
    rng = np.random.default_rng(3)
    low, high, p = told(paired(list(0.5 + 0.05 * rng.standard_normal(12))))
    assert p < 0.001
    assert 0.4 < low < high < 0.6
    low, high, p = told(paired(list(0.05 * rng.standard_normal(12))))
    assert p > 0.05
    assert low < 0 < high
    assert paired([1e-7] * 12).p == 1.0  # rounding is no difference
    assert paired([0.4])[:3] == (1, 0.4, None)


def test_differences_are_of_the_volumes_in_metrics_json(runs, out):
    content = json.loads((out / "compare.json").read_text())
    assert [run["label"] for run in content["runs"]] == ["cascade", "texture"]
    assert content["runs"][1]["rows"] == json.loads((runs[1] / "validate/metrics.json").read_text())["rows"]
    pairs = {(d["method"], d["minus"]) for d in content["differences"]}
    assert {("cascade", "texture, sample"), ("texture, sample", "texture, baseline")} <= pairs
    assert ("cascade", "zero-filled") in pairs
    scores = {}
    for run in runs:
        for v in json.loads((run / "validate/metrics.json").read_text())["volumes"]:
            scores[run.name, v["method"], v["acceleration"], v["fname"]] = v
    for found in content["differences"]:
        if (found["method"], found["minus"]) == ("cascade", "texture, sample"):
            r, metric = found["acceleration"], found["metric"]
            expected = {
                name: scores["cascade", "model", r, name][metric]
                - scores["texture", "sample", r, name][metric]
                for name in found["per_volume"]
            }
            assert found["per_volume"] == expected
            assert found["mean"] == pytest.approx(np.mean(list(expected.values())))
            assert found["volumes"] == 3
    lines = list(csv.DictReader((out / "compare.csv").open()))
    assert [float(line["mean"]) for line in lines] == [d["mean"] for d in content["differences"]]


def test_a_shared_row_is_the_first_run_s_and_says_where_another_is_of_fewer_volumes(records):
    rows = [row | {"volumes": 2} for row in records[0].results["rows"]]
    rows = [row | {"psnr": row["psnr"] | {"mean": row["psnr"]["mean"] + 1}} for row in rows]
    fewer = records[0]._replace(label="fewer", summary=records[0].results | {"rows": rows})
    expected = {"zero-filled": 3, "cascade": 3, "zero-filled (of 2)": 2, "fewer (of 2)": 2}
    found = result_rows([records[0], fewer])
    assert {title: row[8]["volumes"] for title, row in found.items()} == expected
    assert {row["method"]: row["volumes"] for row in common_rows([records[0], fewer])} == expected


def test_only_common_volumes_are_paired(runs, copied):
    def forget(content):
        content["volumes"] = [v for v in content["volumes"] if v["fname"] != "file1000005.h5"]

    change_metrics(copied, forget)
    differences = compare_records(read_records([runs[0], copied], CPU))
    across = [d for d in differences if (d.method, d.minus) == ("cascade", "copied, sample")]
    assert {(d.acceleration, d.metric) for d in across} == {(r, m) for r in (4, 8) for m in ("psnr", "ssim")}
    assert {d.result.volumes for d in across} == {2}
    assert all(set(d.per_volume) == {"file1000004.h5", "file1000006.h5"} for d in across)
    table = format_differences(differences)
    assert "cascade - copied, sample" in table
    assert "3 volumes are too few: no p can be below 0.25." in table


def test_a_single_volume_has_no_p_and_no_word_of_one():
    alone = [Difference("a", "b", 4, metric, paired([0.5]), {"f": 0.5}) for metric in ("psnr", "ssim")]
    table = format_differences(alone)
    assert "+0.50" in table
    assert "too few" not in table


def other_masks(content):
    content["masks"]["kind"] = "equispaced"


def other_fractions(content):
    content["masks"]["center_fractions"] = [0.1, 0.04]


def other_data(content):
    for volume in content["volumes"]:
        volume["psnr"] += 1


def other_volumes(content):
    for volume in content["volumes"]:
        volume["fname"] = f"other_{volume['fname']}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_masks, "equispaced masks at x4, x8, there random masks at x4, x8"),
        (other_fractions, "center fraction at x4 0.1, there 0.08"),
        (other_data, "zero-filled file1000004.h5 at x4 has"),
        (other_volumes, "no volume in common"),
    ],
)
def test_runs_validated_on_other_data_are_not_compared(runs, copied, tmp_path, capsys, change, message):
    change_metrics(copied, change)
    assert main(["compare", str(runs[0]), str(copied), "--out", str(tmp_path / "out")]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(error) == 1
    assert "copied was validated on other data or masks than cascade: " in error[0]
    assert message in error[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "RUN/checkpoints/best.pt"], "named twice"),
        (["RUN", "--fname", "file9.h5"], "--fname file9.h5: not among the 3 validation volumes"),
        (["RUN", "--slice", "7"], "has slices 0 to 2"),
        (["RUN", "--data", "/nowhere"], "/nowhere: no such file or folder"),
        (["/nowhere"], "neither a checkpoint nor a run directory"),
    ],
)
def test_wrong_requests_end_with_2_and_nothing_written(runs, tmp_path, capsys, arguments, message):
    arguments = [argument.replace("RUN", str(runs[0])) for argument in arguments]
    assert main(["compare", *arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "value"), [("step", 99), ("amplitude", 0.5)])
def test_figures_of_another_step_or_model_are_refused_and_of_an_older_program_taken(copied, name, value):
    found = read_records([copied], CPU)[0]
    assert (found.results["step"], found.results["amplitude"]) == (found.step, 1)
    change_metrics(copied, lambda content: content.update({name: value}))
    with pytest.raises(ValueError, match=f"is of {name} {value}, the run of .*; `validate` it again"):
        read_records([copied], CPU)
    change_metrics(copied, lambda content: content.pop(name))
    assert read_records([copied], CPU)[0].summary is not None


def test_validation_under_other_options_than_the_model_s_is_compared(copied):
    options = ["validate.samples=2", "data.num_workers=1", "device=auto"]
    options += ["--out", str(copied / "validate")]
    assert main(["validate", str(copied), *options]) == 0
    assert read_records([copied], CPU)[0].results["posterior"][0]["psnr"].keys() == {"1", "2"}
    turned = ["model.amplitude=0.5", *options]
    assert main(["validate", str(copied), *turned]) == 0
    with pytest.raises(ValueError, match=r"metrics\.json: is of amplitude 0\.5, the run of 1\.0"):
        read_records([copied], CPU)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({}, "data: Field required"),
        ([], "all of it: Input should be"),
        (None, "all of it: Input should be"),
        ({"rows": []}, "rows: List should have at least 1 item"),
        ({"rows": [{"method": "sample"}]}, "rows.0.acceleration: Field required"),
        ({"volumes": [{}]}, "volumes.0.method: Field required"),
        ({"masks": {"kind": "none"}}, "masks.kind: Input should be"),
    ],
)
@pytest.mark.parametrize("command", ["compare", "report"])
def test_metrics_that_validate_did_not_write_are_named(command, content, fault, copied, tmp_path, capsys):
    path = copied / "validate" / "metrics.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | content if content else content))
    out = tmp_path / {"compare": "out", "report": "out.pdf"}[command]
    assert main([command, str(copied), "--out", str(out)]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert error.startswith(f"error: {path}: not as `validate` writes it ({fault}")


def test_runs_without_a_common_zero_filled_row_are_not_compared(runs, copied, tmp_path, capsys):
    def forget(content):
        content["volumes"] = [v for v in content["volumes"] if v["method"] != "zero_filled"]

    change_metrics(copied, forget)
    assert main(["compare", str(runs[0]), str(copied), "--out", str(tmp_path / "out")]) == 2
    assert "no volume in common" in capsys.readouterr().err


def test_damaged_metrics_are_named(copied, tmp_path, capsys):
    (copied / "validate" / "metrics.json").write_text("{")
    assert main(["compare", str(copied), "--out", str(tmp_path / "out")]) == 2
    assert "copied: metrics.jsonl or validate/metrics.json is not JSON" in capsys.readouterr().err


def test_how_the_spread_was_tuned_is_as_the_run_logged_it(runs):
    """A panel of betas and one of gains an acceleration; runs that tune nothing have none."""
    records = read_records(runs, CPU)
    found = read_tuning(records)
    assert [(each.title, each.acceleration) for each in found] == [("texture", 4), ("texture", 8)]
    lines = [line for line in records[1].history if line["kind"] == "tune"]
    for each in found:
        assert each.steps == [line["step"] for line in lines]
        assert each.gaps == [line[f"gap_x{each.acceleration}_image"] for line in lines]
        for (band, part), values in each.betas.items():
            assert values == [line[f"beta_x{each.acceleration}_band{band}_{part}"] for line in lines]
        assert each.settled is not None
        assert each.settled[0] == 6
    axes = tuning_figure(found).axes
    assert [axis.get_title() for axis in axes] == ["x4", "x8", "", ""]
    assert [len(axis.lines) for axis in axes] == [len(each.betas) for each in found] + [3, 3]
