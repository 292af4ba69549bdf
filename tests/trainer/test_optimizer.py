"""How a step moves weights: rates, decay, averages, and what each network feels."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from config.load import load_config
from config.schema import Adversarial, Train
from tests.trainer.conftest import write_config
from trainer.adversary import adversarial_weight
from trainer.data import find_volumes, training_loader
from trainer.distributed import Process
from trainer.optimizer import learning_rate, make_optimizer, update_average
from trainer.state import State, make_state
from trainer.step import train_step


def test_the_rate_warms_up_and_falls_along_a_cosine_to_a_hundredth():
    options = Train(steps=102, warmup=2, lr=0.5)
    found = [learning_rate(step, options) for step in (0, 1, 2, 52, 102, 200)]
    assert found == pytest.approx([0.25, 0.5, 0.5, 0.2525, 0.005, 0.005])


@pytest.mark.parametrize(("step", "kept"), [(0, 0.1), (10, 0.55), (10**6, 0.9)])
def test_an_average_forgets_by_its_decay_and_faster_when_young(step, kept):
    average, model = nn.Linear(3, 2), nn.Linear(3, 2)
    expected = kept * average.weight + (1 - kept) * model.weight
    update_average(average, model, 0.9, step)
    torch.testing.assert_close(average.weight, expected)


def test_weights_of_more_than_one_axis_alone_decay():
    model = nn.Conv2d(2, 3, 3)
    optimizer = make_optimizer(model, Train(weight_decay=0.01))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay == {id(model.weight): 0.01, id(model.bias): 0.0}


def test_the_generator_feels_its_discriminator_from_a_start_along_a_ramp():
    options = Adversarial(weight=2, start=10, ramp=4)
    found = [adversarial_weight(step, options) for step in (0, 9, 10, 11, 13, 1000)]
    assert found == pytest.approx([0, 0, 0.5, 1, 2, 2])


def one_step(tmp_path: Path, tiny_data: Path, *options: str) -> tuple[State, dict[str, Tensor]]:
    settings = load_config(write_config(tmp_path / "tiny.yaml", tiny_data), options)
    process = Process(torch.device("cpu"))
    loader = training_loader(settings, find_volumes(settings, "train"), process)
    state = make_state(settings, process, pretrained=False)
    losses = train_step(state, [next(iter(loader))], settings, process)
    return state, losses


def test_gradients_are_clipped_and_each_network_has_its_rate(tmp_path, tiny_data):
    options = "adversarial.weight=0.1", "adversarial.filters=[4,8]", "adversarial.lr=3e-4", "train.clip=1e-3"
    state, losses = one_step(tmp_path, tiny_data, *options, "train.lr=1e-3", "train.warmup=0")
    norm = nn.utils.get_total_norm([p.grad for p in state.model.parameters() if p.grad is not None])
    assert losses["gradient_norm"] > 1e-2
    assert norm == pytest.approx(1e-3, rel=1e-3)
    assert state.adversary is not None
    rates = [optimizer.param_groups[0]["lr"] for optimizer in (state.optimizer, state.adversary.optimizer)]
    assert rates == pytest.approx([1e-3, 3e-4])


def test_the_total_is_the_weighted_sum_of_its_terms(tmp_path, tiny_data):
    options = "adversarial.weight=0.1", "adversarial.filters=[4,8]"
    _, losses = one_step(tmp_path, tiny_data, *options, "loss.l1=0.3", "loss.complex_l1=0.2")
    names = {"ms_ssim": 0.84, "l1": 0.3, "complex_l1": 0.2, "adversarial": 0.1}
    expected = sum(weight * losses[name] for name, weight in names.items())
    assert float(losses["total"]) == pytest.approx(float(expected), rel=1e-5)
