"""The learned multi-scale transform of a cascade's block, and how its features may be styled."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from custom_nn.layers import InstanceNorm, SoftThreshold, conv3x3, double, halve, start_small
from custom_nn.modules import Modules
from fastmri.image import pad_to_multiple

Style = Callable[[int, Tensor], Tensor]  # scale, features (N, C, H, W) -> features


def unstyled(scale: int, features: Tensor) -> Tensor:
    """The features as they are."""
    return features


class ThresholdedTransform(nn.Module):
    """U^(soft(U(x))): features at several scales, all thresholded, skips included, then back to images.

    With `normalize` each feature has a learned mean and standard deviation in every image, so that thresholds
    mean the same at every contrast and acceleration (ours).
    """

    def __init__(self, inputs: int, outputs: int, filters: list[int], threshold: float, normalize: bool):
        super().__init__()
        self.analysis = Modules(map(conv3x3, [inputs, *filters[:-1]], filters))
        self.norms = Modules(InstanceNorm(count) if normalize else nn.Identity() for count in filters)
        self.thresholds = Modules(SoftThreshold(count, threshold) for count in filters)
        self.synthesis = Modules(map(conv3x3, filters[:0:-1], filters[-2::-1]))
        self.output = conv3x3(filters[0], outputs)
        start_small(self.output)

    def forward(self, x: Tensor, style: Style = unstyled) -> Tensor:
        x, (height, width) = pad_to_multiple(x, 2 ** (len(self.analysis) - 1))
        features = []
        for scale, conv in enumerate(self.analysis):
            x = F.leaky_relu(conv(halve(x) if scale else x), 0.2, inplace=True)
            x = style(scale, self.norms[scale](x))
            features.append(self.thresholds[scale](x))
        x = features.pop()
        for conv in self.synthesis:
            x = double(F.leaky_relu(conv(x), 0.2, inplace=True)) + features.pop()
        return self.output(x)[..., :height, :width]
