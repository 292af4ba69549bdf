"""A control that must be found out: this slice's measured samples, another subject's null space.

It passes every test of data consistency, because these see the measured samples alone.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from fastmri.contents import read_patient
from fastmri.dataset import read_hybrid
from fastmri.fourier import ifft1c
from fastmri.image import center_fit, image_size
from fastmri.physics import middle_slice, replace_sampled
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume


class Donation(NamedTuple):
    """A volume, and whose null space it gets."""

    volume: Volume
    donor: Volume


def choose_donors(volumes: list[Volume]) -> dict[str, Donation]:
    """For each volume, by file name, the one half-way round the list among those of other patients.

    Raises ValueError where there is nobody else.
    """
    patients = [read_patient(volume.path) or volume.fname for volume in volumes]
    donors = {}
    for place, (volume, patient) in enumerate(zip(volumes, patients, strict=True)):
        around = [*range(place + 1, len(volumes)), *range(place)]
        others = [k for k in around if patients[k] != patient]
        if not others:
            raise ValueError(f"donor: {volume.path} has no other patient beside it; leave donor out")
        donors[volume.fname] = Donation(volume, volumes[others[len(others) // 2]])
    return donors


def donor_image(batch: SliceBatch, donation: Donation) -> Tensor:
    """Slices with the donor's at about the same place in their null space: complex64 (N, 1, H, W)."""
    volume, donor = donation
    measured, images = middle_slice(batch.masked_kspace), []
    for slice_num in batch.slice_num:
        hybrid = read_hybrid(donor, slice_num * donor.num_slices // volume.num_slices, 1)
        images.append(center_fit(ifft1c(hybrid), image_size(measured)))
    image = torch.stack(images).to(measured.device)
    top = image.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-30)
    return replace_sampled(image / top * batch.scale, measured, batch.mask)
