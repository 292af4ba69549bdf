"""Which volumes a run has seen, as its checkpoint tells it, without their names."""

import hashlib
from typing import Annotated

from loguru import logger
from pydantic import StringConstraints

from fastmri.volumes import Volume

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")]
# by part, train or val: all volumes so far, and whether it saw them last
Seen = dict[str, dict[Digest, bool]]
WORDS = {"train": "trained on", "val": "validated on"}


def digest(volume: Volume) -> Digest:
    """What tells a volume by its name and its target's maximum: the same wherever it lies."""
    identity = f"{volume.fname} {volume.target_maximum}"
    return hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()[:16]


def see(seen: Seen, volumes: dict[str, list[Volume]], step: int) -> Seen:
    """What a run at this step has seen once it goes on with these volumes; warns if its last were others."""
    found = {}
    for part, chosen in volumes.items():
        before = seen.get(part, {})  # none, of a checkpoint that doesn't tell
        last = {each for each, latest in before.items() if latest}
        now = {digest(volume) for volume in chosen}
        if last and last != now:
            gone, new = len(last - now), len(now - last)
            text = "{} other volumes until step {}: {} of {} are gone, {} are new"
            logger.warning(text, WORDS[part], step, gone, len(last), new)
        found[part] = dict.fromkeys(before, False) | dict.fromkeys(now, True)
    return found
