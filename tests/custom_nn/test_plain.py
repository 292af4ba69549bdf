"""The networks, written for speed, give what the formulas give, and so do their gradients."""

import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from custom_nn.adaptive_cs_net import AdaptiveCSNet, Block, Priors, estimate_priors
from custom_nn.layers import (
    NORM_EPSILON,
    InstanceNorm,
    _products,
    double,
    halve,
    instance_norm,
    pack,
    to_channels,
)
from custom_nn.transform import ThresholdedTransform
from custom_nn.unet import ConvBlock, UpBlock
from fastmri.fourier import fft1c, ifft1c
from fastmri.physics import apply_mask, measured_scale, middle_slice
from tests.custom_nn.test_models import cascade, make, scene


def plain_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    centred = x - x.mean(dim=(2, 3), keepdim=True)
    normal = centred / (centred.square().mean(dim=(2, 3), keepdim=True) + NORM_EPSILON).sqrt()
    return scale[:, None, None] * normal + shift[:, None, None]


def plain_transform(net: ThresholdedTransform, x: Tensor) -> Tensor:
    height, width = x.shape[-2:]
    multiple = 2 ** (len(net.analysis) - 1)
    x, features = F.pad(x, (0, -width % multiple, 0, -height % multiple)), []
    for scale, (conv, norm, layer) in enumerate(zip(net.analysis, net.norms, net.thresholds, strict=True)):
        x = F.leaky_relu(conv(F.avg_pool2d(x, 2) if scale else x), 0.2)
        assert isinstance(norm, InstanceNorm)
        x = plain_norm(x, norm.scale, norm.shift)
        features.append(x.sign() * (x.abs() - layer.threshold.abs()[:, None, None]).relu())
    x = features.pop()
    for conv in net.synthesis:
        x = F.leaky_relu(conv(x), 0.2)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False) + features.pop()
    return net.output(x)[..., :height, :width]


def plain_block(block: Block, image: Tensor, measured: Tensor, mask: Tensor, priors: Priors) -> Tensor:
    residual = ifft1c(apply_mask(fft1c(image) - measured, mask))
    images, turn = [image, residual, image * priors.background], torch.ones_like(priors.phase)
    if block.phase_prior == "input":
        images.insert(2, 1j * (image * priors.phase.conj()).imag * priors.phase)
    if block.phase_prior == "frame":
        turn = priors.phase
    channels = [part for x in images for part in ((x / turn).real, (x / turn).imag)]
    density = priors.sampling.expand(-1, 1, *image.shape[-2:])
    real, imaginary = plain_transform(block.transform, torch.cat([*channels, density], dim=1)).chunk(2, dim=1)
    step = 0 if block.step is None else block.step
    return image - step * residual + torch.complex(real, imaginary) * turn


def plain(model: AdaptiveCSNet, masked_kspace: Tensor, mask: Tensor) -> Tensor:
    scale = measured_scale(masked_kspace)
    measured = masked_kspace / scale
    priors, image = estimate_priors(measured, mask, model.background_level), ifft1c(measured)
    for block in model.blocks:
        image = plain_block(block, image, measured, mask, priors)
    image, measured = middle_slice(image), middle_slice(measured)
    return scale * ifft1c(torch.where(mask, measured, fft1c(image)))


@pytest.mark.parametrize("phase_prior", ["frame", "input", "none"])
@pytest.mark.parametrize(("slices", "size"), [(1, (16, 24)), (3, (17, 21))])
def test_the_cascade_is_the_plain_one(phase_prior, slices, size):
    _, mask, measured = scene(2, slices, *size)
    model, measured = cascade(slices, blocks=3, phase_prior=phase_prior), 1e4 * measured
    for parameter in model.parameters():  # what starts at 0, 1 or small is seen too
        parameter.data += 0.05 * torch.randn_like(parameter)
    single = model(measured, mask, None).image
    # in double precision, because rounding moves some features over the bends of LeakyReLU and threshold
    model, measured = model.double(), measured.to(torch.complex128)
    found, gradients = with_gradients(model, model(measured, mask, None).image)
    expected, plain_gradients = with_gradients(model, plain(model, measured, mask))
    assert (single - expected).norm() < 1e-5 * expected.norm()
    assert (found - expected).norm() < 1e-6 * expected.norm()
    for gradient, other in zip(gradients, plain_gradients, strict=True):
        assert (gradient - other).norm() < 1e-5 * other.norm() + 1e-6 * expected.norm()


def with_gradients(model: torch.nn.Module, image: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The image, and what every parameter gets from a loss of it."""
    loss = image.abs().square().sum() + image.real.sum()
    return image.detach(), list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("count", [1, 3])
def test_a_norm_is_of_each_image_and_keeps_channels_last(count):
    x = torch.randn(count, 5, 6, 7).add(3).to(memory_format=torch.channels_last)
    scale, shift = torch.randn(5), torch.randn(5)
    found = instance_norm(x, scale, shift)
    torch.testing.assert_close(found, plain_norm(x, scale, shift))
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("slices", [1, 3])
def test_images_are_packed_as_channels_that_come_last_in_memory(slices):
    images = [torch.randn(2, slices, 4, 5, dtype=torch.complex64) for _ in range(3)]
    turn, value = torch.randn(2, slices, 4, 5, dtype=torch.complex64), torch.randn(2, 1, 1, 1)
    found = pack(images, turn, value)
    expected = [to_channels(image * turn) for image in images]
    assert torch.equal(found, torch.cat([*expected, value.expand(-1, 1, 4, 5)], dim=1))
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_doubling_by_products_is_the_bilinear_one_as_is_its_gradient(dtype):
    features = torch.randn(2, 3, 5, 8).to(dtype, memory_format=torch.channels_last).requires_grad_()
    found, expected = _products(features), double(features)
    assert found.is_contiguous(memory_format=torch.channels_last)
    weight = torch.randn_like(expected)
    pairs = [
        (found, expected),
        *zip(*(torch.autograd.grad(y, features, weight) for y in (found, expected)), strict=True),
    ]
    for one, two in pairs:
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5 if dtype == torch.float32 else 0.04)


def test_halving_is_pooling_as_is_its_gradient():
    features = torch.randn(2, 3, 6, 8, requires_grad=True)
    found, expected = halve(features), F.avg_pool2d(features, 2)
    assert torch.equal(found, expected)
    weight = torch.randn_like(expected)
    one, two = (torch.autograd.grad(y, features, weight)[0] for y in (found, expected))
    assert torch.equal(one, two)


@pytest.mark.parametrize("size", [(16, 24), (17, 21)])
def test_the_unet_stays_channels_last_and_is_the_one_of_plain_layers(size):
    """Activations in place, too."""
    _, mask, measured = scene(2, 3, *size)
    model, measured = make("unet", 3, data_consistency=True).double(), 1e4 * measured.to(torch.complex128)
    written = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    for module in written.modules():
        if isinstance(module, torch.nn.LeakyReLU):
            module.inplace = False
    kept: list[bool] = []
    for module in model.modules():
        if isinstance(module, ConvBlock | UpBlock):
            module.register_forward_hook(
                lambda _, inputs, features: kept.append(
                    features.is_contiguous(memory_format=torch.channels_last)
                )
            )
    found, gradients = with_gradients(model, model(measured, mask, None).image)
    expected, plain_gradients = with_gradients(written, written(measured, mask, None).image)
    assert len(kept) == 3 + 2 + 2
    assert all(kept)
    assert (found - expected).norm() < 1e-6 * expected.norm()
    for gradient, other in zip(gradients, plain_gradients, strict=True):
        assert (gradient - other).norm() < 1e-5 * other.norm() + 1e-6 * expected.norm()
