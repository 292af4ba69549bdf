"""Evaluating holds a volume or a few, however many there are."""

import shutil
import weakref

import pytest
import torch

from config.load import make_config
from custom_nn.model import ZeroFilled
from tests.conftest import write_tiny_volume
from trainer.data import find_volumes
from trainer.distributed import Process
from trainer.evaluation import judgement
from trainer.evaluation.evaluate import evaluate


@pytest.fixture
def thousand_slices(tmp_path):
    """Fifty volumes of twenty slices."""
    first = write_tiny_volume(tmp_path / "file1000001.h5", slices=20, rows=32, columns=24)
    for k in range(1, 50):
        shutil.copy(first, tmp_path / f"file{1000001 + k}.h5")
    return tmp_path


@pytest.mark.parametrize("threads", [0, 2])
def test_a_thousand_slices_take_the_memory_of_few_volumes(thousand_slices, monkeypatch, threads):
    options = {"data": {"val": str(thousand_slices), "num_workers": 0, "scan_cache": None}}
    config = make_config(options | {"masks": {"accelerations": [4]}, "device": "cpu"})
    volumes = find_volumes(config, "val")
    targets: list[weakref.ref] = []
    held, plain = [], judgement.score

    def counting(result, perceptual):
        targets.append(weakref.ref(result.target))
        held.append(sum(target() is not None for target in targets))
        return plain(result, perceptual)

    monkeypatch.setattr(judgement, "score", counting)
    monkeypatch.setitem(judgement.BESIDE, "cpu", threads)
    found = evaluate(ZeroFilled(), volumes, config, Process(torch.device("cpu")))
    assert sum(volume.num_slices for volume in volumes) == 1000
    assert len(held) == 50
    assert max(held) <= threads + 1  # those that are scored, and one that is computed
    assert len(found.scores) == 2 * 50
    assert len(found.examples) == 1
