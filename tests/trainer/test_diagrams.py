"""Diagrams are of the networks as they were built, and their words have room."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from config.load import make_config
from config.schema import Adversarial
from custom_nn.gains import BandGains
from custom_nn.generative import Generative
from custom_nn.pix2pix import Pix2Pix
from trainer import checkpoint
from trainer.adversary import make_discriminator
from trainer.comparison.architecture import diagrams
from trainer.comparison.diagram import MARGIN, Diagram, render
from trainer.comparison.diagram_cascade import cascade_diagram
from trainer.comparison.diagram_global import global_diagram
from trainer.comparison.diagram_pix2pix import pix2pix_diagram
from trainer.comparison.diagram_texture import texture_diagram
from trainer.comparison.diagram_unet import unet_diagram
from trainer.comparison.records import Record

pytestmark = pytest.mark.usefixtures("one_thread")


def built(model: dict):
    """A new model of a config."""
    config = make_config({"model": model})
    return checkpoint.make_model(config)


def texts(diagram: Diagram) -> str:
    return "\n".join([*(box.text for box in diagram.boxes), *(note.text for note in diagram.notes)])


SMALL = {"name": "adaptive_cs_net", "blocks": 3, "filters": [6, 10]}
TEXTURE = {
    "name": "generative",
    "freeze_baseline": False,
    "filters": [5, 7, 11],
    "tokens": 3,
    "token_width": 9,
}
GLOBAL = {"name": "generative_global", "encoder_weights": "none", "cascade": {"blocks": 2, "filters": [4, 8]}}


def test_the_cascade_diagram_follows_the_config():
    small = cascade_diagram(built(SMALL), "")
    assert [box.text for box in small.boxes if box.text.isdigit()] == ["1", "2", "3"]
    assert {"conv 3×3\n7 → 6", "conv 3×3\n6 → 10", "conv 3×3, up ×2\n10 → 6"} <= {b.text for b in small.boxes}
    deep = cascade_diagram(built(SMALL | {"blocks": 12, "filters": [4, 8, 12, 16]}), "")
    assert [box.text for box in deep.boxes if box.text.isdigit()][-1] == "12"
    assert "12 → 16" in texts(deep)
    assert len([box for box in deep.boxes if box.kind == "threshold"]) == 4
    plain = built(SMALL | {"phase_prior": "none", "background_prior": False, "normalize": False})
    assert "phase" not in texts(cascade_diagram(plain, ""))
    assert "air" not in texts(cascade_diagram(plain, ""))
    assert "norm" not in texts(cascade_diagram(plain, ""))
    assert "put back" not in texts(cascade_diagram(built(SMALL | {"data_consistency": False}), ""))


def test_the_texture_diagram_follows_the_config():
    one = texture_diagram(built(TEXTURE), "")
    assert {"modulated conv 3×3\n11 → 11", "modulated conv 3×3, up ×2\n7 → 5"} <= {b.text for b in one.boxes}
    assert "texture vectors\n3 × 9" in texts(one)
    modulated = [box for box in one.boxes if box.kind == "modulated"]
    assert len([port for port in one.ports if port.text == "A"]) == len(modulated)
    pictures = [box for box in one.boxes if box.text.startswith("picture")]
    noisy = len(modulated) + len(pictures) + 1  # and the latent
    assert len([port for port in one.ports if port.text == "ε"]) == noisy
    less = TEXTURE | {"attention": False, "hard_projection": False, "high_pass": 0, "amplitude": 0.5}
    other = texture_diagram(built(less), "")
    assert not [port for port in other.ports if port.text == "A"]
    assert "null space" in texts(one)
    assert "null space" not in texts(other)
    assert "× amplitude 0.5" in texts(other)


def test_the_texture_diagram_shows_two_draws_where_gains_were_settled():
    assert "two draws" not in texts(texture_diagram(built(TEXTURE), ""))
    settled = texts(texture_with_gains(built(TEXTURE), ""))
    assert "two draws, mixed by band" in settled
    assert "drawn again" not in settled


def test_the_texture_diagram_shows_how_often_samples_are_drawn_again():
    redrawing = TEXTURE | {"redraws": 4}
    assert "drawn again from its columns × 4" in texts(texture_with_gains(built(redrawing), ""))
    assert "drawn again" not in texts(texture_diagram(built(redrawing), ""))  # of a trained model alone


UNET = {"name": "unet", "channels": 5, "pools": 2}
PIX2PIX = UNET | {"name": "pix2pix", "downsample": 4}


def convolutions(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def shown_parameters(network: nn.Module) -> str:
    return f"{sum(p.numel() for p in network.parameters()):,}"


def test_the_unet_diagram_follows_the_network():
    model = built(UNET)
    diagram = unet_diagram(model, "")
    words = texts(diagram)
    for layer in [*model.up, *model.merge]:  # each scale's channels, in and out
        convs = convolutions(layer)
        assert f"\n{convs[0].in_channels} → {convs[-1].out_channels}" in words
    found = {"2 × conv 3×3\n2 → 5", "2 × conv 3×3\n10 → 20", "conv 2×2, up ×2\n20 → 10", "conv 1×1\n5 → 2"}
    assert found <= {box.text for box in diagram.boxes}
    assert f"U-Net, {shown_parameters(model)}\nparameters" in words
    assert [n.text for n in diagram.notes if "of the size" in n.text] == [
        f"1/{k} of the size" for k in (2, 4)
    ]
    assert "put back" not in words
    assert "put back" in texts(unet_diagram(built(UNET | {"data_consistency": True}), ""))
    (frame,) = unet_diagram(built(UNET | {"dropout": 0.25}), "").frames
    assert "dropout of 0.25" in frame.text
    assert len(unet_diagram(built(UNET | {"pools": 5}), "").boxes) == 9 + 6 + 3 * 5 - 1


def test_the_pix2pix_diagram_has_what_the_run_has():
    config = make_config({"model": PIX2PIX, "adversarial": {"weight": 0.01, "filters": [6, 7]}})
    model = checkpoint.make_model(config)
    record = Record("run", Path(), 1, 1, config, model, [], None)
    assert model.name == "pix2pix"
    assert model.enlarge is not None
    diagram = diagrams(record)["pix2pix"]
    words, frames = texts(diagram), [frame.text for frame in diagram.frames]
    assert len(frames) == 3
    assert words.count("conv 3×3, up ×2\n5 → 5") == len(model.enlarge.stages) == 2
    assert "1/4 of each side" in words
    assert f"super-resolution\n{shown_parameters(model.enlarge)} parameters" in words
    discriminator = make_discriminator(config.adversarial)
    assert any(f"; {shown_parameters(discriminator)} parameters" in text for text in frames)
    for layer in convolutions(discriminator):
        assert f"{layer.in_channels} → {layer.out_channels}" in words
    plain = pix2pix_diagram(built(PIX2PIX | {"downsample": 1}), "", None)
    assert len(plain.frames) == 1
    assert "super-resolution" not in texts(plain)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (SMALL, {"baseline"}),
        (TEXTURE, {"baseline", "generative"}),
        (GLOBAL, {"generative_global"}),
        (UNET, {"unet"}),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_a_run_has_the_diagrams_of_its_model(model, names):
    config = make_config({"model": model})
    found = diagrams(Record("run", Path(), 1, 1, config, checkpoint.make_model(config), [], None))
    assert set(found) == names
    assert all(len(diagram.boxes) > 3 for diagram in found.values())


def test_the_patch_is_what_a_logit_depends_on():
    options = Adversarial(weight=1, filters=[2, 2, 2])
    discriminator = make_discriminator(options)
    image = torch.zeros(1, 2, 96, 96, requires_grad=True)
    logits = discriminator(image, image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert image.grad is not None
    seen = np.flatnonzero(image.grad.abs().sum((0, 1, 2)))
    side = seen[-1] - seen[0] + 1
    assert f"{side}×{side} patch" in texts(pix2pix_diagram(built(PIX2PIX), "", discriminator))


def texture_with_gains(model: Generative, title: str) -> Diagram:
    model.gains = BandGains({4: [[2.0, 2.0]]}, {4: [[0.5, 0.5]]})
    return texture_diagram(model, title)


def pix2pix_with_discriminator(model: Pix2Pix, title: str) -> Diagram:
    options = Adversarial(weight=1, filters=[64] * 8, regularizer="spectral_norm")
    return pix2pix_diagram(model, title, make_discriminator(options))


@pytest.mark.parametrize(
    ("draw", "model"),
    [
        (cascade_diagram, {"name": "adaptive_cs_net"}),
        (cascade_diagram, SMALL | {"blocks": 1, "filters": [256]}),
        (cascade_diagram, SMALL | {"phase_prior": "input", "gradient_step": False}),
        (texture_diagram, TEXTURE),
        (texture_with_gains, TEXTURE),
        (texture_with_gains, TEXTURE | {"redraws": 100}),
        (texture_diagram, {"name": "generative", "freeze_baseline": False}),
        (texture_diagram, TEXTURE | {"attention": False, "tokens": 1, "filters": [4, 8]}),
        (global_diagram, GLOBAL),
        (unet_diagram, {"name": "unet", "data_consistency": True}),
        (unet_diagram, UNET | {"pools": 1}),
        (pix2pix_with_discriminator, {"name": "pix2pix", "downsample": 2, "data_consistency": True}),
        (pix2pix_with_discriminator, PIX2PIX),
    ],
)
def test_boxes_hold_their_words_and_do_not_overlap(draw, model):
    diagram = draw(built(model), "title")
    for one, other in combinations(diagram.boxes, 2):
        apart = abs(one.x - other.x) - (one.width + other.width) / 2
        above = abs(one.y - other.y) - (one.height + other.height) / 2
        assert max(apart, above) > 0.02, (one, other)
    for box in diagram.boxes:
        assert box.left[0] > 0
        assert box.right[0] < diagram.width
        assert box.bottom[1] > 0.2  # the legend is below
    figure = render(diagram)
    drawn = {(text.get_text(), *np.round(text.get_position(), 6)): text for text in figure.axes[0].texts}
    for box in diagram.boxes:
        extent = drawn[box.text, *np.round((box.x, box.y), 6)].get_window_extent()
        assert extent.width / figure.dpi < box.width - MARGIN, box
        assert extent.height / figure.dpi < box.height - MARGIN / 2, box
