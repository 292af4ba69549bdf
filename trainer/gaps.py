"""How much samples differ, and what their mean is worth, in every wavelet band by itself."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from config.schema import Config
from custom_nn.gains import BandTable
from custom_nn.model import Reconstruction
from custom_nn.wavelets import band_count, wavelets
from fastmri.dataset import EvaluationDraw, EvaluationSlices, collate, to_device
from fastmri.image import image_size
from fastmri.physics import zero_filled
from fastmri.posterior import squared_errors
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume
from trainer.data import mask_settings, spread_evenly
from trainer.distributed import Process, add_up
from trainer.draws import Draw
from trainer.objectives import magnitude, turned

PARTS = ("in_phase", "quadrature")


def band_figure(name: str, acceleration: int, band: int, part: str) -> str:
    """How metrics.jsonl calls a quantity of a band, counted from the finest, and part."""
    return f"{name}_x{acceleration}_band{band}_{part}"


class Gaps(NamedTuple):
    """What the mean of samples gains on one in dB."""

    image: Tensor  # float64 scalar, of magnitudes: of PSNR
    bands: Tensor  # float64 (bands, 2): in phase and in quadrature


def tuning_batches(config: Config, volumes: list[Volume], process: Process) -> list[SliceBatch]:
    """This process's share of `loss.tune_slices` slices, as many of each volume, at every acceleration.

    Each batch is of one volume. They are kept in memory, because they are used again and again.
    """
    dataset = EvaluationSlices(volumes, mask_settings(config), adjacent_slices=config.data.adjacent_slices)
    starts = np.cumsum([0] + [volume.num_slices for volume in volumes])
    used = tuning_places(config, volumes)
    each = config.loss.tune_slices // len(used)
    groups = [starts[k] + np.array(spread_evenly(volumes[k].num_slices, each)) for k in used]
    pairs = [(group, r) for group in groups for r in config.masks.accelerations]
    return [
        collate([dataset[EvaluationDraw(int(place), r)] for place in group])
        for group, r in pairs[process.rank :: process.world]
    ]


def tuning_places(config: Config, volumes: list[Volume]) -> list[int]:
    """Which of the volumes all is tuned by."""
    return spread_evenly(len(volumes), config.loss.tune_slices)


@torch.inference_mode()
def measure_gaps(
    draw: Draw, batches: Iterable[SliceBatch], config: Config, process: Process
) -> dict[int, Gaps]:
    """By acceleration, mean over volumes, over all processes.

    10 log10 of the squared error of one sample over that of the mean of P = `validate.samples`. Bands are of
    the complex image, in phase and in quadrature by themselves: anatomy is in phase, and what is unknown of
    it is stronger, and rarer.
    """
    accelerations, bands = config.masks.accelerations, band_count(config.loss.octaves)
    shape = (2 + bands * len(PARTS),)  # how many volumes, and sums over them
    counted = _sums(partial(_counted_gaps, draw), shape, batches, config, process)
    means = counted[:, 1:] / counted[:, :1]
    return {
        r: Gaps(row[0], row[1:].view(bands, len(PARTS))) for r, row in zip(accelerations, means, strict=True)
    }


def _counted_gaps(draw: Draw, batch: SliceBatch, config: Config) -> Tensor:
    """1, and the gaps of the image and of each band and part."""
    pairs = drawn_bands(draw(batch), batch, config)
    errors = torch.stack([squared_errors(*pair, [1, drawn_samples(config)]) for pair in pairs])
    one, mean = errors.clamp(min=1e-30).unbind(-1)
    gaps = 10 * (one / mean).log10()
    return torch.cat([gaps.new_ones(1), gaps])


def _sums(
    measure: Callable[[SliceBatch, Config], Tensor],
    shape: tuple[int, ...],
    batches: Iterable[SliceBatch],
    config: Config,
    process: Process,
) -> Tensor:
    """What is measured of each batch, of this shape, added up by acceleration over all processes."""
    accelerations = config.masks.accelerations
    found = torch.zeros(len(accelerations), *shape, dtype=torch.float64, device=process.device)
    for batch in batches:
        place = accelerations.index(batch.acceleration[0])
        found[place] += measure(to_device(batch, process.device), config)
    return add_up(found, process).cpu()


def drawn_samples(config: Config) -> int:
    """How many samples of a slice are measured: one alone has no spread."""
    return max(config.draws, 2)


def drawn_bands(
    draws: list[Reconstruction], batch: SliceBatch, config: Config
) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples (P, N, ..., h, w) and truth alike: of magnitudes, then of each band and part of it."""
    assert batch.kspace is not None
    assert batch.target is not None
    images = [zero_filled(batch.kspace), *(draw.image for draw in draws)]
    truth, *samples = (magnitude(image, image_size(batch.target)) for image in images)
    yield torch.stack(samples), truth
    bands = wavelets(torch.stack(turned(images, batch)), config.loss.octaves)
    for part in bands.movedim(3, 1).flatten(0, 1):
        yield part[1:], part[0]


@torch.inference_mode()
def measure_means(draw: Draw, batches: Iterable[SliceBatch], config: Config, process: Process) -> BandTable:
    """The part of the texture's mean that is worth adding to the baseline, by least squares: 0 to 1.

    Its inner product with what the baseline lacks, over its energy: that of two different samples' textures,
    which are independent but for their mean. Volumes count alike, by what their baseline lacks.
    """
    shape = 2, band_count(config.loss.octaves), len(PARTS)
    worth, energy = _sums(partial(_worth, draw), shape, batches, config, process).unbind(1)
    kept = worth.clamp(min=0) / torch.maximum(energy, worth).clamp(min=1e-30)
    return dict(zip(config.masks.accelerations, kept.tolist(), strict=True))


def _worth(draw: Draw, batch: SliceBatch, config: Config) -> Tensor:
    """Mean texture times what is lacking, and times itself, over what is lacking: (2, bands, parts)."""
    assert batch.kspace is not None
    draws = draw(batch)
    assert draws[0].baseline is not None
    images = [draws[0].baseline, zero_filled(batch.kspace), *(draw.image for draw in draws)]
    bands = wavelets(torch.stack(turned(images, batch)), config.loss.octaves)
    # one by one: in float64 all of them would take more memory than a step of training
    return torch.stack([_band_worth(band.double()) for band in bands], dim=1)


def _band_worth(band: Tensor) -> Tensor:
    """(2, parts) of the baseline, the truth and samples (2 + P, N, parts, h, w)."""
    lacking, textures = band[1] - band[0], band[2:] - band[0]
    total, count = textures.sum(0), len(textures)
    energy = (total.square() - textures.square().sum(0)) / (count * (count - 1))
    found = torch.stack([total / count * lacking, energy, lacking.square()]).sum(dim=(1, 3, 4))
    return found[:2] / found[2].clamp(min=1e-30)
