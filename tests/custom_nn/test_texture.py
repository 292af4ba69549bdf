"""The pieces of style-based synthesis do what their equations say."""

import math
from typing import TypeVar

import pytest
import torch

from custom_nn.texture import (
    FARTHEST,
    PICTURE_NOISE,
    AdaptiveInstanceNorm,
    Features,
    MappingNetwork,
    ModulatedConv,
    TextureDecoder,
    TokenAttention,
)


def still(shape) -> torch.Tensor:
    return torch.zeros(shape)


Part = TypeVar("Part", bound=torch.nn.Module)


def randomise(module: Part) -> Part:
    """All parameters drawn anew, so that nothing hides behind a start at 0."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3)
    return module


def test_places_read_a_mean_of_the_tokens_weighted_by_their_likeness():
    attention = randomise(TokenAttention(6, 4, attention=True))
    places, w = torch.randn(2, 15, 6), torch.randn(2, 3, 4)
    assert attention.query is not None
    assert attention.key is not None
    query, key = places @ attention.query.weight.T, attention.key(w)
    expected = (query @ key.mT / 4**0.5).softmax(-1) @ attention.value(w)
    torch.testing.assert_close(attention(places, w), expected)


def test_without_attention_every_place_gets_the_mean():
    attention = randomise(TokenAttention(6, 4, attention=False))
    w = torch.randn(2, 3, 4)
    expected = attention.value(w.mean(1, keepdim=True))
    torch.testing.assert_close(attention(torch.randn(2, 15, 6), w), expected)


@pytest.mark.parametrize("attention", [True, False])
def test_a_modulated_convolution_keeps_unit_variance_whatever_the_style(attention):
    conv = ModulatedConv(32, 16, 8, attention)
    torch.nn.init.normal_(conv.attend.value.bias, mean=2.0)
    torch.nn.init.zeros_(conv.attend.value.weight)  # the same style everywhere
    x = torch.randn(4, 32, 40, 40)
    assert conv.conv.bias is not None
    y = conv(x, torch.randn(4, 3, 8), still)[..., 1:-1, 1:-1] - conv.conv.bias[:, None, None]
    linear = torch.where(y < 0, y / 0.2, y)  # what LeakyReLU was given, up to the bias
    assert linear.std().item() == pytest.approx(1, abs=0.1)


def test_one_style_everywhere_is_stylegan2s_modulated_convolution():
    conv = randomise(ModulatedConv(5, 7, 8, attention=False))
    x, w = torch.randn(1, 5, 9, 11), torch.randn(1, 3, 8)
    style = conv.attend.value(w).mean(1)[0]
    weight = conv.conv.weight * style[:, None, None]
    weight = weight / weight.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
    plain = torch.nn.functional.conv2d(x, weight, conv.conv.bias, padding=1)
    expected = torch.nn.functional.leaky_relu(plain, 0.2)
    torch.testing.assert_close(conv(x, w, still), expected, rtol=1e-4, atol=1e-4)


def test_a_texture_vector_sets_the_mean_and_spread_of_each_channel():
    norm = randomise(AdaptiveInstanceNorm(3, 5))
    w = torch.randn(2, 5)
    y = norm(10 + 4 * torch.randn(2, 3, 50, 50), w, still)
    scale, shift = norm.style(w).chunk(2, dim=1)
    torch.testing.assert_close(y.mean(dim=(-2, -1)), shift, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(y.std(dim=(-2, -1)), scale.abs(), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("strength", [0.1, 1.0, 1e3])
def test_features_are_of_unit_size_at_every_place_whatever_the_weights(strength):
    torch.manual_seed(0)
    features = randomise(Features(3, [4, 6, 8]))
    with torch.no_grad():
        for parameter in features.parameters():
            parameter.mul_(strength)
    for found in features(torch.randn(2, 3, 16, 24)):
        assert found.square().mean(1).sqrt().median().item() == pytest.approx(1, rel=0.01)
        assert found.square().mean(1).max() < 1.01


def test_layers_of_the_decoder_are_given_features_of_unit_size():
    torch.manual_seed(0)
    decoder = randomise(TextureDecoder([4, 6, 8], 5, attention=True))
    given = []
    for layer in decoder.refine:
        layer.register_forward_pre_hook(lambda layer, inputs: given.append(inputs[0]))
    features = [100 * torch.randn(1, c, 16 // 2**k, 16 // 2**k) for k, c in enumerate([4, 6, 8])]
    decoder(features, [torch.ones(1, 1, 1, 1)] * 3, torch.ones(1, 7), torch.randn(1, 3, 5), torch.randn)
    assert len(given) == 2
    for x in given:
        torch.testing.assert_close(x.square().mean(1), torch.ones_like(x[:, 0]))


def test_each_token_has_a_vector_of_its_own():
    w = MappingNetwork(tokens=4, latent=2, summary=3, width=8)(torch.zeros(2, 4, 2), torch.zeros(2, 3))
    assert w.shape == (2, 4, 8)
    assert torch.equal(w[0], w[1])
    assert not torch.allclose(w[0, 0], w[0, 1])


def test_attention_keeps_positions_times_tokens_and_no_more():
    """A full slice must fit: no tensor may grow with the square of the number of places."""
    largest = 0

    def pack(tensor):
        nonlocal largest
        largest = max(largest, tensor.untyped_storage().nbytes() // 4)
        return tensor

    attention = TokenAttention(8, 8, attention=True)
    places = torch.randn(1, 4096, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        attention(places, torch.randn(1, 16, 8)).sum().backward()
    assert largest <= 4096 * 16


def test_noise_enters_every_layer_with_a_strength_of_its_own():
    decoder = randomise(TextureDecoder([4, 6, 8], 5, attention=True))
    features = [torch.randn(1, c, 16 // 2**k, 16 // 2**k) for k, c in enumerate([4, 6, 8])]
    units, w = [torch.ones(1, 1, 1, 1)] * 3, torch.randn(1, 3, 5)
    shapes = []

    def noise(shape):
        shapes.append(tuple(shape))
        return torch.randn(shape)

    def drawn():
        return decoder(features, units, torch.ones(1, 7), w, noise)

    assert not torch.allclose(drawn(), drawn())
    found = [shape[1:3] for shape in shapes[: len(shapes) // 2]]
    layers, pictures = [s for c, s in found if c == 1], [s for c, s in found if c == PICTURE_NOISE]
    assert layers == [4, 4, 8, 8, 16]
    assert pictures == [4, 8, 16]
    for name, parameter in decoder.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.zeros_(parameter)
    for picture in decoder.pictures:
        torch.nn.init.zeros_(picture.weight[:, -PICTURE_NOISE:])
    assert torch.equal(drawn(), drawn())


def test_a_picture_of_each_scale_is_in_units_of_its_own():
    decoder = randomise(TextureDecoder([4, 6, 8], 5, attention=True))
    features = [torch.randn(1, c, 16 // 2**k, 16 // 2**k) for k, c in enumerate([4, 6, 8])]
    w = torch.randn(1, 3, 5)

    def drawn(*levels: float):
        units = [torch.full((1, 1, 1, 1), level) for level in levels]
        return decoder(features, units, torch.ones(1, 7), w, torch.zeros)

    together = drawn(1, 0, 0) + 2 * drawn(0, 1, 0) + 3 * drawn(0, 0, 1)
    torch.testing.assert_close(drawn(1, 2, 3), together)
    assert drawn(0, 0, 0).abs().max() == 0


def test_predictors_set_the_strength_of_all_places_as_powers_within_bounds():
    decoder = randomise(TextureDecoder([4, 6], 5, attention=True))
    features = [torch.randn(1, c, 16 // 2**k, 16 // 2**k) for k, c in enumerate([4, 6])]
    units, w = [torch.full((1, 1, 1, 1), 0.1)] * 2, torch.randn(1, 3, 5)
    for picture, forecasts in zip(decoder.pictures, decoder.forecasts, strict=True):
        torch.nn.init.normal_(picture.weight, std=0.03)  # none so strong that it is cut
        torch.nn.init.zeros_(forecasts.bias)
        torch.nn.init.constant_(forecasts.weight, 0.01)

    def drawn(*predictors: float) -> torch.Tensor:
        return decoder(features, units, torch.tensor([predictors], dtype=torch.float32), w, torch.zeros)

    still = drawn(0, 0, 0, 0, 0)
    for predictor in torch.eye(5).tolist():  # by exp(0.1 x) each, and so by the product of all
        torch.testing.assert_close(drawn(*predictor), still * math.exp(0.1), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(drawn(1, 1, 1, -2, 1), still * math.exp(0.2), rtol=1e-2, atol=1e-6)
    torch.testing.assert_close(drawn(1e4, 0, 0, 0, 0), still * FARTHEST)
    torch.testing.assert_close(drawn(-1e4, 0, 0, 0, 0), still / FARTHEST)


def test_where_its_strength_is_drawn_too_strong_texture_is_rare():
    torch.manual_seed(0)
    decoder = TextureDecoder([8, 8], 5, attention=True)
    for name, parameter in decoder.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.constant_(parameter, 0.1)
    for picture in decoder.pictures:
        torch.nn.init.constant_(picture.weight[:, -PICTURE_NOISE, 1, 1], 0.01)  # normal noise as it is
    features = [torch.randn(4, 8, 64 // 2**k, 64 // 2**k) for k in range(2)]
    units, w = [torch.ones(4, 1, 1, 1), torch.zeros(4, 1, 1, 1)], torch.randn(4, 3, 5)

    def kurtosis() -> float:
        texture = decoder(features, units, torch.zeros(4, 5), w, torch.randn).detach()
        return float(texture.pow(4).mean() / texture.square().mean() ** 2)

    assert kurtosis() == pytest.approx(3, abs=0.2)
    for layer in decoder.bursts:
        torch.nn.init.normal_(layer.weight, std=0.3)
    assert kurtosis() > 4
