"""What figures depend on besides weights and methods: results under others are not replaced unasked."""

import json
import os
from pathlib import Path
from typing import Any

from config.load import plain_config
from config.schema import Config
from trainer.data import data_folder
from trainer.state import differences


def conditions(config: Config) -> dict[str, Any]:
    """The conditions by name, as metrics.json tells them. Raises ValueError if no data are named."""
    return {
        "data": str(data_folder(config, "val")),
        "acquisitions": config.data.acquisitions,
        "masks": plain_config(config)["masks"],
        "samples": config.draws,
        "seed": config.seed,
    }


def refuse_others(folder: Path, config: Config) -> None:
    """Raises ValueError if the folder's results are under other conditions than the config's.

    What an older file doesn't tell is taken as alike; a file that is no JSON of ours has nothing to lose.
    """
    try:
        found = json.loads((folder / "metrics.json").read_text())
    except (OSError, ValueError, RecursionError):
        return
    wanted = conditions(config)
    told = {name: found.get(name, value) for name, value in wanted.items()} if isinstance(found, dict) else {}
    if "data" in told and os.path.abspath(str(told["data"])) == os.path.abspath(wanted["data"]):
        told["data"] = wanted["data"]  # by another name
    if told and (differing := differences(told, wanted, may_differ=())):
        raise ValueError(
            f"{folder}: holds results under other options ({'; '.join(differing)}); "
            f"--out DIR writes elsewhere, --out {folder} replaces them"
        )
