"""Every kind of fastMRI file is described and read; damaged ones are named in one line."""

import h5py
import numpy as np
import pytest

from fastmri.contents import read_kspace, read_mask
from fastmri.header import Header, format_header, parse_header
from fastmri.volumes import TARGET, describe_volume
from tests.conftest import read_target, write_tiny_volume


@pytest.fixture
def path(tmp_path):
    return write_tiny_volume(tmp_path / "file1000001.h5", slices=3, rows=64, columns=48)


def remove(path, *names: str) -> None:
    with h5py.File(path, "r+") as file:
        for name in names:
            del file[name]


def test_a_training_file(path):
    volume = describe_volume(path)
    assert volume.kspace_shape == (3, 64, 48)
    assert volume.recon_size == (32, 32)
    assert volume.hybrid_shape == (32, 48)
    assert volume.acquired == (2, 46)
    assert volume.acquisition == "CORPD_FBK"
    assert volume.max_value == pytest.approx(float(read_target(path, 0).max()), rel=0.5)
    assert (volume.has_target, volume.has_mask) == (True, False)


def test_a_test_file_has_a_mask_and_no_target(path):
    remove(path, TARGET)
    mask = np.arange(48) % 3 == 0
    with h5py.File(path, "r+") as file:
        file["mask"] = mask.astype(np.uint8)
        del file.attrs["max"], file.attrs["norm"]
    volume = describe_volume(path)
    assert (volume.has_target, volume.has_mask, volume.max_value) == (False, True, None)
    assert volume.recon_size == (32, 32)  # from the header
    assert np.array_equal(read_mask(path), mask)


def test_a_bare_file_is_taken_as_oversampled_twice(tmp_path):
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["kspace"] = np.ones((2, 64, 48), np.complex64)
    volume = describe_volume(tmp_path / "bare.h5")
    assert volume.recon_size == (32, 32)
    assert volume.acquired == (0, 48)
    assert volume.acquisition == "unknown"


def test_target_without_attributes(path):
    with h5py.File(path, "r+") as file:
        file.attrs.clear()
        largest = file[TARGET][()].max()
    assert describe_volume(path).max_value == largest


@pytest.mark.parametrize(
    "stored",
    ["CORPD_FBK", np.bytes_("CORPD_FBK"), np.array([b"CORPD_FBK"]), np.array(["CORPD_FBK"], dtype=object)],
)
def test_the_acquisition_is_text_however_it_is_stored(path, stored):
    with h5py.File(path, "r+") as file:
        file.attrs["acquisition"] = stored
    assert describe_volume(path).acquisition == "CORPD_FBK"


def test_a_volume_narrower_than_its_header_says(path):
    with h5py.File(path, "r+") as file:
        narrow = file["kspace"][:, :, 10:38]
        del file["kspace"], file[TARGET], file["ismrmrd_header"]
        file["kspace"] = narrow
        file["ismrmrd_header"] = format_header(Header((64, 28, 1), (32, 32, 1), 14, 27))
    assert describe_volume(path).recon_size == (32, 28)


def test_slices_are_read_one_at_a_time(path):
    with h5py.File(path, "r") as file:
        kspace = file["kspace"][()]
    assert np.array_equal(read_kspace(path, [2, 0]), kspace[[2, 0]])


def test_the_header_survives_a_round_trip():
    header = Header(encoded=(640, 372, 1), recon=(320, 320, 1), center=166, maximum=331)
    assert parse_header(format_header(header)) == header
    assert header.acquired == (20, 352)


@pytest.mark.parametrize(
    ("kspace", "message"),
    [
        (None, "no dataset 'kspace'"),
        (np.ones((2, 8, 8), np.float32), "must be complex"),
        (np.ones((2, 3, 8, 8), np.complex64), "must be complex"),
        (np.ones((0, 8, 8), np.complex64), "must be complex"),
        (np.ones((2, 8, 8), np.dtype([("real", "f4"), ("imag", "f4")])), None),
        ("group", "must be a dataset, is a group"),
    ],
)
def test_wrong_kspace_is_named(tmp_path, kspace, message):
    path = tmp_path / "file1.h5"
    with h5py.File(path, "w") as file:
        if isinstance(kspace, str):
            file.create_group("kspace")
        elif kspace is not None:
            file["kspace"] = kspace
    with pytest.raises(ValueError, match=message) as error:
        describe_volume(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_mask_of_another_length_is_named(path):
    with h5py.File(path, "r+") as file:
        file["mask"] = np.ones(47)
    with pytest.raises(ValueError, match="must have 48 entries"):
        read_mask(path)


def test_a_mask_that_is_not_there_is_named(path):
    with pytest.raises(ValueError, match=r"file1000001\.h5: no dataset 'mask'"):
        read_mask(path)


def test_a_volume_too_small_for_the_metrics_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"11 pixels a side are needed, kspace is \(20, 48\), its image \(10"
    ):
        describe_volume(write_tiny_volume(tmp_path / "file1.h5", rows=20))


def test_a_malformed_header_is_named(path):
    with h5py.File(path, "r+") as file:
        del file["ismrmrd_header"]
        file["ismrmrd_header"] = b"<ismrmrdHeader"
    with pytest.raises(ValueError, match=r"file1000001\.h5: ismrmrd_header is not XML"):
        describe_volume(path)


@pytest.mark.parametrize(("value", "told"), [(np.nan, "nan"), (np.inf, "inf"), (0.0, "0")])
def test_a_target_without_a_maximum_to_divide_by_is_named(path, value, told):
    with h5py.File(path, "r+") as file:
        del file.attrs["max"]
        file[TARGET][...] = value
    rule = f"the maximum of {TARGET} must be finite and above 0, is {told}"
    with pytest.raises(ValueError, match=rf"file1000001\.h5: {rule}"):
        describe_volume(path)


def test_a_maximum_that_is_no_number_is_named(path):
    with h5py.File(path, "r+") as file:
        file.attrs["max"] = "large"
    with pytest.raises(ValueError, match=r"file1000001\.h5: attribute max must be a number, is 'large'"):
        describe_volume(path)


@pytest.mark.parametrize("size", [0, 10, 3000])
def test_a_truncated_file_is_named(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"file1000001\.h5: not a readable HDF5 file"):
        describe_volume(path)
