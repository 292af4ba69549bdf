"""The `calibrate` command: how wide intervals must be, and how far PSNR may fall, by held-out volumes."""

from pathlib import Path

from loguru import logger

from fastmri.atomic import writable_folder
from fastmri.conformal import fewest_volumes
from fastmri.volumes import Volume
from trainer import checkpoint
from trainer.cache import cached
from trainer.data import data_folder, find_volumes
from trainer.distributed import Process
from trainer.evaluation.calibration import Calibrations, calibration_terms, write_calibration
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.known import known
from trainer.evaluation.trust import calibrate
from trainer.evaluation.validate import Run, trained_config


def calibrate_run(run: Run, process: Process) -> Path:
    """Calibrate a run's samples on its config's validation volumes; gives the file that was written.

    The volumes must be held out: used neither in training nor to choose betas or a checkpoint. Those
    that were are told.
    """
    config, level = run.config, run.config.validation.level
    if not run.stochastic or config.draws < 2:
        raise ValueError("calibrate: needs a run that draws noise, and validate.samples of at least 2")
    volumes, data = find_volumes(config, "val"), str(data_folder(config, "val"))
    if len(volumes) < (least := fewest_volumes(1 - level)):
        raise ValueError(
            f"calibrate: a level of {level:.0%} takes at least {least} volumes, {data} has {len(volumes)}"
        )
    _tell_known(volumes, run)
    folder = writable_folder(checkpoint.run_directory(run.path))
    model = checkpoint.load_model(run.trained, config, process.device)
    with cached(volumes, config, process) as kept:
        evaluation = evaluate(model, kept, config, process)
    found = Calibrations(level, {volume.fname: volume.target_maximum for volume in volumes}, {})
    for acceleration in config.masks.accelerations:
        chosen = [each for each in evaluation.trusts if each.acceleration == acceleration]
        found.accelerations[acceleration] = calibrate(chosen, level)
        logger.info(
            "x{}: intervals of {:.2f} standard deviations a side; PSNR at least what is foretold - {:.2f} dB",
            acceleration,
            *found.accelerations[acceleration],
        )
    terms = calibration_terms(run.trained, config, config.draws)
    return write_calibration(folder, terms, found, data) if process.main else folder / "calibration.json"


def _tell_known(volumes: list[Volume], run: Run) -> None:
    """Warn of volumes that the run was trained, tuned or chosen by."""
    used = known(volumes, trained_config(run.trained), run.trained.progress.seen)
    if used:
        logger.warning(
            "{} of {} volumes were trained, tuned or chosen by ({}): for others, intervals may be too narrow",
            len(used),
            len(volumes),
            ", ".join(used[:3]) + ", ..." * (len(used) > 3),
        )
