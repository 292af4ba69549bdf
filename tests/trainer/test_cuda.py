"""What a GPU does otherwise must give the same: CUDA_VISIBLE_DEVICES=0 pytest tests/trainer/test_cuda.py."""

import copy
import json
from typing import Any

import pytest
import torch

from config.schema import Config
from custom_nn.layers import InstanceNorm
from custom_nn.replay import MEETINGS, Replay
from fastmri.dataset import to_device
from fastmri.slices import DrawnBatch
from main import main
from tests.conftest import write_tiny_volume
from tests.custom_nn.test_generative import OF_FULL_DATA, spatial
from tests.custom_nn.test_models import make, scene
from tests.trainer.conftest import SPATIAL, TINY
from tests.trainer.test_compiled import flat
from tests.trainer.test_generative_training import GLOBAL
from tests.trainer.test_plan import presets, published
from trainer import checkpoint, feed
from trainer.benchmark.isolation import in_child
from trainer.benchmark.throughput import Setting, make_batch, measure_step
from trainer.compiled import compile_network
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process
from trainer.gaps import tuning_batches
from trainer.gradients import Weights
from trainer.planning.footprint import ALLOWANCE, find_footprint
from trainer.planning.plan import CARDS
from trainer.spreading import settle_step
from trainer.state import last_checkpoint, make_state
from trainer.step import batch_betas, train_step

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


@pytest.mark.parametrize(("redraws", "tolerance"), [(0, 1e-4), (2, 1e-3)])  # each adds to rounding
def test_a_sample_is_the_same_picture_as_on_a_cpu(redraws, tolerance):
    _, mask, measured = scene(2, 1, 16, 24)
    model = spatial(redraws=redraws).eval()
    model.gains = copy.deepcopy(OF_FULL_DATA) if redraws else None

    def draw(device: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)
        noise = lambda shape: torch.randn(shape, generator=generator).to(device)  # noqa: E731
        return model.to(device)(measured.to(device), mask.to(device), noise).image.cpu()

    expected, found = draw("cpu"), draw("cuda")
    assert (found - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize("autocast", [False, True])
def test_a_cascade_replayed_gives_what_its_calls_give(autocast):
    """Over changing inputs, shapes, and weights that change in place."""
    model, called = (make("adaptive_cs_net").cuda().eval() for _ in range(2))
    called.load_state_dict(model.state_dict())
    replay, none = model._replayed, called._replayed
    assert isinstance(replay, Replay)
    assert isinstance(none, Replay)
    none.works = False
    for width in (24, 40):
        for _ in range(MEETINGS + 3):
            _, mask, measured = scene(2, 1, 16, width)
            with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=autocast):
                for parameter in (*model.parameters(), *called.parameters()):
                    parameter.mul_(1.01)
                one, two = (network(*on_gpu(measured, mask), None).image for network in (model, called))
            assert torch.equal(one, two)
    assert len(replay.recordings) == 2
    assert replay.works


def test_what_cannot_be_recorded_is_called():
    replay = Replay(lambda x: x * x.sum().item())
    with torch.no_grad():
        for k in range(MEETINGS + 3):
            x = torch.full((2,), float(k), device="cuda")
            assert torch.equal(replay(x), x * x.sum())
    assert not replay.works
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    assert len(torch.randn(3, device="cuda").unique()) == 3  # noise can still be drawn


def test_what_asks_for_gradients_is_called():
    replay = Replay(torch.sin)
    for _ in range(MEETINGS + 3):
        x = torch.zeros(3, device="cuda", requires_grad=True)
        replay(x).sum().backward()
        assert x.grad is not None
        assert torch.equal(x.grad, torch.ones_like(x))
    assert not replay.recordings


def test_a_replay_draws_the_noise_that_calls_draw():
    replay = Replay(lambda x: {"drawn": [x + torch.randn(5, device="cuda"), None]})
    with torch.no_grad():
        for k in range(MEETINGS + 3):
            torch.manual_seed(k)
            found = replay(torch.zeros(5, device="cuda"))
            torch.manual_seed(k)
            assert torch.equal(found["drawn"][0], torch.randn(5, device="cuda"))
            assert found["drawn"][1] is None
    assert len(replay.recordings) == 1


ALONE = SPATIAL | {"model": SPATIAL["model"] | {"freeze_baseline": False}}
SHARP = {"weight": 0.01, "filters": [4, 8], "regularizer": "r1"}


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("parts", [{}, {"adversarial": SHARP}, ALONE, GLOBAL])
def test_gradients_replayed_are_those_called(parts, bf16, tiny_data):
    """Of two shapes in turn, with noise and a discriminator, over weights that change in place."""
    process = Process(torch.device("cuda", 0))
    content = TINY | parts | {"data": TINY["data"] | {"path": str(tiny_data)}}
    config = Config.model_validate(content | {"train": TINY["train"] | {"bf16": bf16}})
    state = make_state(config, process, pretrained=False)
    volumes = find_volumes(config, "train")
    settings = [Setting("train", count, "float32", "off") for count in (2, 1)]
    batches = [make_batch(config, volumes, process, setting) for setting in settings]
    scalars = [torch.tensor(value, device="cuda") for value in (0.3, 0.5)]
    for k in range(MEETINGS + 3):
        for batch in batches:
            weights = Weights(batch_betas(state.betas, batch), *scalars)
            torch.manual_seed(k)
            expected = state.gradients(batch, weights, lambda part: None)  # told its parts, so called
            torch.manual_seed(k)
            found = state.gradients(batch, weights)
            for name, loss in expected.losses.items():
                torch.testing.assert_close(found.losses[name], loss, rtol=0.02 if bf16 else 1e-3, atol=1e-5)
            for one, two in zip(*(flat(of) for of in (found, expected)), strict=True):
                assert (one - two).norm() <= (0.05 if bf16 else 1e-3) * two.norm()
        with torch.no_grad():
            for parameter in state.model.parameters():
                parameter.mul_(1.01)
    assert len(state.gradients._replayed.recordings) == 2
    assert state.gradients._replayed.works


@pytest.mark.parametrize(("parts", "tolerance"), [({}, 1e-3), (ALONE, 0.02)])
def test_gradients_of_a_compiled_cascade_are_those_called(parts, tolerance, tiny_data):
    """Called at first, then replayed. Texture takes what rounding changes further."""
    torch._dynamo.reset()
    process = Process(torch.device("cuda", 0))
    content = TINY | parts | {"data": TINY["data"] | {"path": str(tiny_data)}}
    config = Config.model_validate(content | {"train": TINY["train"] | {"bf16": False}})
    state = make_state(config, process, pretrained=False)
    setting = Setting("train", 2, "float32", "off")
    batch = make_batch(config, find_volumes(config, "train"), process, setting)
    scalars = [torch.tensor(value, device="cuda") for value in (0.3, 1.0)]
    weights = Weights(batch_betas(state.betas, batch), *scalars)
    torch.manual_seed(0)
    expected = state.gradients(batch, weights, lambda part: None)
    compile_network(state.model, "default")
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for _ in range(MEETINGS + 2):
        torch.manual_seed(0)
        found = state.gradients(batch, weights)
        for name, loss in expected.losses.items():
            torch.testing.assert_close(found.losses[name], loss, rtol=1e-3, atol=1e-5)
        for one, two in zip(*(flat(of) for of in (found, expected)), strict=True):
            assert (one - two).norm() <= tolerance * two.norm()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before
    assert state.gradients._replayed.recordings


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


@pytest.mark.parametrize("parts", [{}, ALONE])
def test_a_deterministic_run_repeats_to_the_bit(parts, tiny_data, tmp_path):
    weights = []
    for name in ("one", "two"):
        content = TINY | parts | {"device": "cuda", "data": TINY["data"] | {"path": str(tiny_data)}}
        content |= {"train": TINY["train"] | {"deterministic": True}}
        (tmp_path / f"{name}.yaml").write_text(json.dumps(content))
        assert main(["train", str(tmp_path / f"{name}.yaml"), "--out", str(tmp_path / name)]) == 0
        weights.append(checkpoint.load(last_checkpoint(tmp_path / name)).state["model"])
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize(("name", "tolerance"), [("tiny_run", 1e-4), ("generative_run", 1e-3)])
def test_a_run_of_the_cpu_is_validated_the_same(name, tolerance, request, tmp_path):
    run, tables = request.getfixturevalue(name), {}
    for device in ("cpu", "cuda"):
        assert main(["validate", str(run), f"device={device}", "--out", str(tmp_path / device)]) == 0
        tables[device] = json.loads((tmp_path / device / "metrics.json").read_text())["rows"]
    for expected, found in zip(tables["cpu"], tables["cuda"], strict=True):
        assert found["method"] == expected["method"]
        for measure in ("psnr", "ssim", "nmse"):
            assert found[measure]["mean"] == pytest.approx(expected[measure]["mean"], rel=tolerance)


def test_samples_settle_as_on_a_cpu(generative_run, tmp_path):
    """The same weights' gains, though several samples are drawn at once."""
    found = checkpoint.load(last_checkpoint(generative_run))
    gains = {}
    for device in ("cpu", "cuda"):
        process = Process(torch.device(device))
        state = make_state(found.config, process, pretrained=False)
        state.load(found)
        volumes = find_volumes(found.config, "val")[: found.config.train.validate_volumes]
        settle_step(state, tuning_batches(found.config, volumes, process), found.config, None, process)
        gains[device] = torch.tensor([*state.gains.values(), *state.means.values()])
    torch.testing.assert_close(gains["cuda"], gains["cpu"], rtol=0.02, atol=0.02)


def test_batches_arrive_as_they_are_on_a_cpu(tiny_data, monkeypatch):
    """Though they are copied on a stream of their own, which is late each time."""

    def late(batch: DrawnBatch, device: torch.device) -> DrawnBatch:
        torch.cuda._sleep(10**8)  # cycles of the stream that copies: a twentieth of a second
        return to_device(batch, device)

    monkeypatch.setattr(feed, "to_device", late)
    config = Config.model_validate(TINY | {"data": TINY["data"] | {"path": str(tiny_data), "num_workers": 2}})
    volumes = find_volumes(config, "train")
    expected = training_loader(config, volumes, Process(torch.device("cpu")))
    found = training_loader(config, volumes, Process(torch.device("cuda", 0)))
    for one, two in zip(expected, found, strict=True):
        for name in ("masked_kspace", "kspace", "target"):
            assert torch.equal(getattr(one, name), getattr(two, name).cpu())
        assert one.fname == two.fname


def measure_on_card(room: int, *arguments) -> dict[str, Any]:
    """A step where no more memory may be taken than a card has: libraries take what they get."""
    torch.cuda.set_per_process_memory_fraction(room / torch.cuda.mem_get_info()[1])
    return measure_step(*arguments)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", ["baseline", "generative"])
def test_presets_fit_and_take_what_is_planned(name, bf16, tmp_path):
    """Real steps of a full-size slice, in a process of their own."""
    torch.backends.cudnn.allow_tf32 = True  # as in that process
    write_tiny_volume(tmp_path / "singlecoil_train" / "file1000001.h5", rows=640, columns=368)
    process, precision = Process(torch.device("cuda", 0)), "bf16" if bf16 else "float32"
    free = torch.cuda.mem_get_info()[0]
    for card, options, _ in presets():
        if CARDS[card] > free:
            continue
        config = published(name, tmp_path, options)
        volumes = find_volumes(config, "train")
        setting = Setting("train", config.data.batch_size, precision, "off")
        step = (config, volumes, "cuda:0", setting, 0.0)
        taken = in_child(measure_on_card, CARDS[card] - ALLOWANCE, *step, limit=300)["peak_bytes"]
        assert taken < CARDS[card] - ALLOWANCE
        state = make_state(config, process, pretrained=False)
        found = find_footprint(state, config, volumes, process, bf16)
        assert taken == pytest.approx(found.total(config.data.batch_size), rel=0.2)


def test_a_plan_names_the_card(tiny_data, tmp_path, capsys):
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(TINY | {"device": "cuda", "data": TINY["data"] | {"path": str(tiny_data)}}))
    assert main(["train", str(path), "--plan"]) == 0
    printed = capsys.readouterr().out
    assert f"{torch.cuda.get_device_name()}, free now" in printed
    assert "by the allocator" in printed
    assert "not measured" not in printed
