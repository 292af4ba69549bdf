"""Simulated knees: fastMRI's layout, physics of the raw data, and an anatomy that varies and continues."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from fastmri.emulate import RawData
from fastmri.fourier import ifft2c
from fastmri.header import parse_header
from fastmri.image import center_crop
from fastmri.phantom import bones, joint
from fastmri.phantom.anatomy import draw_knee, place_in_knee
from fastmri.phantom.scan import draw_subject, fine_grid, measure
from fastmri.simulate import simulate
from fastmri.volumes import ACQUISITIONS, describe_volume

SMALL: dict[str, Any] = {"matrix": (128, 80), "seed": 7}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms")
    simulate(out, volumes=4, slices=4, workers=1, **SMALL)
    return out


@pytest.fixture(scope="module")
def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*"), key=lambda path: path.name)


def kspace_of(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return file["kspace"][()]


def target_of(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return file["reconstruction_esc"][()]


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in simulate's own workers; several threads on small slices only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def noiseless(acquisition: str, *, depths: tuple[float, ...] = (0.0,), recon: int = 64) -> RawData:
    """One subject, fat of signal 1, without noise."""
    rng = np.random.default_rng(3)
    matrix = (2 * recon, recon + recon // 4)
    subject = draw_subject(rng, acquisition=acquisition, slices=1)._replace(depths=list(depths), gain=1.0)
    return measure(subject, matrix=matrix, acquired=(0, matrix[1]), rng=rng, noiseless=True)


def test_folders_and_names(folder: Path, files: list[Path]) -> None:
    assert [path.name for path in files] == [f"file{1000001 + k}.h5" for k in range(4)]
    assert [path.parent.name for path in files] == ["singlecoil_train"] * 3 + ["singlecoil_val"]


@pytest.mark.parametrize(
    ("volumes", "fraction", "val"),
    [(2, 0.75, 1), (3, 0.9, 2), (2, 0.1, 1), (1, 0.9, 1), (3, 1.0, 3), (3, 0.0, 0)],
)
def test_two_volumes_or_more_are_on_both_sides(
    tmp_path: Path, volumes: int, fraction: float, val: int
) -> None:
    paths = simulate(tmp_path, volumes=volumes, slices=1, workers=1, val_fraction=fraction, **SMALL)
    assert [path.parent.name for path in paths].count("singlecoil_val") == val


def test_layout_of_a_file(files: list[Path]) -> None:
    with h5py.File(files[0]) as file:
        assert set(file) == {"kspace", "reconstruction_esc", "ismrmrd_header"}
        assert file["kspace"].dtype == np.complex64
        assert file["kspace"].shape == (4, 128, 80)
        assert file["reconstruction_esc"].dtype == np.float32
        assert file["reconstruction_esc"].shape == (4, 64, 64)
        header = parse_header(file["ismrmrd_header"][()])
        assert header.encoded == (128, 80, 1)
        assert header.recon == (64, 64, 1)
        target = file["reconstruction_esc"][()]
        assert file.attrs["max"] == pytest.approx(target.max())
        assert file.attrs["norm"] == pytest.approx(np.linalg.norm(target), rel=1e-5)
        assert file.attrs["patient_id"] == "phantom-7-0"
        assert file.attrs["simulated"] == "knee phantom, seed 7, volume 0"


def test_target_is_the_cropped_magnitude(files: list[Path]) -> None:
    for path in files:
        image = ifft2c(torch.from_numpy(kspace_of(path))).abs()
        cropped = center_crop(image, (64, 64)).numpy()
        np.testing.assert_allclose(cropped, target_of(path), atol=1e-6 * cropped.max())


def test_columns_outside_the_header_are_zero(files: list[Path]) -> None:
    for path in files:
        kspace = kspace_of(path)
        left, right = describe_volume(path).acquired
        assert 0.9 * 80 <= right - left <= 80
        assert left <= 80 - right <= left + 1
        acquired = np.zeros(80, bool)
        acquired[left:right] = True
        assert np.array_equal((kspace != 0).all(axis=(0, 1)), acquired)
        assert np.array_equal((kspace != 0).any(axis=(0, 1)), acquired)


def test_both_contrasts(files: list[Path]) -> None:
    assert {describe_volume(path).acquisition for path in files} == set(ACQUISITIONS)


def test_magnitudes_are_fastmris(files: list[Path]) -> None:
    assert all(1e-5 < target_of(path).max() < 1e-3 for path in files)


def test_same_bytes_whatever_the_workers(files: list[Path], tmp_path: Path) -> None:
    others = simulate(tmp_path, volumes=2, slices=4, workers=2, **SMALL)
    for path, other in zip(files, others, strict=False):
        assert path.read_bytes() == other.read_bytes()


def test_another_seed_is_another_knee(files: list[Path], tmp_path: Path) -> None:
    (other,) = simulate(tmp_path, volumes=1, slices=4, workers=1, **{**SMALL, "seed": 8})
    assert likeness(target_of(files[0]), target_of(other)) < 0.95


def test_anatomy_continues_between_slices() -> None:
    volume = noiseless("CORPD_FBK", depths=(8.0, 5.0, 2.0, -1.0, -25.0)).target
    near = [likeness(one, following) for one, following in pairwise(volume[:4])]
    assert min(near) > 0.85
    assert min(near) > max(likeness(one, volume[4]) for one in volume[:4]) + 0.05


def test_volumes_differ_more_than_neighbouring_slices(files: list[Path]) -> None:
    one, other = target_of(files[0]), target_of(files[2])  # of the same contrast
    across = np.mean([likeness(a, b) for a, b in zip(one, other, strict=True)])
    assert across < np.mean([likeness(a, b) for a, b in pairwise(one)])


def test_fat_suppression_darkens_marrow_and_not_muscle() -> None:
    ratios = {}
    for acquisition in ACQUISITIONS:
        rng = np.random.default_rng(3)
        subject = draw_subject(rng, acquisition=acquisition, slices=1)
        tissues = subject.tissues
        ratios[acquisition] = (tissues.marrow / tissues.muscle, tissues.fat / tissues.cartilage)
    suppressed, plain = ratios["CORPDFS_FBK"], ratios["CORPD_FBK"]
    assert max(suppressed) < 1 < min(plain)


def test_marrow_is_dark_in_the_suppressed_image() -> None:
    rng = np.random.default_rng(3)
    knee = draw_knee(rng)
    y, x, pixel = fine_grid((128, 80))
    femur = bones.femur(knee, place_in_knee(knee, x, y, 0.0, pixel))
    step = y.shape[0] // 128
    marrow = center_crop(torch.from_numpy(femur[::step, ::step] < -8), (64, 64)).numpy()
    plain, suppressed = (noiseless(acquisition).target[0][marrow].mean() for acquisition in ACQUISITIONS)
    assert 0.05 * plain < suppressed < 0.4 * plain


def test_the_kneecap_is_in_front_between_dark_tendons_and_beyond_the_leg_is_air() -> None:
    knee = draw_knee(np.random.default_rng(3))
    y, x, pixel = fine_grid((128, 80))
    place, step = place_in_knee(knee, x, y, 38.0, pixel), y.shape[0] // 128
    patella, tendons = bones.patella(knee, place), joint.extensor_tendons(knee, place)
    marrow, tendon = (
        center_crop(torch.from_numpy(where[::step, ::step].copy()), (64, 64)).numpy()
        for where in (patella < -5, (tendons > 0.99) & (patella > 2))
    )
    front, back, air = noiseless("CORPD_FBK", depths=(38.0, -75.0, 200.0)).target
    assert front[tendon].mean() < 0.4 * front[marrow].mean()
    assert 0 < back.mean() < 0.1 * front.mean()  # skin and fat behind the joint
    assert not air.any()


def test_the_leg_runs_out_of_the_readout_crop() -> None:
    raw = noiseless("CORPD_FBK")
    rows = ifft2c(torch.from_numpy(raw.kspace)).abs().mean(dim=(0, 2)).numpy()
    assert rows[20:32].mean() > 0.02 * rows.max()  # beyond the crop
    assert rows[:8].max() < 0.02 * rows.max()  # the coil sees nothing there: no fold-over


def test_no_inverse_crime() -> None:
    """The object is finer than k-space: signal reaches its edge and is cut off there."""
    kspace = np.abs(noiseless("CORPD_FBK").kspace)
    noise = kspace.max() * 1e-6  # rounding of float32
    assert np.median(kspace[..., [0, 1, -2, -1]]) > 3 * noise
    assert np.median(kspace[:, [0, 1, -2, -1]]) > 3 * noise
    _, x, _ = fine_grid((640, 368))
    assert x.size >= 2 * 368


def test_noise_by_contrast() -> None:
    for acquisition, low, high in (("CORPD_FBK", 20, 45), ("CORPDFS_FBK", 6, 18)):
        rng = np.random.default_rng(3)
        subject = draw_subject(rng, acquisition=acquisition, slices=2)
        options: dict[str, Any] = {"matrix": (128, 80), "acquired": (0, 80)}
        noisy = measure(subject, **options, rng=rng)
        clean = measure(subject, **options, rng=rng, noiseless=True)
        sigma = (noisy.kspace - clean.kspace).real.std()
        tissue = clean.target[clean.target > 0.05 * clean.target.max()].mean()
        assert low < tissue / sigma < high


def test_phase_is_smooth() -> None:
    image = ifft2c(torch.from_numpy(noiseless("CORPD_FBK", recon=128).kspace))
    image = center_crop(image, (128, 128))
    bright = image.abs() > 0.4 * image.abs().max()
    turn = torch.angle(image[..., 1:] * image[..., :-1].conj())[bright[..., 1:] & bright[..., :-1]]
    assert turn.abs().quantile(0.99) < 0.2
    assert torch.angle(image[bright]).std() > 0.1


@pytest.mark.parametrize("split", ["train", "val"])
def test_split_takes_all(split: str, tmp_path: Path) -> None:
    (path,) = simulate(tmp_path, volumes=1, slices=1, matrix=(64, 40), seed=0, split=split)
    assert path == tmp_path / f"singlecoil_{split}" / "file1000001.h5"
    assert describe_volume(path).kspace_shape == (1, 64, 40)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"volumes": 0}, "volumes must be at least 1, is 0"),
        ({"slices": 0}, "slices must be at least 1, is 0"),
        ({"workers": 0}, "workers must be at least 1, is 0"),
        ({"seed": -1}, "seed must be at least 0, is -1"),
        ({"matrix": (32, 20)}, "matrix must have at least 64 rows, is 32x20"),
        ({"matrix": (65, 40)}, "matrix must have an even number of rows, is 65x40"),
        ({"matrix": (64, 31)}, "matrix must have at least half as many columns as rows, is 64x31"),
        ({"val_fraction": 1.5}, "val_fraction must be between 0 and 1, is 1.5"),
        ({"split": "test"}, "split must be train or val, is test"),
    ],
)
def test_errors_name_thing_rule_and_value(change: dict, text: str, tmp_path: Path) -> None:
    options = {"volumes": 1, "slices": 1, "matrix": (64, 40), "seed": 0} | change
    with pytest.raises(ValueError) as caught:
        simulate(tmp_path / "out", **options)
    assert str(caught.value) == text
    assert not (tmp_path / "out").exists()


def test_a_knee_is_never_in_both_splits(tmp_path: Path) -> None:
    options = {"volumes": 1, "slices": 1, "workers": 1, **SMALL}
    (path,) = simulate(tmp_path, split="train", **options)
    with pytest.raises(ValueError, match=r"in the other split already, holds .*singlecoil_train/file1000001"):
        simulate(tmp_path, split="val", **options)
    assert list(tmp_path.rglob("*.h5")) == [path]


def test_a_process_that_cannot_write_ends_the_others(tmp_path: Path) -> None:
    (tmp_path / "singlecoil_train" / "file1000001.h5" / "in the way").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"^out must be a folder that can be written, is .* directory"):
        simulate(tmp_path, volumes=40, slices=1, workers=2, split="train", **SMALL)
    assert len(list(tmp_path.rglob("*.h5"))) < 40
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGKILL, "workers must fit into memory: one of 2 was ended by the system, try fewer"),
        (signal.SIGTERM, "workers must not end early: one of 2 did, with exit code -15"),
    ],
)
def test_a_process_that_the_system_ended_is_told(number: signal.Signals, told: str, tmp_path: Path) -> None:
    def end_one() -> None:  # at work: Python's pool may hang if one ends while it starts
        while not list(tmp_path.rglob("file*.h5")):
            time.sleep(0.01)
        pid = multiprocessing.active_children()[0].pid
        assert pid is not None
        os.kill(pid, number)

    ending = threading.Thread(target=end_one)
    ending.start()
    with pytest.raises(ValueError, match=f"^{told}$"):
        simulate(tmp_path, volumes=40, slices=1, workers=2, split="train", **SMALL)
    ending.join()


def test_out_is_a_file(tmp_path: Path) -> None:
    out = tmp_path / "file"
    out.touch()
    with pytest.raises(ValueError, match=r"^out must be a folder that can be written, is .*file \(Not a dir"):
        simulate(out, volumes=1, slices=1, matrix=(64, 40), seed=0)
