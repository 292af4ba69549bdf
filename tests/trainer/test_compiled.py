"""Compiling and recomputing change how a step is done, not what it gives."""

import pytest
import torch
from torch import nn
from torch._inductor import config as inductor

from config.load import load_config, make_config
from config.schema import Config
from custom_nn.adaptive_cs_net import AdaptiveCSNet
from main import main
from tests.custom_nn.test_models import scene
from tests.trainer.conftest import TINY, write_config
from trainer.compiled import COMPILED, compile_network, compiled_parts, or_eager
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process
from trainer.gradients import Found, Weights
from trainer.memory import saved_for_backward
from trainer.planning.announce import training_memory
from trainer.state import differences, make_state
from trainer.step import batch_betas

CASCADE = {"model": {"blocks": 4, "filters": [4, 8]}}


class Slope(nn.Module):
    """Of one kernel, which compiles in seconds where a cascade's take minutes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).sigmoid()


def losses(mode: str) -> list[float]:
    """Of a small network in training."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    network, x = Slope(), torch.randn(4, 3)
    names = network.state_dict().keys()
    compile_network(network, mode)
    optimizer, found = torch.optim.SGD(network.parameters(), lr=1), []
    for _ in range(3):
        loss = or_eager(network, mode, lambda: network(x).square().mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    assert network.state_dict().keys() == names
    return found


def test_a_compiled_network_trains_to_the_same_losses(one_thread):
    expected = losses("off")
    torch._dynamo.utils.counters.clear()
    assert losses("default") == pytest.approx(expected, rel=1e-4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0


def test_blocks_of_a_cascade_share_a_compilation(monkeypatch):
    """Without a backend that writes kernels, which would take a minute."""
    torch._dynamo.reset()
    monkeypatch.setitem(COMPILED, "default", {"dynamic": False, "backend": "aot_eager"})
    config = Config.model_validate({"device": "cpu"} | CASCADE)
    model = make_state(config, Process(torch.device("cpu")), False).model
    _, mask, measured = scene(2, 1, 16, 24)

    def gradients() -> list[torch.Tensor]:
        image = model(measured, mask, None).image
        return [image.detach(), *torch.autograd.grad(image.abs().sum(), list(model.parameters()))]

    counts = torch._dynamo.utils.counters["stats"]
    expected, before = gradients(), counts["unique_graphs"]
    compile_network(model, "default")
    for one, other in zip(expected, gradients(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert counts["unique_graphs"] == before + 2  # the first of four blocks has an input without gradient


def flat(found: Found) -> list[torch.Tensor]:
    """All gradients of each network as one."""
    parts = [[x.flatten() for x in part if x is not None] for part in found[1:]]
    return [torch.cat(part) for part in parts if part]


@pytest.mark.parametrize("frozen", [True, False])
def test_a_generative_models_baseline_is_compiled_to_the_same_gradients(
    frozen, generative_config, monkeypatch
):
    """With its samples, noise, guidance and discriminator, which stay as they are."""
    torch._dynamo.reset()
    monkeypatch.setitem(COMPILED, "default", {"dynamic": False, "backend": "aot_eager"})
    options = [f"model.freeze_baseline={frozen}".lower(), "train.compile=default"]
    config, process = load_config(generative_config, options), Process(torch.device("cpu"))
    state = make_state(config, process, pretrained=False)
    batch = next(iter(training_loader(config, find_volumes(config, "train"), process)))
    weights = Weights(batch_betas(state.betas, batch), torch.tensor(0.3), torch.tensor(1.0))

    def found() -> Found:
        torch.manual_seed(0)
        return state.gradients(batch, weights)

    counts = torch._dynamo.utils.counters["stats"]
    expected, before = found(), counts["unique_graphs"]
    compile_network(state.model, config.train.compile)
    compiled = found()
    for name, loss in expected.losses.items():
        torch.testing.assert_close(compiled.losses[name], loss, rtol=1e-4, atol=1e-5)
    for one, two in zip(flat(compiled), flat(expected), strict=True):
        assert (one - two).norm() <= 0.01 * two.norm()  # weights that differ by 1e-7 give 0.001
    assert counts["unique_graphs"] > before
    transforms = [module for name, module in state.model.named_modules() if name.endswith(".transform")]
    assert compiled_parts(state.model) == transforms != []


@pytest.mark.parametrize(("mode", "replayed"), [("default", True), ("reduce-overhead", False)])
def test_a_cascade_is_not_recorded_where_its_compiler_records(mode, replayed):
    config = Config.model_validate({"device": "cpu"} | CASCADE)
    model = make_state(config, Process(torch.device("cpu")), False).model
    compile_network(model, mode)
    assert isinstance(model, AdaptiveCSNet)
    assert model._replayed.works == replayed


def test_without_a_compiler_training_goes_on_and_says_so(tiny_data, tmp_path, one_thread):
    torch._dynamo.reset()
    config = write_config(tmp_path / "tiny.yaml", tiny_data)
    weights = []
    with inductor.patch({"cpp.cxx": ("/nonexistent",), "force_disable_caches": True}):
        for mode in ("off", "default"):
            out = tmp_path / mode
            options = ["model.blocks=1", "model.filters=[4]", "train.steps=2", f"train.compile={mode}"]
            assert main(["train", str(config), *options, "--out", str(out)]) == 0
            weights.append(torch.load(out / "checkpoints" / "last.pt", weights_only=True)["model"])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    lines = (tmp_path / "default" / "train.log").read_text().splitlines()
    (told,) = [line for line in lines if "WARNING" in line]
    assert "train.compile=default fails, so not compiled: InductorError: InvalidCxxCompiler" in told


def test_recomputed_blocks_give_the_same_gradients_and_keep_less():
    _, mask, measured = scene(2, 1, 32, 48)
    results, gradients, kept = [], [], []
    config = Config.model_validate({"device": "cpu"} | CASCADE)
    for wanted in (False, True):
        options = config.train.model_copy(update={"checkpoint_blocks": wanted})
        state = make_state(config.model_copy(update={"train": options}), Process(torch.device("cpu")), False)
        with saved_for_backward() as saved:
            image = state.model(1e4 * measured, mask, None).image
        results.append(image.detach())
        gradients.append(torch.autograd.grad(image.abs().sum(), list(state.model.parameters())))
        kept.append(sum(saved.values()))
        with torch.no_grad():
            assert torch.equal(state.average(1e4 * measured, mask, None).image, results[0])
    assert torch.equal(*results)
    assert all(map(torch.equal, *gradients))
    assert kept[1] < 0.2 * kept[0]


def test_the_memory_that_is_told_is_of_one_block_at_a_time(tiny_data):
    content = {"device": "cpu", "data": TINY["data"] | {"path": str(tiny_data)}} | CASCADE
    process, told = Process(torch.device("cpu")), []
    for wanted in (False, True):
        config = Config.model_validate(content | {"train": {"checkpoint_blocks": wanted}})
        sample = next(iter(training_loader(config, find_volumes(config, "train"), process, 0)))
        told.append(training_memory(make_state(config, process, False), sample, config))
    assert 0.25 * told[0] < told[1] < 0.75 * told[0]  # the loss, and one of four blocks


def test_a_resumed_run_may_be_compiled_or_recomputed_anew():
    old = {"train": {"compile": "off", "checkpoint_blocks": False, "lr": 1}}
    new = {"train": {"compile": "default", "checkpoint_blocks": True, "lr": 2}}
    assert differences(old, new) == ["train.lr: 1 -> 2"]


def test_off_is_a_word_as_yaml_writes_it():
    assert make_config({}, ["train.compile=off"]).train.compile == "off"
    assert make_config({}, ["validate.learned=off"]).validation.learned == "off"


@pytest.mark.parametrize(
    ("model", "option", "told"),
    [
        ("generative_global", "train.compile=default", "draws noise in its transforms"),
        ("generative_global", "train.checkpoint_blocks=true", "for adaptive_cs_net"),
        ("unet", "train.checkpoint_blocks=true", "for adaptive_cs_net"),
    ],
)
def test_what_a_model_can_not_is_refused(model, option, told):
    with pytest.raises(ValueError, match=told):
        make_config({"model": {"name": model}}, [option])
