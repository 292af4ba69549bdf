"""Volumes that a run has seen before: what is measured on them says less of others."""

from loguru import logger

from config.schema import Config
from fastmri.volumes import Volume
from trainer.data import find_volumes
from trainer.gaps import tuning_places

SPEAKING = ("fastmri.scan", "trainer.data")


def known(volumes: list[Volume], config: Config) -> list[str]:
    """Those that a run was trained, tuned or chosen by, as far as its data are still where they were."""
    return _shared(volumes, [*_found(config, "train"), *_found(config, "val")])


def tuned_by(volumes: list[Volume], config: Config) -> list[str]:
    """Those of the volumes that betas and gains of a run were tuned by, as far as its data can be found."""
    if not config.loss.posterior:
        return []
    seen = _found(config, "val")[: config.train.validate_volumes]
    return _shared(volumes, [seen[k] for k in tuning_places(config, seen)])


def _found(config: Config, part: str) -> list[Volume]:
    """What is wrong with them is nobody's business here."""
    for module in SPEAKING:
        logger.disable(module)
    try:
        return find_volumes(config, part)
    except (ValueError, OSError):
        return []
    finally:
        for module in SPEAKING:
            logger.enable(module)


def _shared(volumes: list[Volume], seen: list[Volume]) -> list[str]:
    """Names, of volumes whose targets have the same maximum as well."""
    names = {(volume.fname, volume.target_maximum) for volume in seen}
    return [volume.fname for volume in volumes if (volume.fname, volume.target_maximum) in names]
