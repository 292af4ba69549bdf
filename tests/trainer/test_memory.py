"""Evaluating holds a volume or a few, however many there are; a step of training, few GiB."""

import math
import os
import shutil
import subprocess
import sys
import weakref

import pytest
import torch

from config.load import dump_config, make_config
from custom_nn.model import ZeroFilled
from tests.conftest import ROOT, write_tiny_volume
from tests.trainer.test_plan import published
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


STEP = """if True:
    import sys
    from pathlib import Path

    import torch

    from config.load import load_config
    from fastmri.dataset import collate
    from trainer.data import find_volumes
    from trainer.distributed import Process
    from trainer.memory import peak
    from trainer.planning.footprint import largest_slice
    from trainer.state import make_state
    from trainer.step import train_step

    config, process = load_config(Path(sys.argv[1])), Process(torch.device("cpu"))
    batch = collate([largest_slice(config, find_volumes(config, "train"))])
    state = make_state(config, process, pretrained=False)
    losses = train_step(state, [batch], config, process)
    print(*batch.masked_kspace.shape, float(losses["gradient_norm"]), peak(process.device))
"""


def test_a_step_of_the_published_generative_model_takes_less_than_8_gib_for_a_full_slice(tmp_path):
    """All that a process of its own holds at its most: forward, backward, discriminator, optimizers."""
    write_tiny_volume(
        tmp_path / "singlecoil_train" / "file1000001.h5", slices=1, rows=640, columns=368
    )  # 320 rows without oversampling
    options = ["data.crop_rows=null", "data.batch_size=1", "device=cpu"]
    config = tmp_path / "generative.yaml"
    config.write_text(dump_config(published("generative", tmp_path, options)))
    done = subprocess.run(
        [sys.executable, "-c", STEP, str(config)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=True,
    )
    *shape, norm, taken = map(float, done.stdout.split())
    assert shape == [1, 3, 320, 368]
    assert 0 < norm < math.inf
    assert 2**30 < taken < 8 * 2**30
