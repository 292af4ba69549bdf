"""A plan promises what a training then takes, and leaves nothing behind."""

import contextlib
import io
import re
from pathlib import Path

import pytest
import torch

from config.load import changed, load_config, plain_config
from config.schema import Config
from main import main
from tests.conftest import ROOT, write_tiny_volume
from tests.trainer.conftest import SPATIAL, write_config, write_generative
from tests.trainer.processes import OURS
from trainer import checkpoint
from trainer.benchmark.benchmark import resolved
from trainer.benchmark.isolation import start_server
from trainer.benchmark.throughput import Setting, as_set, make_batch, make_call
from trainer.data import find_volumes
from trainer.distributed import Process
from trainer.memory import LiveTensors, saved_for_backward
from trainer.planning.footprint import ALLOWANCE, Footprint, checkpoint_bytes, find_footprint
from trainer.planning.plan import CARDS, Plan, count_parameters, find_rooms, fit_card, make_plan
from trainer.planning.plan_tables import format_pace, format_subject
from trainer.state import make_state

CPU = Process(torch.device("cpu"))
GIB = 2**30


@pytest.fixture(scope="module")
def config_path(tmp_path_factory, tiny_data) -> Path:
    return write_config(tmp_path_factory.mktemp("plan") / "tiny.yaml", tiny_data, adjacent_slices=3)


@pytest.fixture(scope="module")
def printed(config_path, tmp_path_factory) -> str:
    """What the command prints where it could leave a run and a cache, and leaves nothing."""
    start_server(*OURS)
    folder = tmp_path_factory.mktemp("nothing")
    options = ["data.cache=disk", f"data.cache_dir={folder / 'cache'}", "--out", str(folder / "run")]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        assert main(["train", str(config_path), *options, "--plan"]) == 0
    assert not list(folder.iterdir())
    return text.getvalue()


def table(printed: str, title: str) -> list[list[str]]:
    """The cells of the table under a title, without its headers."""
    (section,) = [part for part in printed.split("\n\n") if part.startswith(title)]
    lines = section.splitlines()
    (rule,) = [k for k, line in enumerate(lines) if set(line) == {"-", " "}]
    columns = [match.span() for match in re.finditer("-+", lines[rule])]
    return [[line[a:b].strip() for a, b in columns] for line in lines[rule + 1 :]]


def test_parameters_are_the_models(printed, config_path):
    model = checkpoint.make_model(load_config(config_path))
    count = sum(p.numel() for p in model.parameters())
    assert f"adaptive_cs_net: {count:,} parameters trained, 0 frozen" in printed


def test_memory_grows_linearly_with_the_batch(printed):
    rows = {int(size): (float(a), float(b)) for size, a, b in table(printed, "memory")}
    assert list(rows) == [1, 2, 4, 8]
    for small, large in zip(rows[1], rows[8], strict=True):
        slope = (large - small) / 7
        assert slope > 0
        assert rows[4][0] == pytest.approx(rows[1][0] + 3 * (rows[8][0] - rows[1][0]) / 7, rel=0.02)
    assert rows[8][1] < rows[8][0]  # bf16


def test_time_is_of_the_rates_it_tells(printed, tiny_data):
    (steps, loader) = table(printed, "time")[:2]
    seconds, rate, epoch, count, epochs, hours = map(float, steps[1:])
    assert rate == pytest.approx(2 / seconds, rel=0.01)  # of two slices
    assert epoch == pytest.approx(9 / rate, abs=0.06)  # the data have nine
    assert epochs == pytest.approx(count * 2 / 9, abs=0.06)
    assert hours == pytest.approx(count * seconds / 3600, abs=0.006)
    assert float(loader[2]) > rate  # steps read, too
    assert re.search(r"waits for data \d+% of its time", printed)
    assert "time on cpu, without validations and without data.cache\n" in printed


def test_room_is_what_training_then_takes(printed, config_path, tmp_path):
    options = [f"data.cache_dir={tmp_path / 'cache'}", "data.cache=disk", "train.steps=1"]
    assert main(["train", str(config_path), *options, "--out", str(tmp_path / "run")]) == 0
    config = load_config(config_path, options)
    volumes = find_volumes(config, "train"), find_volumes(config, "val")
    stored = checkpoint_bytes(make_state(config, CPU, pretrained=False))
    rooms = {room.what: room for room in find_rooms(config, *volumes, stored, tmp_path)}
    kept = sum(path.stat().st_size for path in (tmp_path / "cache").iterdir())
    assert rooms["data.cache=disk"].needed == kept
    assert rooms["checkpoints"].needed == 4 * saved_bytes(tmp_path / "run")  # two last, best, one to come
    shown = {what: needed for what, needed, *_ in table(printed, "room")}
    assert float(shown["data.cache=disk"]) == pytest.approx(kept / GIB, rel=0.01)
    assert rooms["data.cache=ram data.cache_dtype=half"].needed < rooms["data.cache=ram"].needed == kept


def saved_bytes(run: Path) -> int:
    """Bytes of a checkpoint's tensors, but for an optimizer's counts of steps."""
    content = checkpoint.load(checkpoint.find(run)).state
    found, open_parts = 0, list(content.values())
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, torch.Tensor):
            found += part.nbytes
        elif isinstance(part, dict):
            open_parts += [value for name, value in part.items() if name != "step"]
    return found


def test_a_checkpoint_with_a_discriminator_takes_what_is_told(generative_run):
    config = checkpoint.load(checkpoint.find(generative_run)).config
    state = make_state(config, CPU, pretrained=False)
    assert checkpoint_bytes(state) == saved_bytes(generative_run)


@pytest.mark.parametrize("source", ["tiny_run", "generative_run"])
def test_estimates_are_near_what_a_real_step_takes(source, request):
    """Tensors that live, and those that its gradients need, of a step of three slices."""
    config = checkpoint.load(checkpoint.find(request.getfixturevalue(source))).config
    volumes = find_volumes(config, "train")[:1]
    setting = Setting("train", 3, "float32", "off")
    config = as_set(config, setting, CPU.device)
    state = make_state(config, CPU, pretrained=False)
    footprint = find_footprint(state, config, volumes, CPU, bf16=False)
    batch = make_batch(config, volumes, CPU, setting)
    call = make_call(state, batch, config, CPU, setting)
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    with LiveTensors() as live:
        call()
    with saved_for_backward() as kept:
        call()
    for parameter in state.model.parameters():
        kept.pop(parameter.data_ptr(), None)
    assert 3 * footprint.per_slice == pytest.approx(live.most, rel=0.15)
    assert 0.7 * sum(kept.values()) < 3 * footprint.per_slice < 1.5 * sum(kept.values())
    assert any(not torch.equal(before[name], value) for name, value in state.model.state_dict().items())


def test_measuring_changes_nothing(tiny_data, tmp_path):
    """Of a model that draws noise, and its discriminator."""
    alone = SPATIAL | {"model": SPATIAL["model"] | {"freeze_baseline": False}}
    config = load_config(write_generative(tmp_path / "tiny.yaml", tiny_data, alone))
    state = make_state(config, CPU, pretrained=False)
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    stream = torch.get_rng_state()
    find_footprint(state, config, find_volumes(config, "train"), CPU, bf16=True)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(before[name], value) for name, value in state.model.state_dict().items())
    assert all(parameter.grad is None for parameter in state.model.parameters())


@pytest.mark.parametrize(
    ("room", "measured", "bf16", "options"),
    [
        (900, False, True, "as configured"),
        (899, False, True, "data.batch_size=7"),
        (899, True, True, "as configured"),
        (899, True, False, "train.bf16=true"),
        (450, True, False, "train.bf16=true data.batch_size=7"),
        (199, False, True, "data.crop_rows=168 data.batch_size=1"),
        (149, False, True, "none: it is too small"),
    ],
)
def test_options_make_a_config_fit(room, measured, bf16, options, config_path):
    """Of eight slices of twice the least rows."""
    footprints = {"float32": Footprint(100, 100), "bf16": Footprint(100, 50)}
    config = changed(load_config(config_path), data={"batch_size": 8}, train={"bf16": bf16})
    assert fit_card("a card", room, config, footprints, 336, measured).options == options


def presets() -> list[tuple[str, list[str], dict[str, float]]]:
    """Card, options, and memory [GiB] by config, of every row of the README's table."""
    text = (ROOT / "README.md").read_text().partition("### On a card of")[2].partition("\n#")[0]
    rows = re.findall(r"^\| (\d+ GB) \| `([^`]+)` \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    return [
        (card, options.split(), {"baseline": float(one), "generative": float(two)})
        for card, options, one, two in rows
    ]


def published(name: str, folder: Path, options: list[str]) -> Config:
    """A config of this repository on other data; a texture is put on the baseline of its baseline.yaml."""
    given = [f"data.path={folder}", "data.scan_cache=null", "masks.accelerations=[4]"]
    if name == "generative":
        baseline = plain_config(load_config(ROOT / "config/baseline.yaml"))
        given.append(f"data.adjacent_slices={baseline['data']['adjacent_slices']}")
        cascade = {option: value for option, value in baseline["model"].items() if option != "name"}
        given.append(f"model.cascade={cascade}")
    return load_config(ROOT / f"config/{name}.yaml", given + options)


@pytest.mark.parametrize(("name", "rows"), [("baseline", 168), ("generative", 96)])
def test_the_readmes_presets_fit_their_cards(name, rows, tmp_path):
    """In float32, by the memory of a smaller slice, which grows as its pixels do."""
    write_tiny_volume(tmp_path / "singlecoil_train" / "file1000001.h5", rows=640, columns=184)
    small = published(name, tmp_path, [f"data.crop_rows={rows}"])
    state = make_state(small, CPU, pretrained=False)
    found = find_footprint(state, small, find_volumes(small, "train"), CPU, bf16=False)
    assert {card for card, *_ in presets()} == {"8 GB", "11 GB", "24 GB"}
    for card, options, stated in presets():
        data = published(name, tmp_path, options).data
        pixels = (data.crop_rows or 320) * 368 / (rows * 184)
        needed = found.fixed + data.batch_size * pixels * found.per_slice
        assert needed < CARDS[card] - ALLOWANCE
        assert needed / GIB == pytest.approx(stated[name], rel=0.1)


def test_what_can_not_be_planned_is_told(generative_config, tmp_path):
    config = load_config(generative_config)
    with pytest.raises(ValueError, match="--plan: measures one process"):
        make_plan(config, None, Process(torch.device("cpu"), 0, 2))
    missing = changed(config, model={"baseline": tmp_path / "gone"})
    assert resolved(missing) == missing
    assert resolved(config).model.model_dump()["cascade"]["blocks"] == 2  # of the baseline's run
    state = make_state(resolved(config), CPU, pretrained=False)
    counts = count_parameters(state, "generative")
    assert counts["discriminator"][0] > 0
    found = Plan(missing, CPU.device, counts, ([], []), (1, 2, 3), {}, [], {"failed": "why not"}, 0, [])
    assert f"{tmp_path / 'gone'}, whose baseline it starts from, is not there" in format_subject(found)
    assert format_pace(found) == "time on cpu, without validations and tunings\nnot measured: why not"


def test_training_needs_a_folder(config_path, capsys):
    assert main(["train", str(config_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --out RUN: ")
