"""Metrics of what readers see: piq's own, the reason where one can't be had, and intervals over volumes."""

import json

import numpy as np
import piq
import pytest
import torch
from torchvision.models import vgg16

from main import main
from tests.conftest import smooth_images, write_tiny_volume
from trainer.evaluation.intervals import HELD, LEVEL, bootstrap_interval
from trainer.evaluation.perceptual import VGG, Perceptual
from trainer.evaluation.tables import format_rows

CPU = torch.device("cpu")


@pytest.fixture
def volume() -> tuple[np.ndarray, np.ndarray]:
    """A raw target and an estimate of it that leaves its range, float32 (3, 48, 48) of about 1e-4."""
    target = np.abs(smooth_images(3, 48, 48, seed=1)).astype(np.float32)
    noise = np.random.default_rng(0).standard_normal(target.shape)
    return target, (target + 0.2 * target.std() * noise).astype(np.float32)


def measured(measure: Perceptual, target: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """Of volumes that are large enough for all metrics."""
    return {name: value for name, value in measure(target, estimate).items() if value is not None}


def test_values_are_piqs_on_the_volumes_range(volume):
    target, estimate = volume
    found = measured(Perceptual("off", CPU), target, estimate)
    a, b = (torch.from_numpy(x / target.max()).clamp(0, 1)[:, None] for x in (estimate, target))
    for name, metric in (("haarpsi", piq.haarpsi), ("gmsd", piq.gmsd)):
        assert found[name] == pytest.approx(metric(a, b, data_range=1.0).item(), rel=1e-5)
    assert 0 < found["ms_ssim"] < 1
    assert 0 < found["vsi"] < 1


def test_the_truth_is_perfect_and_a_worse_image_is_worse(volume):
    target, estimate = volume
    measure = Perceptual("off", CPU)
    best, middle, worst = (measured(measure, target, target + k * (estimate - target)) for k in (0, 1, 3))
    for name in ("ms_ssim", "haarpsi", "vsi"):
        assert best[name] == pytest.approx(1, abs=1e-5)
        assert best[name] > middle[name] > worst[name]
    assert best["gmsd"] == pytest.approx(0, abs=1e-6)
    assert worst["gmsd"] > middle["gmsd"]


def test_empty_slices_say_nothing(volume):
    """An empty slice of truth, of which HaarPSI would be infinite, at the end of a volume."""
    target, estimate = volume
    measure = Perceptual("off", CPU)
    expected = measure(target[:2], estimate[:2])
    target[2] = estimate[2] = 0
    assert measure(target, estimate) == expected


def test_the_number_of_slices_changes_no_value(volume):
    target, estimate = volume
    measure = Perceptual("off", CPU)
    alone = [measure(t[None] / t.max(), e[None] / t.max()) for t, e in zip(target, estimate, strict=True)]
    tops = target.max(axis=(1, 2), keepdims=True)
    together = measure(target / tops, estimate / tops)
    for name, value in together.items():
        assert value == pytest.approx(np.mean([each[name] for each in alone]), rel=1e-5)


def test_too_small_an_image_has_no_value():
    target = np.ones((1, 16, 40), np.float32)
    assert set(Perceptual("off", CPU)(target, target).values()) == {None}


def test_missing_weights_are_told_not_guessed(volume, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    measure = Perceptual("disk", CPU)
    assert set(measure.missing) == {"lpips", "dists"}
    assert "no weights on disk" in measure.missing["lpips"]
    assert "lpips_weights.pt" in measure.missing["lpips"]
    assert "lpips" not in measure(*volume)
    assert Perceptual("off", CPU).missing["dists"] == "validate.learned=off"


def test_damaged_weights_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for name in (VGG, "lpips_weights.pt", "dists_weights.pt"):
        (folder / name).write_bytes(b"no weights")
    missing = Perceptual("disk", CPU).missing
    assert set(missing) == {"lpips", "dists"}
    assert all("can't be had" in reason for reason in missing.values())


def test_weights_on_disk_are_used(volume, tmp_path, monkeypatch):
    """Made here, in the files' own layout: VGG16 of small random weights, and the layers' weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in vgg16(weights=None).state_dict().items()}
    state = {
        name: torch.randn(shape) / 30 if name.startswith("features") else torch.zeros(1).expand(shape)
        for name, shape in shapes.items()
    }
    torch.save(state, folder / VGG)
    channels = [64, 128, 256, 512, 512]
    torch.save([torch.rand(1, count, 1, 1) for count in channels], folder / "lpips_weights.pt")
    features = 3 + sum(channels)  # DISTS weighs the image too, and its weights sum to 1
    layers = {name: torch.full((1, features, 1, 1), 0.5 / features) for name in ("alpha", "beta")}
    torch.save(layers, folder / "dists_weights.pt")
    measure = Perceptual("disk", CPU)
    assert measure.missing == {}
    target, estimate = volume
    best, middle = measured(measure, target, target), measured(measure, target, estimate)
    assert best["lpips"] == pytest.approx(0, abs=1e-6)
    assert best["dists"] == pytest.approx(0, abs=1e-4)
    assert middle["lpips"] > 0
    assert middle["dists"] > best["dists"]


def test_intervals_hold_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(1)
    held = []
    for _ in range(400):
        interval = bootstrap_interval(list(rng.standard_normal(30)))
        assert interval is not None
        held.append(interval[0] <= 0 <= interval[1])
    assert np.mean(held) == pytest.approx(LEVEL, abs=0.04)


@pytest.mark.parametrize("count", list(HELD))
def test_how_often_intervals_of_few_hold_the_mean_is_as_told(count):
    rng = np.random.default_rng(3)
    found = np.array([bootstrap_interval(list(rng.standard_normal(count))) for _ in range(600)])
    assert np.mean((found[:, 0] <= 0) & (found[:, 1] >= 0)) == pytest.approx(HELD[count], abs=0.05)


def test_a_table_of_few_volumes_says_that_intervals_hold_less_often():
    def shown(*counts: int) -> str:
        interval = {"mean": 1.0, "interval": [0.5, 1.5]}
        achieved = {"mean": 4.0, "min": 4.0, "max": 4.0}
        rows = [
            {"method": "tv", "acceleration": 4, "acquisition": name, "volumes": count, "psnr": interval}
            | {"achieved_acceleration": achieved}
            for name, count in zip(("all", "PD", "PDFS"), counts, strict=True)
        ]
        return format_rows(rows).splitlines()[-1]

    plain = "in brackets: 95% bootstrap interval of the mean over volumes"
    assert shown(30, 20, 10) == plain
    less = "; of 5 volumes an interval holds the mean less often: with 4 normal values 80% of the time"
    assert shown(14, 9, 5) == plain + less
    assert "with 2 normal values 50% of the time" in shown(3, 2, 1)  # a single one has no interval


def test_an_interval_repeats_and_shrinks_with_volumes():
    values = list(np.random.default_rng(2).standard_normal(200))
    assert bootstrap_interval(values) == bootstrap_interval(values)
    few, many = (bootstrap_interval(values[:count]) for count in (10, 200))
    assert few is not None
    assert many is not None
    assert many[1] - many[0] < (few[1] - few[0]) / 2
    assert bootstrap_interval(values[:1]) is None


def test_the_frechet_distance_is_of_all_volumes_tiles(tmp_path):
    """Through `validate`, on images of 96 pixels: one tile a slice, nearer to the truth at x4 than at x16."""
    for k in (1, 2):
        path = tmp_path / "data" / "singlecoil_val" / f"file{k}.h5"
        write_tiny_volume(path, rows=192, columns=100, seed=k)
    options = [
        f"data.path={tmp_path / 'data'}",
        "masks.accelerations=[4,16]",
        "data.scan_cache=null",
        "data.num_workers=0",
    ]
    assert main(["validate", "zero_filled", *options, "--out", str(tmp_path / "out")]) == 0
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text())["rows"]
    found = {row["acceleration"]: row["frechet_wavelet"] for row in rows if row["acquisition"] == "all"}
    assert found[4]["tiles"] == 2 * 3
    assert 0 < found[4]["distance"] < found[16]["distance"]
    low, high = found[4]["interval"]
    assert low < high
