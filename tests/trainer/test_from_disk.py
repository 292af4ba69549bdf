"""What `validate` says of a method is what its written reconstructions give, by a few lines of our own."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from main import main

WEIGHT = ["classical.iterations=5", "classical.tv_weights={4: 0.01, 8: 0.01}"]


def scores_from_disk(truth: Path, written: Path) -> dict[str, float]:
    with h5py.File(truth) as one, h5py.File(written) as other:
        target, image = one["reconstruction_esc"][()], other["reconstruction"][()].astype(np.float64)
    top = target.max()
    similar = [structural_similarity(a, b, data_range=top) for a, b in zip(target, image, strict=True)]
    error = ((target - image) ** 2).mean()
    return {
        "psnr": 10 * np.log10(top**2 / error),
        "ssim": np.mean(similar),
        "nmse": ((target - image) ** 2).sum() / (target.astype(np.float64) ** 2).sum(),
    }


@pytest.mark.parametrize(
    ("run", "method", "options"),
    [
        ("tv", "tv", WEIGHT),
        ("low_pass", "low_pass", []),
        ("zero_filled", "zero_filled", []),
        ("tiny_run", "model", []),
        ("generative_run", "mean_4", ["--samples", "4"]),
        ("generative_run", "sample", []),
    ],
)
def test_metrics_are_those_of_the_written_files(run, method, options, request, tiny_data, tmp_path):
    name = str(request.getfixturevalue(run)) if run.endswith("_run") else run
    overrides = [option for option in options if "=" in option]
    data = ["data.scan_cache=null", f"data.val={tiny_data / 'singlecoil_val'}", "data.num_workers=0"]
    data += ["masks.accelerations=[8]", "device=cpu", "validate.perceptual=false"]
    assert main(["validate", name, *data, *overrides, "--out", str(tmp_path / "validate")]) == 0
    ask = [str(tiny_data / "singlecoil_val"), str(tmp_path / "files"), "--acceleration", "8"]
    assert main(["reconstruct", name, *ask, *options]) == 0
    volumes = json.loads((tmp_path / "validate" / "metrics.json").read_text())["volumes"]
    chosen = [v for v in volumes if (v["method"], v["acceleration"]) == (method, 8)]
    assert len(chosen) == 3
    for volume in chosen:
        truth = tiny_data / "singlecoil_val" / volume["fname"]
        for metric, value in scores_from_disk(truth, tmp_path / "files" / volume["fname"]).items():
            assert volume[metric] == pytest.approx(value, rel=1e-4)
