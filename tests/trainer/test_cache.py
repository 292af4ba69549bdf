"""A cache changes no figure, is rebuilt when it is stale, and what it can't do is told in a line."""

import os
import shutil
from pathlib import Path

import h5py
import pytest
import torch
from loguru import logger

from config.load import config_sha256, make_config
from config.schema import Config
from fastmri.dataset import EvaluationDraw, EvaluationSlices, TrainingDraw
from fastmri.hybrid import read_truth
from fastmri.keeping import find_kept, kept_bytes
from fastmri.volumes import Volume
from main import main
from tests.trainer.conftest import write_config
from trainer import cache
from trainer.cache import cached
from trainer.data import find_volumes, mask_settings, training_loader
from trainer.distributed import Process
from trainer.memory import available_memory

CPU = Process(torch.device("cpu"))
KINDS = [("disk", "complex64"), ("ram", "complex64"), ("disk", "half"), ("ram", "half")]


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    pass


@pytest.fixture
def options(tmp_path, tiny_data):
    def make(kind: str = "none", dtype: str = "complex64", **data) -> Config:
        data = {"path": str(tiny_data), "num_workers": 0, "scan_cache": None, "adjacent_slices": 3} | data
        data |= {"cache": kind, "cache_dtype": dtype, "cache_dir": str(tmp_path / "cache")}
        return make_config({"device": "cpu", "data": data, "masks": {"accelerations": [4, 8]}})

    return make


def place_of(volume: Volume) -> str:
    """The file or memory that a volume is kept in."""
    assert volume.stored is not None
    return volume.stored.path


def draws(volumes, config: Config) -> list:
    """Training slices, all of them, varied ones too if the config asks, and evaluation slices."""
    trained = training_loader(config, volumes, CPU).dataset
    evaluated = EvaluationSlices(volumes, mask_settings(config), adjacent_slices=3)
    found = [trained[TrainingDraw(k, (0, 0, k, 0))] for k in range(len(trained))]
    return found + [evaluated[EvaluationDraw(k, 8)] for k in range(len(evaluated))]


VARIED = {"flip": True, "phase": 0.5, "intensity": 0.1, "noise": 0.02}


@pytest.mark.parametrize(("kind", "dtype"), KINDS)
@pytest.mark.parametrize("data", [{}, {"crop_rows": 16}, {"augment": VARIED}])
def test_a_kept_slice_is_the_slice(options, kind, dtype, data):
    config = options(kind, dtype, **data)
    volumes = find_volumes(config, "train")
    expected = draws(volumes, config)
    with cached(volumes, config, CPU) as kept:
        assert all(volume.stored is not None for volume in kept)
        found = draws(kept, config)
    for one, two in zip(expected, found, strict=True):
        if dtype == "complex64":
            assert all(torch.equal(a, b) if torch.is_tensor(a) else a == b for a, b in zip(one, two))  # noqa: B905
            continue
        assert torch.equal(one.mask, two.mask)
        peak = one.kspace.abs().max()
        assert (one.kspace - two.kspace).abs().max() <= 2**-11 * peak
        if not data.get("augment"):
            assert torch.equal(one.target, two.target)


def test_halves_round_every_part_to_eleven_bits(options):
    config = options("ram", "half")
    volumes = find_volumes(config, "train")
    whole = [sample.kspace for sample in draws(volumes, config)]
    with cached(volumes, config, CPU) as kept:
        halves = [sample.kspace for sample in draws(kept, config)]
    for exact, rounded in zip(map(torch.view_as_real, whole), map(torch.view_as_real, halves), strict=True):
        least = 2**-29 * exact.abs().max()  # below it half floats of this scale are not normal
        assert torch.all((exact - rounded).abs() <= 2**-11 * exact.abs() + 2**-11 * least)


@pytest.mark.parametrize("kind", ["disk", "ram"])
@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_processes_see_what_is_kept(options, kind, workers):
    config = options(kind, crop_rows=16, num_workers=workers, batch_size=2)
    config = config.model_copy(update={"train": config.train.model_copy(update={"steps": 4})})
    volumes = find_volumes(config, "train")
    plain = list(training_loader(config, volumes, CPU))
    with cached(volumes, config, CPU) as kept:
        found = list(training_loader(config, kept, CPU))
    for one, two in zip(plain, found, strict=True):
        assert torch.equal(one.masked_kspace, two.masked_kspace)
        assert one.kspace is not None
        assert two.kspace is not None
        assert torch.equal(one.kspace, two.kspace)
        assert torch.equal(one.scale, two.scale)
        assert one.fname == two.fname


def test_memory_is_given_back(options):
    config = options("ram")
    volumes = find_volumes(config, "train")
    before = os.listdir("/proc/self/fd")
    with cached(volumes, config, CPU) as kept:
        place = place_of(kept[0])
        assert Path(place).stat().st_size == kept_bytes(volumes, half=False)
        assert place_of(kept[-1]) == place
        read_truth(kept[0], 0)
        assert "extreme-mri" in Path("/proc/self/maps").read_text()
    assert os.listdir("/proc/self/fd") == before
    assert not Path(place).exists()
    assert "extreme-mri" not in Path("/proc/self/maps").read_text()


def test_memory_can_not_be_cut_short_while_it_is_mapped(options):
    config = options("ram")
    with cached(find_volumes(config, "train"), config, CPU) as kept, pytest.raises(PermissionError):
        os.truncate(place_of(kept[0]), 10)


def test_another_memory_of_the_same_name_is_not_taken_for_the_last(options):
    config = options("ram")
    volumes = find_volumes(config, "train")
    for order in (volumes, volumes[::-1]):
        with cached(order, config, CPU) as kept:
            found = [read_truth(volume, 0) for volume in kept]
        assert all(map(torch.equal, found, (read_truth(volume, 0) for volume in order)))


@pytest.fixture
def own(tmp_path, tiny_data):
    """A folder of files that a test may change."""
    shutil.copytree(tiny_data, tmp_path / "own")
    return tmp_path / "own"


def test_a_changed_file_is_kept_anew_and_its_old_state_removed(options, own, tmp_path):
    config = options("disk", path=str(own))
    with cached(find_volumes(config, "train"), config, CPU) as kept:
        names = {Path(place_of(volume)).name for volume in kept}
    with h5py.File(own / "singlecoil_train" / "file1000002.h5", "r+") as file:
        file["kspace"][...] *= 2
    volumes = find_volumes(config, "train")
    assert [v.stored is None for v in find_kept(volumes, tmp_path / "cache", False)] == [False, True, False]
    expected = draws(volumes, config)
    with cached(volumes, config, CPU) as kept:
        found = draws(kept, config)
        assert {Path(place_of(volume)).name for volume in kept} != names
    assert all(torch.equal(a.masked_kspace, b.masked_kspace) for a, b in zip(expected, found, strict=True))
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_what_is_kept_in_halves_is_kept_beside(options, tmp_path):
    for dtype in ("complex64", "half"):
        config = options("disk", dtype)
        with cached(find_volumes(config, "train"), config, CPU):
            pass
    sizes = sorted(path.stat().st_size for path in (tmp_path / "cache").iterdir())
    volumes = find_volumes(config, "train")
    assert sum(sizes) == kept_bytes(volumes, half=True) + kept_bytes(volumes, half=False)


def test_a_second_start_writes_nothing_even_to_a_full_disk(options, monkeypatch):
    config = options("disk")
    volumes = find_volumes(config, "train")
    with cached(volumes, config, CPU) as first:
        pass
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: pytest.fail("asked for room"))
    with cached(volumes, config, CPU) as second:
        assert second == first


def test_a_file_cut_short_is_made_again(options):
    config = options("disk")
    volumes = find_volumes(config, "train")
    with cached(volumes, config, CPU) as kept:
        os.truncate(place_of(kept[1]), 100)
        with pytest.raises(ValueError, match=r"ends \d+ bytes early"):
            draws(kept, config)
    with cached(volumes, config, CPU) as kept:
        draws(kept, config)


def told(arguments: list[str], capsys) -> str:
    """The only line that a command in vain leaves."""
    assert main(arguments) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(error) == 1
    return error[0]


@pytest.mark.parametrize("kind", ["disk", "ram"])
def test_without_room_nothing_is_begun(tiny_data, tmp_path, capsys, monkeypatch, kind):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: usage)
    monkeypatch.setattr(cache, "available_memory", lambda: 1000)
    config = write_config(tmp_path / "c.yaml", tiny_data, cache=kind, cache_dir=str(tmp_path / "kept"))
    error = told(["train", str(config), "--out", str(tmp_path / "run")], capsys)
    assert "data.cache: 6 volumes take 0.00 GiB" in error
    assert "0.00 GiB are" in error
    assert not list(tmp_path.rglob("*.hybrid"))


def test_a_disk_that_fills_up_is_told(tiny_data, tmp_path, capsys, monkeypatch):
    import resource

    config = write_config(tmp_path / "c.yaml", tiny_data, cache="disk", cache_dir=str(tmp_path / "kept"))
    monkeypatch.setattr(cache, "_bar", lambda kept, *rest: limited(kept, resource))
    error = told(["train", str(config), "--out", str(tmp_path / "run")], capsys)
    assert f"data.cache: on disk, in {tmp_path / 'kept'}: [Errno 27] File too large" in error
    assert not list((tmp_path / "kept").iterdir())


def limited(kept, resource):
    """Nothing but short files can be written meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        yield from kept
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_lost_process_is_not_blamed_on_the_folder(options, monkeypatch):
    def lost(*arguments):
        raise ConnectionError("process 0 of 2 can't reach the others")

    config = options("disk")
    monkeypatch.setattr(cache, "gather", lost)
    with (
        pytest.raises(ConnectionError, match="can't reach the others"),
        cached(find_volumes(config, "train"), config, CPU),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_told(tiny_data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "kept"
    config = write_config(tmp_path / "c.yaml", tiny_data, cache="disk", cache_dir=str(folder))
    error = told(["train", str(config), "--out", str(tmp_path / "run")], capsys)
    assert f"data.cache: on disk, in {folder}: [Errno 20] Not a directory" in error


def test_size_and_room_are_told(options):
    config = options("disk")
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    for _ in range(2):
        with cached(find_volumes(config, "train"), config, CPU):
            pass
    logger.remove(sink)
    assert "cache   3 volumes take 0.00 GiB on disk, " in lines[0]
    assert "cache   on disk: all 3 volumes are in" in lines[1]


def test_validation_from_a_cache_writes_the_same_bytes(tiny_data, tmp_path):
    plain = ["device=cpu", "data.num_workers=0", "data.scan_cache=null", "validate.perceptual=false"]
    plain += [f"data.path={tiny_data}", "masks.accelerations=[4]", f"data.cache_dir={tmp_path / 'kept'}"]
    written = []
    for kind in ("none", "ram", "disk"):
        out = tmp_path / kind
        assert main(["validate", "zero_filled", *plain, f"data.cache={kind}", "--out", str(out)]) == 0
        written.append((out / "metrics.json").read_bytes())
    assert written[0] == written[1] == written[2]


def test_only_halves_are_other_options(options):
    plain = config_sha256(options())
    assert config_sha256(options("disk")) == config_sha256(options("ram")) == plain
    assert config_sha256(options("ram", "half")) == config_sha256(options("disk", "half")) != plain
    with pytest.raises(ValueError, match="cache_dtype half is of a cache"):
        options("none", "half")


def test_available_memory_is_some_of_the_machine():
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < available_memory() <= total
