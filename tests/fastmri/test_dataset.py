"""Slices are what the files hold, drawn reproducibly whatever the number of workers."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from fastmri.augment import Augmentation, augment
from fastmri.dataset import (
    EvaluationDraw,
    EvaluationSlices,
    TrainingDraw,
    TrainingSlices,
    collate,
    read_hybrid,
)
from fastmri.fourier import ifft1c
from fastmri.image import center_crop
from fastmri.masks import MaskSettings, evaluation_mask
from fastmri.physics import apply_mask
from fastmri.sampling import EvaluationBatches, TrainingBatches
from fastmri.scan import scan_volumes
from fastmri.slices import undersample
from tests.conftest import read_target

MASKS = MaskSettings.make("random", [4, 8], None)
STILL = Augmentation(flip=False, phase=0, intensity=0, noise=0)
VARIED = Augmentation(flip=True, phase=0.5, intensity=0.2, noise=0.05)


@pytest.fixture
def volumes(tiny_data):
    return scan_volumes(tiny_data / "singlecoil_train")


def training(volumes, **changes) -> TrainingSlices:
    options: dict[str, Any] = {"adjacent_slices": 1, "crop_rows": None, "augmentation": STILL} | changes
    return TrainingSlices(volumes, MASKS, **options)


def batches(volumes, **changes) -> TrainingBatches:
    count = sum(volume.num_slices for volume in volumes)
    options: dict[str, Any] = {"batch_size": 2, "seed": 0, "start": 0, "stop": 20}
    options |= {"indices": list(range(count)), **changes}
    return TrainingBatches(volumes, **options)


def test_a_slice_is_the_masked_file(volumes):
    dataset = EvaluationSlices(volumes, MASKS, adjacent_slices=1)
    sample = dataset[EvaluationDraw(4, 8)]
    assert (sample.fname, sample.slice_num, sample.acceleration) == ("file1000002.h5", 1, 8)
    hybrid = read_hybrid(volumes[1], 1, 1)
    assert torch.equal(sample.masked_kspace, apply_mask(hybrid, sample.mask))
    expected = evaluation_mask("random", "file1000002.h5", 40, 8, 0.04)
    assert np.array_equal(sample.mask[0, 0], expected)
    assert sample.target is not None
    assert torch.equal(sample.target[0], torch.from_numpy(read_target(volumes[1].path, 1)))
    full = center_crop(ifft1c(hybrid).abs(), sample.recon_size)
    torch.testing.assert_close(full, sample.target)
    assert sample.max_value.item() == pytest.approx(volumes[1].max_value)


def test_neighbours_and_repeated_edges(volumes):
    volume = volumes[2]
    single = [read_hybrid(volume, k, 1)[0] for k in range(4)]
    for k, neighbours in ((0, [0, 0, 1]), (1, [0, 1, 2]), (3, [2, 3, 3])):
        wanted = torch.stack([single[n] for n in neighbours])
        rounding = 1e-6 * wanted.abs().max().item()  # some FFTs round three slices otherwise than one
        torch.testing.assert_close(read_hybrid(volume, k, 3), wanted, rtol=0, atol=rounding)


def test_masks_do_not_depend_on_the_list_of_accelerations(volumes):
    alone = EvaluationSlices(volumes, MaskSettings.make("random", [8], None), adjacent_slices=1)
    among = EvaluationSlices(volumes, MASKS, adjacent_slices=1)
    assert torch.equal(alone[EvaluationDraw(0, 8)].mask, among[EvaluationDraw(0, 8)].mask)


def test_training_draws_repeat_with_their_seed_and_differ_otherwise(volumes):
    dataset = training(volumes, augmentation=VARIED)
    first, again, other = (dataset[TrainingDraw(0, (0, 0, step, 0))] for step in (5, 5, 6))
    assert torch.equal(first.masked_kspace, again.masked_kspace)
    assert first.target is not None
    assert again.target is not None
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.masked_kspace, other.masked_kspace)
    masks = {tuple(dataset[TrainingDraw(0, (0, 0, step, 0))].mask.flatten().tolist()) for step in range(30)}
    assert len(masks) > 20


def test_every_acceleration_is_drawn(volumes):
    dataset = training(volumes)
    drawn = {dataset[TrainingDraw(0, (0, 0, step, 0))].acceleration for step in range(20)}
    assert drawn == {4, 8}


def test_row_crops_are_rows_of_the_whole(volumes):
    draw = TrainingDraw(0, (0, 0, 0, 0))
    whole, crop = training(volumes)[draw], training(volumes, crop_rows=12)[draw]
    assert crop.masked_kspace.shape == (1, 12, 48)
    assert crop.recon_size == (12, 32)
    starts = [k for k in range(21) if torch.equal(whole.masked_kspace[:, k : k + 12], crop.masked_kspace)]
    assert len(starts) == 1
    assert whole.target is not None
    assert crop.target is not None
    assert torch.equal(whole.target[:, starts[0] : starts[0] + 12], crop.target)
    assert torch.equal(whole.scale, crop.scale)


def test_row_crops_begin_anywhere(volumes):
    dataset, draws = training(volumes, crop_rows=31), [TrainingDraw(0, (0, 0, k, 0)) for k in range(20)]
    starts = {dataset.draw(draw).rows.start for draw in draws}
    assert starts == {0, 1}


@pytest.mark.parametrize("rows", [None, 12])
@pytest.mark.parametrize("adjacent", [1, 3])
def test_a_batch_is_undersampled_as_its_slices_are_to_the_bit(volumes, rows, adjacent):
    dataset = training(volumes, crop_rows=rows, adjacent_slices=adjacent)
    draws = [TrainingDraw(place, (0, 0, place, 0)) for place in range(2)]
    together = undersample(collate([dataset.draw(draw) for draw in draws]))
    alone = collate([dataset[draw] for draw in draws])
    for name in ("masked_kspace", "mask", "target", "kspace", "scale"):
        assert torch.equal(getattr(together, name), getattr(alone, name))


def test_varied_data_still_fit_their_target(volumes):
    seed = (0, 0, 3, 0)
    sample = training(volumes, augmentation=VARIED)[TrainingDraw(0, seed)]
    varied = augment(read_hybrid(volumes[0], 0, 1), VARIED, volumes[0].acquired, np.random.default_rng(seed))
    torch.testing.assert_close(sample.target, center_crop(ifft1c(varied).abs(), (32, 32)))
    assert torch.equal(sample.masked_kspace, apply_mask(varied, sample.mask))
    assert varied[..., :2].abs().max() == 0  # padding stays padding
    assert varied[..., 46:].abs().max() == 0


def test_no_variation_leaves_data_as_they_are(volumes):
    hybrid = read_hybrid(volumes[0], 0, 1)
    torch.testing.assert_close(augment(hybrid, STILL, (2, 46), np.random.default_rng(0)), hybrid)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_have_one_shape_and_do_not_depend_on_workers(volumes, workers):
    loader = DataLoader(
        training(volumes), batch_sampler=batches(volumes), num_workers=workers, collate_fn=collate
    )
    direct = [collate([training(volumes)[draw] for draw in draws]) for draws in batches(volumes)]
    widths = set()
    for batch, expected in zip(loader, direct, strict=True):
        assert torch.equal(batch.masked_kspace, expected.masked_kspace)
        assert torch.equal(batch.mask, expected.mask)
        assert batch.masked_kspace.shape[1:3] == (1, 32)
        widths.add(batch.masked_kspace.shape[-1])
    assert widths == {40, 48}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_an_epoch_draws_every_slice_once(volumes, batch_size):
    epoch = batches(volumes, batch_size=batch_size).batches_per_epoch
    drawn = list(batches(volumes, batch_size=batch_size, stop=3 * epoch))
    for k in range(3):
        part = [draw.place for batch in drawn[k * epoch : (k + 1) * epoch] for draw in batch]
        assert sorted(part) == list(range(9))
    assert max(map(len, drawn)) <= batch_size
    assert min(map(len, drawn)) >= min(batch_size, 4) // 2  # no batch is a small rest


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_draw_what_one_draws_wherever_they_take_over(volumes, world):
    alone = list(batches(volumes, stop=5 + 4 * 6))
    shares = [
        list(batches(volumes, start=5, stop=5 + 4 * 6, rank=rank, world=world)) for rank in range(world)
    ]
    assert {len(share) for share in shares} == {24 // world}
    steps = zip(*shares, strict=True)
    assert [batch for step in steps for batch in step] == alone[5:]


def test_resumed_order_equals_the_uninterrupted(volumes):
    whole = list(batches(volumes))
    assert list(batches(volumes, start=7)) == whole[7:]
    assert len(batches(volumes, start=7)) == 13


def test_evaluation_visits_every_slice_once_per_acceleration(volumes):
    for world in (1, 2):
        draws = [
            draw
            for rank in range(world)
            for batch in EvaluationBatches(volumes, [4, 8], batch_size=2, rank=rank, world=world)
            for draw in batch
        ]
        assert sorted(draws) == [EvaluationDraw(k, r) for k in range(9) for r in (4, 8)]


def test_varied_target_of_middle_slice(volumes):
    sample = training(volumes, adjacent_slices=3, augmentation=VARIED)[TrainingDraw(1, (0, 0, 3, 0))]
    assert sample.kspace is not None
    torch.testing.assert_close(sample.target, center_crop(ifft1c(sample.kspace).abs(), sample.recon_size))


def test_a_phase_turns_an_intensity_scales_and_noise_is_as_strong_as_asked(volumes):
    hybrid = read_hybrid(volumes[0], 0, 1)
    image = ifft1c(hybrid)

    def varied(seed=0, **changes) -> torch.Tensor:
        return ifft1c(augment(hybrid, STILL._replace(**changes), (0, 48), np.random.default_rng(seed)))

    top = image.abs().max()
    torch.testing.assert_close(varied(phase=0.5).abs() / top, image.abs() / top)
    assert (varied(phase=0.5) - image).norm() > 0.1 * image.norm()
    assert (varied(intensity=0.5) * image.conj()).imag.abs().max() < 1e-6 * top**2
    stds = [(varied(seed, noise=0.1) - image).abs().square().mean().sqrt() for seed in range(100)]
    assert torch.stack(stds).mean() == pytest.approx(0.05 * float(top), rel=0.2)
