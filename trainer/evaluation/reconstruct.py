"""The `reconstruct` command: from undersampled files to images, with what their masks tell."""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from loguru import logger
from torch import nn

from config.schema import Config
from custom_nn.model import ZeroFilled
from fastmri.atomic import replacing, writable_folder
from fastmri.dataset import collate, make_slice, read_hybrid, to_device
from fastmri.hybrid import read_truth
from fastmri.inspecting import inspect
from fastmri.physics import middle_slice
from fastmri.scan import list_files, scan_volumes
from fastmri.slices import SliceBatch
from fastmri.volumes import Volume
from trainer import checkpoint
from trainer.data import slices_together
from trainer.distributed import Process, gather
from trainer.draws import evaluation_draws
from trainer.evaluation.estimates import energy, misfit, named_images
from trainer.evaluation.figures import Panel, draw_panels
from trainer.evaluation.methods import build_method, weights_of_files
from trainer.evaluation.trust import Bounds
from trainer.evaluation.undersampling import Sampling, choose_sampling
from trainer.evaluation.validate import Run, run_calibration
from trainer.log import progress_bar
from trainer.objectives import magnitude


class Volumetric(NamedTuple):
    """A reconstructed file, in its own units."""

    samples: np.ndarray  # float32 (P, S, h, w)
    methods: dict[str, np.ndarray]  # float32 (S, h, w): zero-filled, and what the samples stand for
    dc_residual: float  # ||M F_w x - y|| / ||y|| of single complex samples, the largest; not of their mean


def reconstruct(
    run: Run,
    source: Path,
    out: Path,
    *,
    slice_num: int | None,
    acceleration: int | None,
    samples: int,
    process: Process,
) -> list[Path]:
    """Reconstruct a file, or every volume of a folder, into `out`; gives the paths written.

    Processes share the volumes, and all get all paths. Wrong requests are told before anything is written;
    damaged files of a folder are named and left out.
    """
    config = run.config
    if samples > 1 and not run.stochastic:
        raise ValueError(f"--samples {samples}: {run.name} draws no noise, it has one sample")
    volumes = scan_volumes(source) if source.is_dir() else [inspect(path) for path in list_files(source)]
    _check_requests(volumes, out, slice_num)
    plans = _plan(volumes, acceleration, config)
    writable_folder(out, make=False)  # before weights are tuned
    models = load_models(run, sorted({sampling.acceleration for _, sampling in plans}), process)
    writable_folder(out)
    calibrations, written = run_calibration(run, samples), []
    own = plans[process.rank :: process.world]
    hidden = len(plans) == 1 or not process.main
    for volume, sampling in progress_bar(own, desc="reconstruct", unit="file", disable=hidden):
        try:
            model = models[sampling.acceleration]
            result = reconstruct_volume(model, volume, sampling, config, samples, process.device)
        except ValueError as error:
            if len(plans) == 1:
                raise
            logger.warning("left out: {}", error)
            continue
        written.append(out / volume.fname)
        bounds = calibrations.promise(volume.fname, result.samples, sampling) if calibrations else None
        write_result(written[-1], result, sampling, bounds)
        if slice_num is not None:
            written.append(out / f"{Path(volume.fname).stem}_slice{slice_num}.png")
            draw_slice(written[-1], volume, result, sampling, slice_num, bounds)
        elif bounds:
            logger.info("{}: {}", volume.fname, bounds.line())
    if not (found := sorted(gather(written, process))):
        raise ValueError(f"{source}: none of its {len(plans)} files can be reconstructed; each is told above")
    return found


def load_models(run: Run, accelerations: list[int], process: Process) -> dict[int, nn.Module]:
    """What reconstructs at each acceleration: always the checkpoint's model, or a method with its weight."""
    if run.found:
        return dict.fromkeys(accelerations, checkpoint.load_model(run.found, run.config, process.device))
    weights = weights_of_files(accelerations, run.config, process)
    return {r: build_method(run.name, weights, r, run.config) for r in accelerations}


def _plan(volumes: list[Volume], acceleration: int | None, config: Config) -> list[tuple[Volume, Sampling]]:
    """How each volume is sampled; of several, those of which it can't be told are named and left out."""
    plans, faults = [], []
    for volume in volumes:
        try:
            plans.append((volume, choose_sampling(volume, acceleration, config)))
        except ValueError as error:
            faults.append(error)
    if not plans:
        raise faults[0]
    for fault in faults:
        logger.warning("left out: {}", fault)
    return plans


def _check_requests(volumes: list[Volume], out: Path, slice_num: int | None) -> None:
    for volume in volumes:
        if slice_num is not None and not 0 <= slice_num < volume.num_slices:
            raise ValueError(f"--slice {slice_num}: {volume.path} has slices 0 to {volume.num_slices - 1}")
        target = out / volume.fname
        if target.exists() and target.samefile(volume.path):
            raise ValueError(f"{out}: is the folder of the input, whose files would be overwritten")


@torch.inference_mode()
def reconstruct_volume(
    model: nn.Module, volume: Volume, sampling: Sampling, config: Config, samples: int, device: torch.device
) -> Volumetric:
    """Every slice of a file, `samples` times."""
    drawn, methods, misfits, norm = [], [], torch.zeros(samples), 0.0
    together = slices_together(config, device)
    for start in range(0, volume.num_slices, together):
        stop = min(start + together, volume.num_slices)
        batch = to_device(_batch(volume, range(start, stop), sampling, config), device)
        draws = evaluation_draws(model, batch, config.seed, samples)
        magnitudes = torch.stack([magnitude(draw.image, volume.recon_size)[:, 0] for draw in draws])
        zero = magnitude(ZeroFilled()(batch.masked_kspace, batch.mask, None).image, volume.recon_size)[:, 0]
        named = {name: shown for name, (_, shown) in named_images(draws, magnitudes, batch).items()}
        methods.append({name: x.cpu() for name, x in {"zero_filled": zero, **named}.items()})
        drawn.append(magnitudes.cpu())
        misfits += torch.stack([misfit(draw.image, batch) for draw in draws])
        norm += float(energy(middle_slice(batch.masked_kspace)))
    joined = {name: torch.cat([part[name] for part in methods]).numpy() for name in methods[0]}
    residual = float((misfits.max() / norm).sqrt()) if norm else 0.0
    return Volumetric(torch.cat(drawn, dim=1).numpy(), joined, residual)


def _batch(volume: Volume, slices: range, sampling: Sampling, config: Config) -> SliceBatch:
    mask = torch.from_numpy(sampling.mask)
    adjacent = config.data.adjacent_slices
    return collate(
        [
            make_slice(volume, k, read_hybrid(volume, k, adjacent), mask, None, sampling.acceleration)
            for k in slices
        ]
    )


def write_result(path: Path, result: Volumetric, sampling: Sampling, bounds: Bounds | None) -> None:
    """Write a file in fastMRI's submission format, with what was sampled, how well it is kept, and trust.

    Of several samples attributes tell what `reconstruction`, `std` and `dc_residual` are of.
    """
    samples = result.samples
    with replacing(path) as partial, h5py.File(partial, "w") as file:
        file["reconstruction"] = samples[0] if len(samples) == 1 else samples.mean(0)
        file["mask"] = sampling.mask
        if len(samples) > 1:
            file["samples"] = samples
            file["std"] = samples.std(0, ddof=1)
            file["reconstruction"].attrs["of"] = "mean of the samples' magnitudes"
            file["std"].attrs["of"] = "the samples' magnitudes"
            file.attrs["dc_residual_of"] = "the single complex samples, the largest"
        if bounds:
            file["psnr_bound"] = bounds.psnr
            file.attrs["interval_factor"], file.attrs["level"] = bounds.factor, bounds.level
        file.attrs["acceleration"] = sampling.acceleration
        file.attrs["achieved_acceleration"] = sampling.achieved
        file.attrs["dc_residual"] = result.dc_residual


def draw_slice(
    path: Path,
    volume: Volume,
    result: Volumetric,
    sampling: Sampling,
    slice_num: int,
    bounds: Bounds | None,
) -> None:
    """A slice beside its zero-filled image and, where they are known, its truth, error, std and trust."""
    samples = result.samples[:, slice_num]
    panel = Panel(
        label=f"{volume.fname} slice {slice_num}\n{volume.acquisition}",
        images={name: images[slice_num] for name, images in result.methods.items()},
        target=read_truth(volume, slice_num).numpy() if volume.has_target else None,
        std=samples.std(0, ddof=1) if len(samples) > 1 else None,
    )
    title = f"x{sampling.acceleration} (achieved x{sampling.achieved:.1f})"
    if bounds:
        line = bounds.line(slice_num)
        logger.info("{} slice {}: {}", volume.fname, slice_num, line)
        title = f"{title} · {line}"
    draw_panels(path, [panel], title)
