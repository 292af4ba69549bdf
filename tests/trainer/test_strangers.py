"""Nothing is let in: checkpoints of strangers run no code, take no memory and write nowhere."""

import os
import zipfile
from pathlib import Path

import pytest
import torch

from main import main
from trainer import checkpoint


@pytest.fixture
def stranger(tiny_run, tmp_path):
    """A run directory with a copy of a real checkpoint, and how to change what it holds."""
    path = tmp_path / "stranger" / "checkpoints" / "last.pt"
    path.parent.mkdir(parents=True)

    def change(**values: object) -> Path:
        content = torch.load(tiny_run / "checkpoints" / "last.pt", weights_only=True)
        for name, value in values.items():
            *groups, last = name.split("__")
            inner = content
            for group in groups:
                inner = inner[group]
            inner[last] = value
        torch.save(content, path)
        return path.parents[1]

    return change


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def refused(run: Path, capsys) -> str:
    """The line that `validate` ends with."""
    assert main(["validate", str(run), "--out", str(run / "out")]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert not (run / "out").exists()
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_a_checkpoint_is_not_run(stranger, tmp_path, capsys, legacy):
    run = stranger()
    path, mark = run / "checkpoints" / "last.pt", tmp_path / "was here"
    torch.save({"config": Payload(mark)}, path, _use_new_zipfile_serialization=not legacy)
    assert f"{path}: not a" in refused(run, capsys)
    assert not mark.exists()
    assert main(["train", "config/baseline.yaml", "data.path=nowhere", "--out", str(run)]) == 2
    assert not mark.exists()


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(stranger, capsys):
    run = stranger(ema__bomb=torch.zeros(2**22))
    path = run / "checkpoints" / "last.pt"
    packed = path.with_name("packed.pt")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    assert packed.stat().st_size < 2**20
    packed.replace(path)
    assert "its parts are compressed" in refused(run, capsys)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config__model__filters": [4096] * 8}, "weights are not of the model that its options tell"),
        ({"config__model__filters": [10**9]}, "less than or equal to 4096, got 1000000000"),
        ({"config__model__blocks": "rm -rf"}, "model.blocks"),
        ({"config__data__num_workers": 10**6}, "data.num_workers"),
        ({"config": [1, 2]}, "not a checkpoint of this program"),
        ({"step": None}, "not a checkpoint of this program (step is of another kind)"),
        ({"step": "later"}, "not a checkpoint of this program (step is of another kind)"),
        ({"bad_steps": -1}, "(bad_steps is of another kind)"),
        ({"bad_steps": "few"}, "(bad_steps is of another kind)"),
        ({"seen": {"train": ["file1.h5"]}}, "(seen is of another kind)"),
        ({"seen": {"train": {"file1.h5": True}}}, "(seen is of another kind)"),
        ({"betas": {4: ["x"]}}, "(betas is of another kind)"),
        ({"gains": {4: [[1.0, 1.0]] * 2}}, "(its gains are not of its bands)"),
        ({"gains": {4: [[1.0]]}}, "(its gains are not of its bands)"),
        ({"gains": {4: [[float("nan"), 1.0]]}}, "(its gains are not of its bands)"),
        ({"means": {4: [[1.0]]}}, "(its means are not of its bands)"),
        ({"ema": {}}, "weights are not of the model"),
        ({"ema": [1]}, "not a checkpoint of this program"),
        ({"ema__blocks.0.step": "text"}, "weights are not of the model"),
        ({"ema__blocks.0.step": torch.zeros(1).expand(10**12)}, "weights are not of the model"),
        ({"versions": {}}, "not a checkpoint of this program"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line_and_takes_no_memory(stranger, capsys, changes, message):
    assert message in refused(stranger(**changes), capsys)


def test_another_model_by_the_same_weights_is_refused(stranger, capsys):
    assert "weights are not of the model" in refused(stranger(config__model__blocks=3), capsys)


def test_a_checkpoint_says_nothing_of_where_to_write(stranger, tiny_data, tmp_path):
    precious, folder = tmp_path / "precious", tmp_path / "folder"
    precious.write_text("mine")
    run = stranger(
        config__data__scan_cache=str(precious),
        config__data__cache="disk",
        config__data__cache_dir=str(folder),
    )
    os.environ["HOME"], home = str(tmp_path), os.environ["HOME"]
    try:
        assert main(["validate", str(run), "masks.accelerations=[4]", "validate.perceptual=false"]) == 0
    finally:
        os.environ["HOME"] = home
    assert precious.read_text() == "mine"
    assert not folder.exists()
    assert list((tmp_path / ".cache").rglob("*.hybrid"))  # it was kept where this user keeps such


def test_every_model_can_be_described_without_memory(tiny_run):
    found = checkpoint.load(tiny_run / "checkpoints" / "last.pt")
    checkpoint.check_weights(found.state["ema"], found.config)
    with pytest.raises(ValueError, match="weights are not of the model"):
        checkpoint.check_weights({}, found.config)


@pytest.mark.parametrize(
    ("schema", "betas"), [(2, {"fine": {4: 1.5}, "coarse": {4: 0.5}}), (6, {4: [[1.5, 1.5]] * 7})]
)
def test_checkpoints_of_before_are_read_and_their_tables_begin_anew(stranger, schema, betas):
    """Without a texture nothing was tuned."""
    found = checkpoint.load(checkpoint.find(stranger(versions__schema=schema, betas=betas))).progress
    assert found.betas == found.gains == found.means == {4: [[1.0, 1.0]], 8: [[1.0, 1.0]]}
    assert found.step > 0


@pytest.mark.parametrize("schema", [4, 6, 7, 8])
def test_a_generative_model_that_drew_otherwise_is_refused(stranger, schema):
    """Of 4 and 8 its weights would load, and draw something else; of 6 and 7 they lack some."""
    run = stranger(versions__schema=schema, config__model__name="generative")
    wanted = f"written with schema {schema}, this program reads 9, of other models 2 to 8 as well"
    with pytest.raises(ValueError, match=wanted):
        checkpoint.load(checkpoint.find(run))
