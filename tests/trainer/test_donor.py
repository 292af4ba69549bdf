"""The donor passes for consistent, and is found out by what it invents."""

import json

import pytest
import torch

from fastmri.dataset import collate, make_slice, read_hybrid
from fastmri.fourier import fft1c
from fastmri.image import center_fit
from fastmri.masks import evaluation_mask
from fastmri.physics import apply_mask, middle_slice, null_space
from fastmri.spectrum import INVENTED, null_space_measures, ring_sums
from fastmri.volumes import describe_volume
from main import main
from tests.conftest import read_target, write_tiny_volume
from trainer.evaluation.donor import choose_donors, donor_image
from trainer.evaluation.figures import best_method


@pytest.fixture
def volumes(tmp_path):
    """Three patients; the last has another width and fewer slices."""
    sizes = [(4, 48), (4, 48), (2, 41)]
    paths = [
        write_tiny_volume(tmp_path / f"file{k}.h5", slices=slices, columns=columns, seed=k)
        for k, (slices, columns) in enumerate(sizes)
    ]
    return [describe_volume(path) for path in paths]


def slices_of(volume, acceleration: int = 4):
    mask = evaluation_mask("random_exact", volume.fname, volume.kspace_shape[2], acceleration, 0.08)
    return collate(
        [
            make_slice(
                volume,
                k,
                read_hybrid(volume, k, 1),
                torch.from_numpy(mask),
                torch.from_numpy(read_target(volume.path, k))[None],
                acceleration,
            )
            for k in range(volume.num_slices)
        ]
    )


def test_a_donor_is_another_patient(volumes, tmp_path):
    donors = choose_donors(volumes)
    assert set(donors) == {volume.fname for volume in volumes}
    for volume in volumes:
        assert donors[volume.fname].donor.path != volume.path
    same = [write_tiny_volume(tmp_path / "same" / f"file{k}.h5", seed=0) for k in (7, 8)]
    with pytest.raises(ValueError, match="has no other patient beside it"):
        choose_donors([describe_volume(path) for path in same])


def test_measured_samples_are_kept_and_the_rest_is_found_out(volumes):
    for volume in volumes:
        batch = slices_of(volume)
        image = donor_image(batch, choose_donors(volumes)[volume.fname])
        measured = middle_slice(batch.masked_kspace)
        misfit = apply_mask(fft1c(image), batch.mask) - measured
        assert misfit.norm() < 1e-5 * measured.norm()
        null = null_space(image, batch.mask)
        assert null.norm() > 0.1 * image.norm()
        found = null_space_measures(ring_sums(image, batch.kspace, batch.mask, volume.acquired))
        assert found.hallucination > INVENTED
        assert found.error > 1


@pytest.mark.parametrize("size", [(4, 7), (9, 4), (6, 9), (5, 5)])
def test_fitting_keeps_the_centre(size):
    image = torch.zeros(1, 6, 6)
    image[0, 3, 3] = 1
    fitted = center_fit(image, size)
    assert fitted.shape == (1, *size)
    assert fitted[0, size[0] // 2, size[1] // 2] == 1


def test_the_error_that_is_drawn_is_never_the_donors():
    assert best_method(["zero_filled", "tv", "donor"]) == "tv"
    assert best_method(["zero_filled", "donor", "baseline", "mean_8", "sample"]) == "mean_8"


def test_validate_finds_the_donor_out(tiny_run, tmp_path, capsys):
    """In the same table as a model: it passes for consistent, and its null space is invented."""
    assert main(["validate", str(tiny_run), "validate.methods=[donor,low_pass]", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "metrics.json").read_text())["rows"]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    assert methods == ["zero_filled", "low_pass", "donor", "model"]
    for row in rows:
        if row["method"] == "donor":
            assert row["dc_residual"]["mean"] < 1e-5
            assert row["hallucination"]["mean"] > INVENTED
        if row["method"] == "zero_filled":
            assert row["hallucination"]["mean"] == 0
    assert "donor" in capsys.readouterr().out
