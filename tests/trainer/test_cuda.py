"""What a GPU does otherwise must give the same: CUDA_VISIBLE_DEVICES=0 pytest tests/trainer/test_cuda.py."""

import copy
import json

import pytest
import torch

from config.schema import Config
from custom_nn.layers import InstanceNorm
from custom_nn.replay import MEETINGS, Replay
from fastmri.dataset import to_device
from main import main
from tests.custom_nn.test_generative import spatial
from tests.custom_nn.test_models import make, scene
from tests.trainer.conftest import TINY
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process
from trainer.state import make_state
from trainer.step import train_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible")


@pytest.fixture(autouse=True)
def _exact():
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = True


def on_gpu(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [tensor.cuda() for tensor in tensors]


def test_fused_normalisation_is_the_one_written_out():
    features = 3 + 2 * torch.randn(2, 8, 12, 20)
    norm = InstanceNorm(8)
    with torch.no_grad():
        norm.scale.normal_()
        norm.shift.normal_()
    expected = norm(features)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = copy.deepcopy(norm).cuda()(features.cuda().to(memory_format=layout))
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["adaptive_cs_net", "unet"])
@pytest.mark.parametrize("size", [(16, 24), (17, 21)])
def test_models_give_what_they_give_on_a_cpu(name, size):
    _, mask, measured = scene(2, 3, *size)
    model = make(name, 3)
    expected = model(measured, mask, torch.randn).image
    found = model.cuda()(*on_gpu(measured, mask), torch.randn).image.cpu()
    assert (found - expected).norm() <= 1e-4 * expected.norm()


def test_a_sample_is_the_same_picture_as_on_a_cpu():
    _, mask, measured = scene(2, 1, 16, 24)
    model = spatial().eval()

    def draw(device: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)
        noise = lambda shape: torch.randn(shape, generator=generator).to(device)  # noqa: E731
        return model.to(device)(measured.to(device), mask.to(device), noise).image.cpu()

    expected, found = draw("cpu"), draw("cuda")
    assert (found - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize("autocast", [False, True])
def test_replay_gives_what_the_calls_give(autocast):
    """Over changing inputs, shapes, and weights that change in place."""
    model = make("adaptive_cs_net").cuda().eval()
    plain = lambda measured, mask: model(measured, mask, None).image  # noqa: E731
    replay = Replay(plain)
    for width in (24, 40):
        for _ in range(MEETINGS + 3):
            _, mask, measured = scene(2, 1, 16, width)
            with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=autocast):
                for parameter in model.parameters():
                    parameter.mul_(1.01)
                assert torch.equal(replay(*on_gpu(measured, mask)), plain(*on_gpu(measured, mask)))
    assert len(replay.recordings) == 2
    assert replay.works


def test_what_cannot_be_recorded_is_called():
    replay = Replay(lambda x: x * x.sum().item())
    with torch.no_grad():
        for k in range(MEETINGS + 3):
            x = torch.full((2,), float(k), device="cuda")
            assert torch.equal(replay(x), x * x.sum())
    assert not replay.works


def test_gradients_are_never_replayed():
    replay = Replay(torch.sin)
    for _ in range(MEETINGS + 3):
        x = torch.zeros(3, device="cuda", requires_grad=True)
        replay(x).sum().backward()
        assert torch.equal(x.grad, torch.ones_like(x))
    assert not replay.recordings


@pytest.mark.parametrize(("bf16", "tolerance"), [(False, 1e-4), (True, 0.03)])
def test_a_training_step_is_the_cpus(tiny_data, bf16, tolerance):
    losses = {}
    for device in ("cpu", "cuda"):
        content = TINY | {"device": device, "data": TINY["data"] | {"path": str(tiny_data)}}
        config = Config.model_validate(content | {"train": TINY["train"] | {"bf16": bf16}})
        process = Process(torch.device(device))
        state = make_state(config, process, pretrained=False)
        batch = next(iter(training_loader(config, find_volumes(config, "train"), process)))
        losses[device] = train_step(state, [to_device(batch, process.device)], config, process)
    for name, expected in losses["cpu"].items():
        torch.testing.assert_close(losses["cuda"][name].cpu(), expected, rtol=tolerance, atol=1e-6)


def test_a_run_of_the_cpu_is_validated_the_same(tiny_run, tmp_path):
    tables = {}
    for device in ("cpu", "cuda"):
        assert main(["validate", str(tiny_run), f"device={device}", "--out", str(tmp_path / device)]) == 0
        tables[device] = json.loads((tmp_path / device / "metrics.json").read_text())["rows"]
    for expected, found in zip(tables["cpu"], tables["cuda"], strict=True):
        for name in ("psnr", "ssim", "nmse"):
            assert found[name]["mean"] == pytest.approx(expected[name]["mean"], rel=1e-4)


def test_batches_arrive_as_they_are_on_a_cpu(tiny_data):
    """Though they are copied on a stream of their own, while the device is busy."""
    config = Config.model_validate(TINY | {"data": TINY["data"] | {"path": str(tiny_data), "num_workers": 2}})
    volumes = find_volumes(config, "train")
    busy = torch.randn(2000, 2000, device="cuda")
    expected = training_loader(config, volumes, Process(torch.device("cpu")))
    found = training_loader(config, volumes, Process(torch.device("cuda", 0)))
    for one, two in zip(expected, found, strict=True):
        for _ in range(20):
            busy = busy @ busy / 2000
        assert torch.equal(one.masked_kspace, two.masked_kspace.cpu())
        assert torch.equal(one.kspace, two.kspace.cpu())
        assert torch.equal(one.target, two.target.cpu())
        assert one.fname == two.fname
