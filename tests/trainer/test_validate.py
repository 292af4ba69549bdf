"""Validation promises: fastMRI's numbers, every volume once, the same whatever the batch or the folder."""

import csv
import json
import shutil

import h5py
import numpy as np
import pytest
import torch

from fastmri.contents import read_kspace
from fastmri.fourier import ifft2c
from fastmri.image import center_crop
from fastmri.masks import achieved_acceleration, evaluation_mask
from fastmri.metrics import volume_metrics
from fastmri.volumes import describe_volume
from main import main
from tests.conftest import read_target, write_tiny_volume
from tests.trainer.conftest import TINY
from trainer import checkpoint
from trainer.data import find_volumes
from trainer.distributed import Process
from trainer.evaluation import evaluate as evaluating
from trainer.evaluation.judgement import BESIDE
from trainer.evaluation.validate import load_run

ALL = "validate.perceptual=true"


@pytest.fixture(scope="module")
def results(tiny_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("validate")
    assert main(["validate", str(tiny_run), ALL, "--out", str(out)]) == 0
    return out


def metrics(folder) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_files_and_schema(results, tiny_data):
    found = metrics(results)
    assert found["schema"] == 1
    assert found["data"] == str(tiny_data / "singlecoil_val")
    assert len(found["config_sha256"]) == 64
    assert found["masks"]["accelerations"] == [4, 8]
    keys = {(row["method"], row["acceleration"], row["acquisition"]) for row in found["rows"]}
    acquisitions = ("all", "CORPD_FBK", "CORPDFS_FBK")
    assert keys == {(m, r, a) for m in ("zero_filled", "model") for r in (4, 8) for a in acquisitions}
    assert {row["acquisition"]: row["volumes"] for row in found["rows"]} == {
        "all": 3,
        "CORPD_FBK": 1,
        "CORPDFS_FBK": 2,
    }
    assert {path.name for path in results.iterdir()} == {
        "metrics.json",
        "metrics.csv",
        "commands.jsonl",
        "x4.png",
        "x8.png",
    }
    lines = list(csv.DictReader((results / "metrics.csv").open()))
    assert [float(line["psnr"]) for line in lines] == [volume["psnr"] for volume in found["volumes"]]


def test_rows_are_means_over_volumes(results):
    found = metrics(results)
    for row in found["rows"]:
        chosen = [
            v
            for v in found["volumes"]
            if (v["method"], v["acceleration"]) == (row["method"], row["acceleration"])
            and row["acquisition"] in ("all", v["acquisition"])
        ]
        assert row["volumes"] == len(chosen)
        for name in ("psnr", "ssim", "nmse"):
            assert row[name]["mean"] == pytest.approx(np.mean([v[name] for v in chosen]))
            assert row[name]["std"] == pytest.approx(np.std([v[name] for v in chosen]))


def test_zero_filled_is_the_plain_inverse_transform_of_the_masked_file(results, tiny_data):
    """The whole path in hybrid space against the few lines of the definition."""
    for volume in (v for v in metrics(results)["volumes"] if v["method"] == "zero_filled"):
        known = describe_volume(tiny_data / "singlecoil_val" / volume["fname"])
        slices = list(range(known.num_slices))
        kspace = torch.from_numpy(read_kspace(known.path, slices))
        acceleration = volume["acceleration"]
        mask = evaluation_mask("random", known.fname, kspace.shape[-1], acceleration, 0.32 / acceleration)
        image = center_crop(ifft2c(kspace * torch.from_numpy(mask)).abs(), known.recon_size).numpy()
        target = np.stack([read_target(known.path, k) for k in slices])
        for name, value in volume_metrics(target, image)._asdict().items():
            assert volume[name] == pytest.approx(value, rel=1e-4)
        assert volume["achieved_acceleration"] == achieved_acceleration(mask, known.acquired)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 2), (5, 0)])
def test_the_same_bytes_again_whatever_the_batches_and_workers(
    results, tiny_run, tmp_path, batch_size, workers
):
    options = [ALL, f"validate.batch_size={batch_size}", f"data.num_workers={workers}"]
    assert main(["validate", str(tiny_run), *options, "--out", str(tmp_path)]) == 0
    for name in ("metrics.json", "metrics.csv"):
        assert (tmp_path / name).read_bytes() == (results / name).read_bytes()


def test_moving_the_data_or_asking_for_less_changes_no_number(results, tiny_run, tiny_data, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(tiny_data / "singlecoil_val", moved)
    overrides = [f"data.val={moved}", "masks.accelerations=[8]", ALL]
    assert (
        main(
            ["validate", str(tiny_run / "checkpoints" / "best.pt"), *overrides, "--out", str(tmp_path / "o")]
        )
        == 0
    )
    expected = [volume for volume in metrics(results)["volumes"] if volume["acceleration"] == 8]
    assert metrics(tmp_path / "o")["volumes"] == expected


def test_other_data_are_meant_whole_whatever_folders_the_run_had(tiny_data, tmp_path):
    content = TINY | {
        "data": TINY["data"] | {"path": str(tiny_data), "val": str(tiny_data / "singlecoil_val")}
    }
    (tmp_path / "tiny.yaml").write_text(json.dumps(content | {"train": TINY["train"] | {"steps": 1}}))
    assert main(["train", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "run")]) == 0
    write_tiny_volume(tmp_path / "other" / "singlecoil_val" / "file7.h5")
    options = [f"data.path={tmp_path / 'other'}", "data.scan_cache=null", "--out", str(tmp_path / "o")]
    assert main(["validate", str(tmp_path / "run"), *options]) == 0
    found = metrics(tmp_path / "o")
    assert {volume["fname"] for volume in found["volumes"]} == {"file7.h5"}
    assert found["data"] == str(tmp_path / "other" / "singlecoil_val")


def test_only_the_best_as_it_was_trained_takes_the_place_of_the_runs_results(
    tiny_run, generative_run, tmp_path
):
    for name in ("best", "last"):
        found = load_run(tiny_run / "checkpoints" / f"{name}.pt", [])
        assert found.default_out == tiny_run / ("validate" if name == "best" else "validate_last")
    assert load_run(tiny_run, []).default_out == tiny_run / "validate"
    alone = shutil.copy(tiny_run / "checkpoints" / "last.pt", tmp_path / "last.pt")
    assert load_run(alone, []).default_out == tmp_path / "validate"
    for value, folder in ((1, "validate"), (0.25, "validate_amplitude0.25")):
        assert load_run(generative_run, [f"model.amplitude={value}"]).default_out == generative_run / folder


@pytest.fixture
def validated(tiny_run, tmp_path):
    """A run that was validated by its own options, and results as it left them."""
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("validate"))
    assert main(["validate", str(run)]) == 0
    return run


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("data.val=nowhere", "data"),  # which is not even looked for
        ("data.acquisitions=[CORPD_FBK]", "acquisitions"),
        ("masks.accelerations=[8]", "masks.accelerations"),
        ("masks.kind=equispaced", "masks.kind"),
        ("seed=1", "seed"),
    ],
)
def test_results_of_other_data_or_options_are_not_replaced_unasked(validated, option, name, capsys):
    folder = validated / "validate"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["validate", str(validated), option]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert error.startswith(f"error: {folder}: holds results under other options ({name}: ")
    assert error.endswith(f"); --out DIR writes elsewhere, --out {folder} replaces them")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_results_are_replaced_where_that_is_asked_for_or_they_are_alike(validated, tiny_data):
    run, place = str(validated), ["--out", str(validated / "validate")]
    alike = [f"data.val={tiny_data}/../{tiny_data.name}/singlecoil_val", "validate.methods=[low_pass]"]
    less = "masks.accelerations=[8]"
    for options in (alike, [less, *place], [less], []):  # the last are its own
        assert main(["validate", run, *options]) == 0
    found = metrics(validated / "validate")
    assert found["masks"]["accelerations"] == [4, 8]
    assert (found["samples"], found["seed"], found["acquisitions"]) == (1, 0, None)


@pytest.mark.parametrize("content", ["", "[1]", '{"masks": null}', '{"data": 3}', "of before"])
def test_what_lies_there_of_an_older_program_or_of_none(validated, content, capsys):
    path = validated / "validate" / "metrics.json"
    if content == "of before":
        older = metrics(path.parent)
        for name in ("acquisitions", "samples", "seed"):
            del older[name]
        content = json.dumps(older)
    path.write_text(content)
    refused = content in ('{"masks": null}', '{"data": 3}')
    assert main(["validate", str(validated), "validate.methods=[low_pass]"]) == (2 if refused else 0)
    assert "Traceback" not in capsys.readouterr().err


def test_another_number_of_samples_is_another_result(generative_run, tmp_path, capsys):
    run = shutil.copytree(generative_run, tmp_path / "run", ignore=shutil.ignore_patterns("validate"))
    less = ["validate", str(run), "masks.accelerations=[4]"]
    for samples, code in ((2, 0), (2, 0), (3, 2)):
        assert main([*less, f"validate.samples={samples}"]) == code
    assert "(samples: 2 -> 3)" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["train.steps=7", "loss.l1=3", "adversarial.weight=1"])
def test_options_that_nothing_depends_on_any_more_are_refused(tiny_run, option, capsys):
    assert main(["validate", str(tiny_run), option]) == 2
    name = option.partition("=")[0]
    assert capsys.readouterr().err == f"error: {name}: an option of training, which changes nothing here\n"


def test_files_that_cannot_be_scored_are_left_out(results, tiny_run, tiny_data, tmp_path):
    folder = tmp_path / "val"
    shutil.copytree(tiny_data / "singlecoil_val", folder)
    test_file = shutil.copy(folder / "file1000004.h5", folder / "file1000001.h5")
    with h5py.File(test_file, "r+") as file:
        file["mask"] = np.ones(48, bool)
        del file["reconstruction_esc"]
    (folder / "file1000002.h5").write_bytes(b"damaged")
    (folder / "readme.txt").write_text("not a volume")
    assert main(["validate", str(tiny_run), ALL, f"data.val={folder}", "--out", str(tmp_path / "o")]) == 0
    assert metrics(tmp_path / "o")["rows"] == metrics(results)["rows"]


@pytest.mark.parametrize(("value", "threads"), [(float("nan"), 0), (0, 0), (0, 2)])
def test_a_volume_that_cannot_be_scored_is_named(
    tiny_run, tiny_data, tmp_path, capsys, monkeypatch, value, threads
):
    monkeypatch.setitem(BESIDE, "cpu", threads)
    folder = tmp_path / "val"
    shutil.copytree(tiny_data / "singlecoil_val", folder)
    with h5py.File(folder / "file1000005.h5", "r+") as file:
        file["reconstruction_esc"][...] = value
    assert main(["validate", str(tiny_run), f"data.val={folder}", "--out", str(tmp_path / "o")]) == 2
    assert (
        "file1000005.h5: zero_filled at x4, or its target, is not finite or all zero"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "o" / "metrics.json").exists()


def test_pictures_are_in_the_order_of_volumes_whichever_process_made_them(tiny_run, monkeypatch):
    config = checkpoint.load(checkpoint.find(tiny_run)).config
    volumes = find_volumes(config, "val")
    monkeypatch.setattr(evaluating, "gather", lambda values, process: values[::-1])
    found = evaluating.evaluate(None, volumes, config, Process(torch.device("cpu")))
    for acceleration in (4, 8):
        labels = [panel.label.split()[0] for panel in found.panels(acceleration)]
        assert labels == [volume.fname for volume in volumes[:2]]  # one of each acquisition


def test_by_default_results_lie_in_the_run(tiny_run):
    assert main(["validate", str(tiny_run), "masks.accelerations=[4]"]) == 0
    assert (tiny_run / "validate" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.blocks=5", "fixed by the checkpoint"),
        ("model.name=unet", "fixed by the checkpoint"),
        ("data.acquisitions=[AXT1]", "no volume is AXT1; there are CORPDFS_FBK, CORPD_FBK"),
        ("validate.samples=4", "adaptive_cs_net draws no noise"),
        ("masks.acelerations=[4]", "did you mean accelerations?"),
    ],
)
def test_what_a_user_can_mend_is_told(tiny_run, tmp_path, capsys, override, message):
    assert main(["validate", str(tiny_run), override, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_what_is_no_checkpoint_is_told(tmp_path, capsys, content):
    path = tmp_path / "model.pt"
    if content is None:
        torch.save({"state_dict": {}}, path)
    else:
        path.write_bytes(content)
    assert main(["validate", str(path)]) == 2
    assert "not a checkpoint of this program" in capsys.readouterr().err
    assert main(["validate", str(tmp_path)]) == 2
    assert "neither a checkpoint nor a run directory" in capsys.readouterr().err


def test_a_checkpoint_that_would_execute_code_is_refused(tmp_path, capsys):
    class Harmful:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"versions": Harmful()}, tmp_path / "model.pt")
    assert main(["validate", str(tmp_path / "model.pt")]) == 2
    printed = capsys.readouterr()
    assert "executed" not in printed.out
    assert "not a checkpoint of this program" in printed.err


@pytest.mark.parametrize("name", ["tiny_run", "generative_run"])
def test_an_empty_slice_is_no_hindrance(name, tmp_path, request):
    """k-space and target all zero, as slices beyond the anatomy may be padded."""
    path = write_tiny_volume(tmp_path / "data" / "singlecoil_val" / "file1000001.h5")
    with h5py.File(path, "a") as file:
        file["kspace"][-1] = 0
        file["reconstruction_esc"][-1] = 0
    options = [f"data.path={tmp_path / 'data'}", "data.val=null", ALL, "--out", str(tmp_path / "out")]
    assert main(["validate", str(request.getfixturevalue(name)), *options]) == 0
    for row in metrics(tmp_path / "out")["rows"]:
        assert row["haarpsi"]["mean"] <= 1
