"""Volumes that a run has seen before: what is measured on them says less of others."""

from loguru import logger

from config.schema import Config
from fastmri.volumes import Volume
from trainer.data import find_volumes
from trainer.gaps import tuning_places
from trainer.seen import Seen, digest

SPEAKING = ("fastmri.scan", "trainer.data")


def known(volumes: list[Volume], config: Config, seen: Seen) -> list[str]:
    """Those that a run was ever trained, tuned or chosen by, as its checkpoint tells.

    Beside them, for checkpoints that tell of none, what its config names and is still where it was.
    """
    found = {digest(volume) for part in ("train", "val") for volume in _found(config, part)}
    return _shared(volumes, found.union(*seen.values()))


def tuned_by(volumes: list[Volume], config: Config) -> list[str]:
    """Those of the volumes that betas and gains of a run were tuned by, as far as its data can be found."""
    if not config.loss.posterior:
        return []
    seen = _found(config, "val")[: config.train.validate_volumes]
    return _shared(volumes, {digest(seen[k]) for k in tuning_places(config, seen)})


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


def _shared(volumes: list[Volume], digests: set[str]) -> list[str]:
    """Names of the volumes that are among these."""
    return [volume.fname for volume in volumes if digest(volume) in digests]
