"""A plan as tables to read."""

from collections.abc import Sequence

from tabulate import tabulate

from trainer.planning.footprint import ALLOWANCE
from trainer.planning.plan import CARDS, Plan

GIB = 2**30


def format_plan(plan: Plan) -> str:
    """What is trained, and a table each of memory, cards, time and room."""
    return "\n\n".join(
        [format_subject(plan), format_memory(plan), format_cards(plan), format_pace(plan), format_rooms(plan)]
    )


def format_subject(plan: Plan) -> str:
    """Networks and data."""
    training, validation = plan.volumes
    lines = [
        f"{name}: {trained:,} parameters trained, {frozen:,} frozen"
        for name, (trained, frozen) in plan.parameters.items()
    ]
    slices, rows, columns = plan.shape
    lines.append(
        f"data: {plan.epoch} slices of {len(training)} volumes to train, {len(validation)} volumes to "
        f"validate; a slice is {slices} x {rows} x {columns}"
    )
    model = plan.config.model
    if model.name == "generative" and model.baseline and not model.baseline.exists():
        lines.append(
            f"{model.baseline}, whose baseline it starts from, is not there: model.cascade is assumed"
        )
    return "\n".join(lines)


def format_memory(plan: Plan) -> str:
    """Memory of a step by batch size and precision."""
    lines = [
        [size, *(_gib(footprint.total(size)) for footprint in plan.footprints.values())]
        for size in batch_sizes(plan)
    ]
    how = (
        "by the allocator at 1 and 2 slices"
        if plan.device.type == "cuda"
        else "estimated from the tensors of a step of one slice on this CPU; bf16 the more roughly"
    )
    headers = ["slices a step", *(f"{precision} [GiB]" for precision in plan.footprints)]
    return f"memory of a training step, {how}\n" + _table(lines, headers)


def batch_sizes(plan: Plan) -> list[int]:
    """Powers of two up to an epoch or the largest card, and the config's own."""
    most = min(plan.epoch, plan.footprints["bf16"].largest_batch(max(CARDS.values()) - ALLOWANCE))
    powers = {2**k for k in range(max(most, 1).bit_length())}
    return sorted(powers | {plan.config.data.batch_size})


def format_cards(plan: Plan) -> str:
    """How many slices fit on cards, and how the config does."""
    lines = [[card.name, _gib(card.room), *card.largest.values(), card.options] for card in plan.cards]
    headers = ["card", "for tensors [GiB]", *(f"most slices, {name}" for name in plan.footprints), "options"]
    left = f"{ALLOWANCE / GIB:.0f} GiB of each is left to CUDA, its libraries' scratch and gaps"
    judged = "" if plan.device.type == "cuda" else "; options go by float32, as bf16 is not measured"
    return f"what fits on a card; {left}{judged}\n" + _table(lines, headers)


def format_pace(plan: Plan) -> str:
    """Time of a step, an epoch and the training, beside the loader alone."""
    untuned = " and tunings" * plan.config.loss.std_reward  # of betas, and of gains before each validation
    uncached = " and without data.cache" * (plan.config.data.cache != "none")
    head = f"time on {plan.device}, without validations{untuned}{uncached}\n"
    if "failed" in plan.pace:
        return head + f"not measured: {plan.pace['failed']}"
    options, pace = plan.config.train, plan.pace
    size = plan.config.data.batch_size * options.accumulate
    rate = size / pace["step"]
    hours = f"{options.steps * pace['step'] / 3600:.2f}"
    trained = f"{options.steps * size / plan.epoch:.1f}"
    lines: list[list[object]] = [
        ["steps", f"{pace['step']:.4f}", *_rates(rate, plan.epoch), options.steps, trained, hours],
        ["loader alone", "", *_rates(pace["read"], plan.epoch), "", "", ""],
    ]
    headers = ["", f"s/step of {size}", "slices/s", "s/epoch", "steps", "epochs", "hours"]
    limit = "the loader" if pace["waiting"] > 0.5 else "the network"
    waits = f"a step waits for data {pace['waiting']:.0%} of its time: {limit} limits"
    return head + _table(lines, headers) + f"\n{waits}"


def _rates(rate: float, epoch: int) -> list[str]:
    return [f"{rate:.2f}", f"{epoch / rate:.1f}"]


def format_rooms(plan: Plan) -> str:
    """Disk and memory of checkpoints and caches."""
    lines = [
        [
            room.what,
            _gib(room.needed),
            _gib(room.free),
            room.where,
            "" if room.needed < room.free else "no",
        ]
        for room in plan.rooms
    ]
    return "room\n" + _table(lines, ["", "needed [GiB]", "free [GiB]", "in", "fits"])


def _gib(size: int) -> str:
    """Three digits, whether of a toy or of a large card."""
    return f"{size / GIB:#.3g}".rstrip(".")


def _table(lines: Sequence[Sequence[object]], headers: list[str]) -> str:
    return tabulate(lines, headers=headers, disable_numparse=True)
