"""Imported images: what is written, how it stands, and what is said of files that can't be read."""

import gzip
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pydicom
import pytest
import torch
from loguru import logger
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from fastmri.dicom import is_dicom_file, read_frame, read_pixels
from fastmri.fourier import ifft2c
from fastmri.image import center_crop
from fastmri.importing import import_images
from fastmri.pictures import label_from_name, read_nifti
from fastmri.rescan import emulate_scan, matrix_of, random_phase
from fastmri.series import why_no_volume
from fastmri.splitting import val_start
from tests.conftest import shared

SHAPE = (3, 24, 20)


def ball(shape: tuple[int, ...] = SHAPE, level: float = 100.0) -> np.ndarray:
    """A bright ellipsoid with a brighter spot above its centre, row 0 on top; (S, H, W)."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else [0.0] for n in shape), indexing="ij")
    return level * (((0.3 * z) ** 2 + y**2 + x**2 < 0.6) + 2.0 * (((y + 0.5) ** 2 + x**2) < 0.05))


def write_dicom(path: Path, pixels: np.ndarray, *, series: str, position: float = 0.0, **fields) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PatientID, dataset.SeriesInstanceUID = "MR", "Doe^John", series
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, position]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    for name, value in fields.items():
        setattr(dataset, name, value)
    dataset.PixelData = pixels.astype("<u2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def write_nifti(path: Path, array: np.ndarray, axes: str = "RAS") -> None:
    """`axes`: where each axis of the array runs to."""
    to = nibabel.orientations.axcodes2ornt(tuple(axes))
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (world, sign) in enumerate(to):
        affine[int(world), axis] = sign
    nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), affine), path)


def contents(path: Path) -> tuple[np.ndarray, np.ndarray, dict]:
    with h5py.File(path, "r") as file:
        return file["kspace"][()], file["reconstruction_esc"][()], dict(file.attrs)


def brightest(picture: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    return int(row), int(column)


def reasons(report) -> dict[str, str]:
    return {path.name: reason for path, reason in report.skipped}


def test_layout_and_identity(tmp_path):
    np.save(tmp_path / "knee.npy", ball())
    report = import_images(tmp_path / "knee.npy", tmp_path / "out")
    assert report.written == [tmp_path / "out" / "singlecoil_train" / "file1000001.h5"]
    kspace, target, attributes = contents(report.written[0])
    assert kspace.shape == (3, 48, 20)
    assert kspace.dtype == np.complex64
    assert target.shape == (3, 24, 20)
    image = center_crop(ifft2c(torch.from_numpy(kspace)).abs(), (24, 20))
    np.testing.assert_allclose(image.numpy(), target, rtol=0, atol=1e-6 * target.max())
    assert 5e-4 < target.max() < 2e-3
    assert attributes["source"] == "knee.npy"
    assert (attributes["seed"], attributes["snr"]) == (0, 30.0)
    assert "emulated" in attributes["emulated"]
    assert attributes["acquisition"] == "IMPORTED"


@pytest.mark.parametrize("shape", [(3, 25, 21), (1, 24, 21), (2, 31, 16)])
def test_odd_sizes_stay_in_place(tmp_path, shape):
    picture = ball(shape)
    np.save(tmp_path / "odd.npy", picture)
    report = import_images(tmp_path / "odd.npy", tmp_path / "out", snr=1e6)
    _, target, _ = contents(report.written[0])
    np.testing.assert_allclose(target[:, ::-1] / target.max(), picture / picture.max(), atol=1e-3)


@pytest.mark.parametrize(("matrix", "size"), [(16, (16, 14)), ((16, 12), (16, 12)), (24, (24, 20))])
def test_matrix_keeps_the_field_of_view(tmp_path, matrix, size):
    y, x = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 20), indexing="ij")
    blob = 100 * np.exp(-8 * ((y + 0.4) ** 2 + (x - 0.3) ** 2))
    np.save(tmp_path / "a.npy", blob)
    report = import_images(tmp_path / "a.npy", tmp_path / "out", matrix=matrix, snr=1e5)
    kspace, target, _ = contents(report.written[0])
    assert kspace.shape == (1, 2 * size[0], size[1])
    picture = target[0, ::-1]
    rows, columns = np.indices(size)
    centre = [float((axis * picture).sum() / picture.sum()) for axis in (rows, columns)]
    expected = [0.3 * (size[0] - 1), 0.65 * (size[1] - 1)]
    np.testing.assert_allclose(centre, expected, atol=0.5)
    np.testing.assert_allclose(picture.max(), 1e-3, rtol=0.1)  # intensities stay


def test_matrix_of_keeps_the_aspect():
    assert matrix_of((448, 406), 128) == (128, 116)
    assert matrix_of((306, 384), 128) == (102, 128)
    assert matrix_of((255, 201), None) == (255, 201)
    assert matrix_of((255, 201), 254) == (254, 200)
    with pytest.raises(ValueError, match="24x20 are smaller than the matrix asked for, 32"):
        matrix_of((24, 20), 32)


@pytest.mark.parametrize("snr", [5.0, 40.0])
def test_snr_is_as_asked(snr):
    images = np.zeros((4, 64, 64), np.float32)
    images[:, 16:48, 16:48] = 7.0
    raw = emulate_scan(images, size=(64, 64), snr=snr, rng=np.random.default_rng(1))
    image = ifft2c(torch.from_numpy(raw.kspace)).numpy()
    noise = image[:, :32]  # air of the oversampled readout
    signal = np.abs(image[:, 48:80, 16:48]).mean()
    np.testing.assert_allclose(1e-3 / noise.std(), snr, rtol=0.03)
    np.testing.assert_allclose(signal, 1e-3, rtol=0.03)


def test_complex_input_keeps_its_phase(tmp_path):
    phase = np.broadcast_to(np.linspace(-2, 2, 20), SHAPE)
    np.save(tmp_path / "c.npy", ball() * np.exp(1j * phase))
    report = import_images(tmp_path / "c.npy", tmp_path / "out", snr=1e6)
    kspace, _, attributes = contents(report.written[0])
    image = center_crop(ifft2c(torch.from_numpy(kspace)), (24, 20)).numpy()[:, ::-1]
    inside = ball() > 0
    np.testing.assert_allclose(np.angle(image)[inside], phase[inside], atol=1e-3)
    assert "phase of the input" in attributes["emulated"]


def test_half_floats_are_imported_as_the_numbers_they_are(tmp_path):
    for name, dtype in (("half", np.float16), ("single", np.float32)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", ball(level=1364.0).astype(dtype))
        import_images(tmp_path / name / "a.npy", tmp_path / name / "out")
    half, single = (
        contents(tmp_path / name / "out/singlecoil_train/file1000001.h5") for name in ("half", "single")
    )
    assert np.array_equal(half[1], single[1])
    assert half[1].max() > 0


def test_images_without_a_foreground_are_refused():
    images = np.full((1, 16, 16), np.inf)
    with pytest.raises(ValueError, match="has no finite foreground"), np.errstate(invalid="ignore"):
        emulate_scan(images, size=(16, 16), snr=30.0, rng=np.random.default_rng(0))


def test_random_phase_is_smooth_and_real_input_gets_it(tmp_path):
    phase = random_phase((4, 32, 32), np.random.default_rng(0))
    assert np.ptp(phase) > 0.5
    assert np.abs(np.diff(phase, axis=1)).max() < 0.5
    assert np.abs(np.diff(phase, axis=2)).max() < 0.5


def test_random_phase_is_more_than_a_quadratic():
    """Or a few numbers would tell all of it."""
    phase = random_phase((4, 32, 32), np.random.default_rng(0))
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in phase.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, z, x * x, y * y, x * y, x * z, y * z], axis=-1).reshape(-1, 9)
    rest = phase.ravel() - terms @ np.linalg.lstsq(terms, phase.ravel(), rcond=None)[0]
    assert rest.std() > 0.05


def test_echoes_apart_and_slices_by_position(tmp_path):
    series = generate_uid()
    for k in range(4):
        for echo, time in ((1, 6.3), (2, 12.6)):
            pixels = np.full((16, 16), 10)
            pixels[4:12, 4:12] = 100 * (k + 1) * echo
            name = f"{(7 * k + 3 * echo) % 11}_{echo}"  # no extension, shuffled
            write_dicom(tmp_path / "src" / name, pixels, series=series, position=3.0 * k, EchoTime=time)
    report = import_images(tmp_path / "src", tmp_path / "out", split="val", snr=200.0)
    assert len(report.written) == 2
    assert report.skipped == []
    assert [path.parent.name for path in report.written] == ["singlecoil_val"] * 2
    for path in report.written:
        _, target, _ = contents(path)
        means = target[:, 6:10, 6:10].mean((1, 2))
        np.testing.assert_allclose(means / means[-1], [0.25, 0.5, 0.75, 1], atol=0.05)


def test_slice_location_and_rescale(tmp_path):
    series = generate_uid()
    for k, location in enumerate((5.0, -5.0)):
        pixels = np.zeros((16, 16))
        pixels[4:12, 4:12] = 50 * (k + 1)
        fields = {"SliceLocation": location, "RescaleSlope": 3, "RescaleIntercept": 30}
        write_dicom(tmp_path / f"{k}.dcm", pixels, series=series, ImagePositionPatient=None, **fields)
    report = import_images(tmp_path, tmp_path / "out", split="train", snr=1e4)
    _, target, _ = contents(report.written[0])
    np.testing.assert_allclose(target[0, 8, 8] / target[1, 8, 8], 330 / 180, rtol=0.01)
    np.testing.assert_allclose(target[0, 1, 1] / target[1, 8, 8], 30 / 180, rtol=0.02)


def test_slices_are_ordered_by_where_they_are_before_what_they_are_called(tmp_path):
    for k in range(3):
        pixels = 100 * (k + 1) * (ball((1, 16, 16))[0] > 0)
        options = {"position": 3.0 * k, "SliceLocation": -float(k)}
        write_dicom(tmp_path / "a" / f"{k}.dcm", pixels, series="1.2.1", **options)
    (path,) = import_images(tmp_path / "a", tmp_path / "out", split="train", snr=200.0).written
    means = contents(path)[1].mean((1, 2))
    assert (np.diff(means) > 0).all()


def test_positions_on_two_scales_are_no_order(tmp_path):
    pixels = ball((1, 16, 16))[0]
    write_dicom(tmp_path / "a" / "0.dcm", pixels, series="1.2.1", SliceLocation=5.0)
    write_dicom(
        tmp_path / "a" / "1.dcm", pixels, series="1.2.1", ImagePositionPatient=None, SliceLocation=9.0
    )
    report = import_images(tmp_path / "a", tmp_path / "out")
    assert reasons(report)["0.dcm"].endswith("mixes positions by ImagePositionPatient and SliceLocation")


def test_dicom_stands_upright_and_tells_no_name(tmp_path):
    pixels = np.zeros((24, 20), int)
    pixels[3, 15] = 1000
    write_dicom(tmp_path / "a.dcm", pixels, series=generate_uid(), SeriesDescription="Sag PD, fs")
    report = import_images(tmp_path / "a.dcm", tmp_path / "out")
    _, target, attributes = contents(report.written[0])
    assert brightest(target[0, ::-1]) == (3, 15)
    assert attributes["acquisition"] == "SAG_PD_FS"
    assert "Doe" not in str(attributes)


def test_surfaces_that_are_named_as_nifti_are_refused(tmp_path):
    """CIFTI's places lie on a surface: they have no affine."""
    cifti = nibabel.cifti2
    axes = (cifti.SeriesAxis(0, 1, 4), cifti.BrainModelAxis.from_mask(np.ones((2, 2, 2)), affine=np.eye(4)))
    path = tmp_path / "rest.dtseries.nii"
    nibabel.save(nibabel.Cifti2Image(np.ones((4, 8), np.float32), axes), path)
    with pytest.raises(ValueError):
        read_nifti(path, slice_axis=None)


@pytest.mark.parametrize(
    ("axes", "top_left"),  # picture's top, left; slices run along the shortest axis
    [("LPS", "AR"), ("RAS", "AR"), ("PSR", "SA"), ("ALS", "AR"), ("RSP", "SR"), ("ASL", "SA")],
)
def test_nifti_stands_upright(tmp_path, axes, top_left):
    opposite = dict(zip("LRAPSI", "RLPAIS", strict=True))
    shape = (20, 24, 3)
    array = np.zeros(shape)
    corner = []
    for axis, n in enumerate(shape[:2]):  # a mark near the top left
        side = next(letter for letter in top_left if letter in (axes[axis], opposite[axes[axis]]))
        distance = 3 if side == top_left[0] else 5
        corner.append(n - 1 - distance if side == axes[axis] else distance)
    array[corner[0], corner[1], 1] = 100
    write_nifti(tmp_path / "a_T1w.nii.gz", array, axes)
    report = import_images(tmp_path / "a_T1w.nii.gz", tmp_path / "out")
    _, target, attributes = contents(report.written[0])
    assert brightest(target[1, ::-1]) == (3, 5)
    assert attributes["acquisition"] == "T1W"


def test_a_nifti_that_does_not_say_how_it_lies_is_taken_as_it_usually_does(tmp_path):
    array = np.random.default_rng(0).uniform(size=(20, 24, 3)).astype(np.float32)
    usual = np.diag([-1.0, 1, 1, 1])
    for name, affine in (("usual", usual), ("silent", np.diag([0.0, 0, 0, 1])), ("none", usual * np.nan)):
        data = bytearray(nibabel.Nifti1Image(array[..., None], usual).to_bytes())  # 4-D, of one frame
        data[280:328] = affine[:3].astype("<f4").tobytes()  # nibabel itself would write the usual one
        (tmp_path / f"{name}.nii").write_bytes(data)
    pictures = [read_nifti(tmp_path / f"{name}.nii", slice_axis=None) for name in ("usual", "silent", "none")]
    assert pictures[0].shape == (3, 24, 20)
    assert np.array_equal(pictures[1], pictures[0])
    assert np.array_equal(pictures[2], pictures[0])


def test_slice_axis(tmp_path):
    write_nifti(tmp_path / "a.nii", np.random.default_rng(0).uniform(size=(12, 20, 16)))
    shortest = import_images(tmp_path / "a.nii", tmp_path / "shortest")
    asked = import_images(tmp_path / "a.nii", tmp_path / "asked", slice_axis=2)
    assert contents(shortest.written[0])[1].shape == (12, 16, 20)
    assert contents(asked.written[0])[1].shape == (16, 20, 12)


def test_labels():
    assert label_from_name("patient01_study1_FLAIR.nii.gz") == "FLAIR"
    assert label_from_name("sub-01_T2w.nii") == "T2W"
    assert label_from_name("IXI012-HH-1211-T1.nii.gz") == "T1"
    assert label_from_name("scan7.npy") == "IMPORTED"


def test_repeats_with_the_seed_and_whatever_lies_beside(tmp_path):
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, ball())
    (tmp_path / "alone").mkdir()
    np.save(tmp_path / "alone" / "b.npy", ball())

    def written(source: Path, out: str, seed: int) -> list[np.ndarray]:
        report = import_images(source, tmp_path / out, seed=seed, split="train")
        return [contents(path)[0] for path in report.written]

    both = written(tmp_path, "1", 3)[-2:]
    np.testing.assert_array_equal(both[1], written(tmp_path / "alone", "2", 3)[0])
    assert not np.allclose(both[0], both[1])
    assert not np.allclose(both[1], written(tmp_path / "alone", "3", 4)[0])


def test_second_import_adds(tmp_path):
    for name in "abcde":
        np.save(tmp_path / f"{name}.npy", ball())
    first = import_images(tmp_path, tmp_path / "out")
    assert [path.parent.name[11:] for path in first.written] == ["train"] * 4 + ["val"]
    assert [path.name for path in first.written] == [f"file{1000001 + k}.h5" for k in range(5)]
    before = first.written[0].read_bytes()
    second = import_images(tmp_path / "a.npy", tmp_path / "out", split="train", acquisition="MINE")
    assert [path.name for path in second.written] == ["file1000006.h5"]
    assert contents(second.written[0])[2]["acquisition"] == "MINE"
    assert first.written[0].read_bytes() == before


def test_split_keeps_subjects_together():
    assert val_start(["a"], 0.2) == 1
    assert val_start(["a", "b"], 0.2) == 1
    assert val_start(["a"] * 6 + ["b"] * 3 + ["c"], 0.3) == 6
    assert val_start(["a"] * 10, 0.2) == 8
    assert val_start(["a", "b"], 1.0) == 0


def test_bad_inputs_are_named_and_the_rest_goes_on(tmp_path):
    source = tmp_path / "src"
    source.mkdir()
    good = ball()
    np.save(source / "good.npy", good)
    np.save(source / "four.npy", np.zeros((2, 3, 24, 20)))
    np.save(source / "black.npy", np.zeros(SHAPE))
    np.save(source / "flat.npy", np.ones(SHAPE))
    np.save(source / "words.npy", np.array(["a", "b"]))
    np.save(source / "nan.npy", np.where(good > 250, np.nan, good))
    np.save(source / "inf.npy", np.where(good > 250, np.inf, good))
    np.save(source / "tiny.npy", np.arange(48.0).reshape(3, 4, 4))
    np.save(source / "none.npy", np.zeros((0, 24, 20)))
    np.save(source / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    (source / "cut.npy").write_bytes((source / "good.npy").read_bytes()[:900])
    write_nifti(source / "four.nii", np.ones((20, 24, 3, 2)))
    write_nifti(source / "whole.nii.gz", np.random.default_rng(0).uniform(size=(20, 24, 3)))
    (source / "cut.nii.gz").write_bytes((source / "whole.nii.gz").read_bytes()[:2000])
    (source / "text.nii.gz").write_bytes(gzip.compress(b"no image"))
    (source / "README.md").write_text("not an image")
    report = import_images(source, tmp_path / "out")
    named = reasons(report)
    assert len(report.written) == 2
    assert report.ignored == 1
    assert len(named) == 13
    assert named["none.npy"] == "is empty, with shape (0, 24, 20)"
    assert "4-D with shape (2, 3, 24, 20)" in named["four.npy"]
    assert "4-D with shape (20, 24, 3, 2)" in named["four.nii"]
    assert named["black.npy"] == "every pixel is zero"
    assert named["flat.npy"] == "every pixel has the same value"
    assert "not real or complex numbers" in named["words.npy"]
    assert "NaN or infinite" in named["nan.npy"]
    assert "NaN or infinite" in named["inf.npy"]
    assert "too small" in named["tiny.npy"]
    for name in ("objects.npy", "cut.npy", "cut.nii.gz", "text.nii.gz"):
        assert "not a readable" in named[name], named[name]
    assert not any("\n" in reason for reason in named.values())


def test_bad_dicom_is_named_and_the_rest_goes_on(tmp_path):
    source, pixels = tmp_path / "src", ball((1, 24, 20))[0]
    write_dicom(source / "good.dcm", pixels, series="1.2.1")
    write_dicom(source / "mixed1.dcm", pixels, series="1.2.2")
    write_dicom(source / "mixed2.dcm", pixels[:20], series="1.2.2", position=3.0)
    write_dicom(source / "twice1.dcm", pixels, series="1.2.3")
    write_dicom(source / "twice2.dcm", pixels, series="1.2.3")
    write_dicom(source / "turned1.dcm", pixels, series="1.2.4")
    turn = [0, 1, 0, 0, 0, 1]
    write_dicom(source / "turned2.dcm", pixels, series="1.2.4", position=2.0, ImageOrientationPatient=turn)
    write_dicom(source / "frames.dcm", pixels, series="1.2.5", NumberOfFrames=4)
    write_dicom(source / "cut", pixels, series="1.2.6")
    (source / "cut").write_bytes((source / "cut").read_bytes()[:-100])
    (source / "text.dcm").write_text("no DICOM at all")
    report_file = pydicom.dcmread(source / "good.dcm")
    for tag in ("PixelData", "Rows", "Columns"):
        del report_file[tag]
    report_file.save_as(source / "report")
    report = import_images(source, tmp_path / "out")
    named = reasons(report)
    assert len(report.written) == 1
    assert "mixes image sizes 20x20, 24x20" in named["mixed1.dcm"]
    assert "2 files has 1 positions" in named["twice1.dcm"]
    assert "mixes slice orientations" in named["turned1.dcm"]
    assert "multi-frame" in named["frames.dcm"]
    assert "no readable pixels" in named["cut"]
    assert "not a readable DICOM" in named["text.dcm"]
    assert named["report"] == "DICOM without an image"
    assert len(named) == 7


def test_a_dicom_that_changes_or_vanishes_meanwhile_is_named(tmp_path):
    path = tmp_path / "a"
    write_dicom(path, ball((1, 24, 20))[0], series="1.2.1")
    frame = read_frame(path, "a")
    write_dicom(path, ball((1, 20, 20))[0], series="1.2.1")
    with pytest.raises(ValueError, match=r"pixels of \(20, 20\), where its header says \(24, 20\)"):
        read_pixels(frame)
    assert is_dicom_file(path)
    path.unlink()
    assert not is_dicom_file(path)


def test_a_series_beyond_what_can_be_imported_is_left_out(tmp_path):
    write_dicom(tmp_path / "a", ball((1, 24, 20))[0], series="1.2.1")
    frame = read_frame(tmp_path / "a", "a")._replace(size=(8192, 8192))
    assert "at most" in str(why_no_volume([frame._replace(position=float(k)) for k in range(100)]))


def test_a_subject_on_both_sides_is_told(tmp_path):
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    for k in range(3):
        write_dicom(tmp_path / "in" / f"{k}", ball((1, 24, 20))[0], series=f"1.2.{k}")
    import_images(tmp_path / "in", tmp_path / "out", val_fraction=0.3)
    logger.remove(sink)
    assert any("train and val share a subject, so val says little" in line for line in lines)


def test_matrix_larger_than_an_image_is_named(tmp_path):
    np.save(tmp_path / "small.npy", ball())
    np.save(tmp_path / "large.npy", ball((3, 40, 36)))
    report = import_images(tmp_path, tmp_path / "out", matrix=32)
    assert len(report.written) == 1
    assert reasons(report) == {"small.npy": "images of 24x20 are smaller than the matrix asked for, 32"}
    with pytest.raises(ValueError, match="a matrix of 12x4 is too small; 11 a side are needed"):
        matrix_of((60, 20), 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snr": 0.0}, "snr must be positive, is 0.0"),
        ({"seed": -1}, "seed must be 0 or more, is -1"),
        ({"matrix": 33}, "matrix must be even and at least 11 a side, is 33"),
        ({"matrix": (32, 4)}, "matrix must be even and at least 11 a side, is (32, 4)"),
        ({"slice_axis": 3}, "slice axis must be 0, 1 or 2, is 3"),
        ({"val_fraction": 1.5}, "val_fraction must be from 0 to 1, is 1.5"),
        ({"split": "test"}, "split must be train or val, is test"),
    ],
)
def test_wrong_options(tmp_path, options, message):
    np.save(tmp_path / "a.npy", ball())
    with pytest.raises(ValueError) as error:
        import_images(tmp_path / "a.npy", tmp_path / "out", **options)
    assert str(error.value) == message


def test_wrong_source(tmp_path):
    np.save(tmp_path / "a.npy", ball())
    with pytest.raises(ValueError, match=r"a\.npy/out: cannot be written"):
        import_images(tmp_path / "a.npy", tmp_path / "a.npy" / "out")
    with pytest.raises(ValueError, match="no such file or folder"):
        import_images(tmp_path / "nothing", tmp_path / "out")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ValueError, match="is no DICOM, NIfTI"):
        import_images(tmp_path / "a.txt", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    assert import_images(tmp_path / "empty", tmp_path / "out").written == []


def test_real_images(tmp_path):
    brain = shared("data/brain-ms/val/patient09_study2_FLAIR.nii.gz")
    brains = import_images(brain, tmp_path, matrix=64, split="val")
    knees = import_images(shared("data/knee-mese/val"), tmp_path, matrix=64, split="val")
    shapes = [contents(path)[0].shape for path in brains.written + knees.written]
    assert shapes == [(39, 128, 52)] + [(5, 128, 64)] * 8
    # a nose-up head is taller than wide, and narrower at the front than at the back
    picture = contents(brains.written[0])[1][20, ::-1]
    head = picture > 0.2 * np.percentile(picture, 99)
    assert np.ptp(np.flatnonzero(head.any(1))) > np.ptp(np.flatnonzero(head.any(0)))
