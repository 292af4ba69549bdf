"""The baseline: Adaptive-CS-Net, an unrolled ISTA cascade (Pezzotti et al., arXiv 2004.07339).

Each block refines the image by x <- x - eta e_dc + U^(soft(U([x, e_dc, e_phase, e_bg]), lambda)) (eqs. 7 to
10 there). The blocks share no weights. Ours are the gradient step eta, and the phase's frame: U sees all
images turned by the smooth phase, where anatomy is nearly real, and e_phase is their imaginary part.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from custom_nn.layers import pack, to_complex
from custom_nn.model import Noise, Reconstruction
from custom_nn.modules import Modules
from custom_nn.replay import Replay
from custom_nn.transform import Style, ThresholdedTransform, unstyled
from fastmri.physics import (
    Measured,
    low_resolution,
    measured_scale,
    middle_slice,
    sampling_density,
    zero_filled,
)


class Priors(NamedTuple):
    """What the fully sampled centre tells about the image, in units of the scaled input."""

    phase: Tensor  # complex64 (N, C, H, W), modulus 1: the smooth phase
    background: Tensor  # float32 (N, C, H, W), near 1 in what the low resolution calls air, else near 0
    sampling: Tensor  # float32 (N, 1, 1, 1), log2 of columns over sampled columns


class AdaptiveCSNet(nn.Module):
    """The cascade: `blocks` times a learned, thresholded multi-scale transform around the data residual."""

    name: Literal["adaptive_cs_net"] = "adaptive_cs_net"
    stochastic: Literal[False] = False
    recomputed = False  # see `checkpoint_blocks`

    def __init__(
        self,
        *,
        blocks: int,
        filters: list[int],
        adjacent_slices: int,
        threshold: float,
        normalize: bool,
        phase_prior: str,
        background_prior: bool,
        background_level: float,
        gradient_step: bool,
        data_consistency: bool,
    ):
        super().__init__()
        self.background_level, self.data_consistency = background_level, data_consistency
        # hard data consistency undoes the last one's gradient step
        steps = [gradient_step] * (blocks - 1) + [gradient_step and not data_consistency]
        self.blocks = Modules(
            Block(adjacent_slices, filters, threshold, normalize, phase_prior, background_prior, step)
            for step in steps
        )
        self._replayed = Replay(self._cascade)
        self.to(memory_format=torch.channels_last)  # a sixth faster on a CPU

    def forward(
        self,
        masked_kspace: Tensor,
        mask: Tensor,
        noise: Noise | None,
        scale: Tensor | None = None,
        styles: list[Style] | None = None,
    ) -> Reconstruction:
        """`styles`, one per block, change the features at each scale; see `generative_global`."""
        scale = measured_scale(masked_kspace) if scale is None else scale
        if styles is None:
            return Reconstruction(self._replayed(masked_kspace, mask, scale))
        return Reconstruction(self._cascade(masked_kspace, mask, scale, styles))

    def _cascade(
        self, masked_kspace: Tensor, mask: Tensor, scale: Tensor, styles: list[Style] | None = None
    ) -> Tensor:
        measured = masked_kspace / scale
        priors = estimate_priors(measured, mask, self.background_level)
        image = zero_filled(measured)
        data = Measured.of(image, mask)
        for block, style in zip(self.blocks, styles or [unstyled] * len(self.blocks), strict=True):
            run: Callable[..., Tensor] = block
            if self.recomputed and torch.is_grad_enabled():
                run = partial(checkpoint, block, use_reentrant=False, preserve_rng_state=False)
            image = run(image, data, priors, style)
        image = middle_slice(image)
        if self.data_consistency:
            image = data._replace(samples=middle_slice(data.samples)).put_back(image)
        return image * scale


def checkpoint_blocks(model: nn.Module, wanted: bool) -> None:
    """Whether each block of a model's cascade keeps its input alone, and is run again for its gradient.

    Activation checkpointing (Chen et al., arXiv 1604.06174). Not for styles that draw noise: it would differ.
    """
    for module in model.modules():
        if isinstance(module, AdaptiveCSNet):
            module.recomputed = wanted


def forbid_replay(model: nn.Module) -> None:
    """A model's cascade is not replayed as a CUDA graph of its own, wherever it needs no gradient."""
    for module in model.modules():
        if isinstance(module, AdaptiveCSNet):
            module._replayed.works = False


def estimate_priors(measured: Tensor, mask: Tensor, background_level: float) -> Priors:
    """Phase, air and sampling density from the centre lines of scaled data (N, C, H, W).

    Where no centre line was measured the phase is 1, and all is air.
    """
    low = low_resolution(measured, mask)
    magnitude = low.abs()
    highest = magnitude.amax(dim=(-2, -1), keepdim=True)
    phase = low / magnitude.clamp(min=torch.finfo(torch.float32).tiny)
    # a file's own mask may lack the centre line: 0 would let no update into the image
    unknown = (highest == 0) & (measured != 0).any(dim=(-2, -1), keepdim=True)
    phase = torch.where(unknown, 1, phase)
    level = background_level * highest
    air = torch.exp(-((magnitude / level.clamp(min=1e-12)) ** 2))
    return Priors(phase, air, sampling_density(mask))


class Block(nn.Module):
    """One iteration: x <- x - eta e_dc + transform([x, e_dc, e_phase, e_bg, sampling]).

    phase_prior: `frame` turns what the transform sees by the smooth phase, and its update back; `input` gives
    it e_phase beside images as they are; `none` tells it nothing of the phase.
    """

    def __init__(
        self,
        slices: int,
        filters: list[int],
        threshold: float,
        normalize: bool,
        phase_prior: str,
        background_prior: bool,
        gradient_step: bool,
    ):
        super().__init__()
        self.phase_prior, self.background_prior = phase_prior, background_prior
        inputs = 2 * slices * (2 + (phase_prior == "input") + background_prior) + 1
        self.transform = ThresholdedTransform(inputs, 2 * slices, filters, threshold, normalize)
        # 1 is the step that puts measured samples back; None leaves the data to the transform alone
        self.step = nn.Parameter(torch.ones(())) if gradient_step else None

    def forward(self, image: Tensor, measured: Measured, priors: Priors, style: Style = unstyled) -> Tensor:
        residual = measured.residual(image)
        images = [image, residual]
        if self.phase_prior == "input":  # what is out of phase: i Im(x e^-ip) e^ip
            images.append(1j * (image * priors.phase.conj()).imag * priors.phase)
        if self.background_prior:
            images.append(image * priors.background)
        framed = self.phase_prior == "frame"
        seen = pack(images, priors.phase.conj() if framed else None, priors.sampling)
        update = to_complex(self.transform(seen, style))
        if self.step is not None:
            image = torch.addcmul(image, residual, self.step, value=-1)
        return torch.addcmul(image, update, priors.phase) if framed else image + update
