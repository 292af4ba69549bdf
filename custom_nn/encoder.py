"""Networks that sum up an image in a vector: MobileNetV2, or a small one of our own.

torchvision is imported where it is used: that takes nearly as long as torch, and most models need none of it.
"""

import struct
from pathlib import Path
from pickle import PickleError
from urllib.error import URLError

import torch
from torch import Tensor, nn

from custom_nn.layers import to_channels

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MOBILENET_FEATURES = 1280
NO_STATE = (  # what torch's unpickler raises of other content
    *(OSError, EOFError, RuntimeError, PickleError, struct.error, AssertionError),
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
)


class MobileNetEncoder(nn.Module):
    """Mean features of torchvision's MobileNetV2 (Sandler et al., arXiv 1801.04381)."""

    mean: Tensor
    std: Tensor

    def __init__(self, frozen: bool):
        super().__init__()
        self.features = mobilenet_features().requires_grad_(not frozen)
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):  # torchvision's start counts on batch statistics
                nn.init.kaiming_normal_(module.weight, mode="fan_in")
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)
        self.train()

    def forward(self, image: Tensor) -> Tensor:  # float32 (N, 1, H, W), about 0 to 1 -> (N, 1280)
        return self.features((image - self.mean) / self.std).mean(dim=(-2, -1))

    def train(self, mode: bool = True) -> "MobileNetEncoder":
        """Batch statistics stay as they are: slices must not depend on their batch."""
        super().train(mode)
        self.features.eval()
        return self


def mobilenet_features() -> nn.Module:
    """The features of torchvision's MobileNetV2, untrained."""
    from torchvision.models import mobilenet_v2

    return mobilenet_v2(weights=None).features


class SmallEncoder(nn.Sequential):
    """Strided convolutions and a mean over places: (N, channels, H, W) -> (N, features)."""

    def __init__(self, channels: int, features: int, filters: tuple[int, ...] = (16, 32, 64, 64)):
        layers: list[nn.Module] = []
        for inputs, outputs in zip((channels, *filters), filters, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(filters[-1], features))


class Proxy(nn.Module):
    """The latent's posterior from the truth's texture: a small encoder, or a head on frozen MobileNetV2."""

    def __init__(self, weights: str, size: int):
        super().__init__()
        self.pretrained = MobileNetEncoder(frozen=True) if weights != "none" else None
        self.head = nn.Linear(MOBILENET_FEATURES, 2 * size) if self.pretrained else SmallEncoder(2, 2 * size)

    def forward(self, image: Tensor) -> Tensor:  # complex64 (N, 1, H, W) -> (N, 2 size)
        return self.head(self.pretrained(image.abs()) if self.pretrained else to_channels(image))


def pretrained_mobilenet(weights: str, option: str) -> dict[str, Tensor]:
    """The state of MobileNetV2's features: 'imagenet', downloaded by torchvision, or a file's.

    Raises ValueError in one line, which names the option, if they can't be had or don't fit.
    """
    if weights == "imagenet":
        from torchvision.models import MobileNet_V2_Weights

        try:
            state = MobileNet_V2_Weights.DEFAULT.get_state_dict(progress=True, check_hash=True)
        except (URLError, OSError, RuntimeError) as error:
            raise ValueError(
                f"{option}: imagenet can't be downloaded ({error}); set it to a local file of torchvision's "
                f"{MobileNet_V2_Weights.DEFAULT.url.rsplit('/', 1)[-1]}, or to none"
            ) from None
    else:
        try:
            state = torch.load(Path(weights).expanduser(), map_location="cpu", weights_only=True)
        except NO_STATE as error:
            raise ValueError(f"{option}: {weights} can't be read ({type(error).__name__})") from None
    return _checked(f"{option}: {weights}", state)


def _checked(name: str, state: object) -> dict[str, Tensor]:
    """The part of a whole network's state dict that the features take."""
    wanted = mobilenet_features().state_dict()
    prefix = "features."
    found = state if isinstance(state, dict) else {}
    found = {key.removeprefix(prefix): value for key, value in found.items() if str(key).startswith(prefix)}
    for key, value in wanted.items():
        given = found.get(key)
        shape = tuple(given.shape) if isinstance(given, Tensor) else None
        if shape != tuple(value.shape):
            raise ValueError(
                f"{name} is no MobileNetV2 of torchvision: {prefix}{key} must be of shape "
                f"{tuple(value.shape)}, {'is missing' if shape is None else f'is {shape}'}"
            )
    return {key: found[key] for key in wanted}
