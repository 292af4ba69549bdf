"""What one switched-off part of a model costs, from runs that differ in nothing else."""

from typing import Any, NamedTuple

import numpy as np

from config.load import UNSEEN, plain_config
from trainer.comparison.paired import ENOUGH
from trainer.comparison.records import Record
from trainer.evaluation.intervals import bootstrap_interval
from trainer.state import differences


class Switch(NamedTuple):
    """What turns a part of the model off."""

    off: Any  # value of its option
    words: str


SWITCHES = {
    "model.tokens": Switch(1, "one texture vector instead of {before}"),
    "model.attention": Switch(False, "all places read the mean of the vectors"),
    "model.high_pass": Switch(0, "the proxy sees all of the truth"),
    "adversarial.weight": Switch(0, "no discriminator"),
    "loss.std_reward": Switch(False, "no reward of the standard deviation"),
    "loss.energy_score": Switch(0, "no energy score of what tells edges from grain"),
    "model.redraws": Switch(0, "samples drawn once"),
    "model.hard_projection": Switch(False, "no projection onto the null space"),
}
MAY_DIFFER = ("device", "validate", *(f"{group}.{name}" for group in UNSEEN for name in UNSEEN[group]))


class Effect(NamedTuple):
    """A measure with a part minus without it, per volume, mean over accelerations; better if above 0."""

    mean: float
    interval: list[float] | None  # bootstrap over volumes
    better: int  # in so many volumes
    volumes: int

    @property
    def verdict(self) -> str:
        """In a word, by whether the interval holds 0; of too few volumes for a sign test a count alone."""
        if self.volumes < ENOUGH:
            return f"better with it in {self.better} of {self.volumes} volumes"
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "no difference shown"
        return "better with it" if self.mean > 0 else "worse with it"


class Ablation(NamedTuple):
    """A run with one switch thrown, and what its sample lacks against the reference's."""

    record: Record
    option: str
    effects: dict[str, Effect]  # by measure


def find_ablations(records: list[Record]) -> tuple[Record, list[Ablation]]:
    """The reference among runs, which each other one differs from in one switch alone, and the others.

    All must be validated. Raises ValueError if there is no such run of the generative model.
    """
    for reference in records:
        others = [record for record in records if record is not reference]
        thrown = [(other, option) for other in others if (option := _thrown(reference, other))]
        if len(thrown) == len(others) and reference.config.model.name == "generative":
            return reference, [Ablation(o, option, _effects(reference, o)) for o, option in thrown]
    raise ValueError(
        f"ablations: no run among {', '.join(r.label for r in records)} is generative, and has each other "
        f"differ from it in one of {', '.join(SWITCHES)} alone, which is off there"
    )


def _thrown(reference: Record, other: Record) -> str | None:
    """The switch that tells two runs apart; None if it is none, or more. The other has it off."""
    one, two = plain_config(reference.config), plain_config(other.config)
    names = [line.partition(":")[0] for line in differences(one, two, may_differ=MAY_DIFFER)]
    if len(names) != 1 or names[0] not in SWITCHES or reference.world != other.world:
        return None
    group, option = names[0].split(".")
    return names[0] if two[group][option] == SWITCHES[names[0]].off else None


def _effects(reference: Record, other: Record) -> dict[str, Effect]:
    mine, theirs = _by_volume(reference), _by_volume(other)
    common = [fname for fname in mine if fname in theirs]
    return {name: _effect([mine[fname][name] - theirs[fname][name] for fname in common]) for name in MEASURES}


MEASURES = {  # larger is better
    "psnr": "PSNR of a sample [dB]",
    "correlation": "correlation",
    "power": "nearness of power [octaves]",
}


def _by_volume(record: Record) -> dict[str, dict[str, float]]:
    """The measures of a sample, mean over accelerations, by file name."""
    found: dict[str, list[list[float]]] = {}
    for volume in record.results["volumes"]:
        if volume["method"] == "sample":
            octaves = -abs(np.log2(max(volume["power_ratio"], 1e-6)))
            found.setdefault(volume["fname"], []).append([volume["psnr"], volume["correlation"], octaves])
    return {fname: dict(zip(MEASURES, np.mean(rows, axis=0), strict=True)) for fname, rows in found.items()}


def _effect(values: list[float]) -> Effect:
    better = sum(value > 0 for value in values)
    return Effect(float(np.mean(values)), bootstrap_interval(values), better, len(values))
