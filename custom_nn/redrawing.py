"""What a sample is drawn again from: a part of its own columns, as if they were measured.

A sample of few columns, drawn at once, is noise of the right strength where anatomy should be. But columns of
an image foretell each other. So most of those that were not measured are drawn once more, by the same model,
from those that were and some of the sample's own; and so again, each time from others. To take an image apart
and draw it anew in turn makes samples of what a model of many columns knows (generative stochastic network,
Bengio et al., arXiv 1306.1091); here, of those that agree with what was measured.
"""

import torch
from torch import Tensor

from fastmri.masks import CENTER

STRIDE = 2.0  # halvings of the acceleration by one redraw
FAINT = 0.1  # brightness, over the image's root mean square, below which texture is no more believed
SURE = 1e3  # more than any noise
ROUNDING = 1e-2  # columns, of a density that means a whole number of them: above what logarithms lose


def taken_columns(mask: Tensor, density: Tensor, noise: Tensor) -> Tensor:
    """The mask's columns, and of the others as many as a mask has of this density: bool (N, 1, 1, W).

    The centre first, as it has it, the rest at random, by noise (N, 1, 1, W); density (N, 1, 1, 1) as
    `sampling_density` gives it.
    """
    columns = mask.shape[-1]
    wanted = (columns / 2**density - ROUNDING).ceil()
    distance = (torch.arange(columns, device=mask.device) - columns // 2).abs()
    order = torch.where(distance < CENTER / 2 * wanted, SURE - distance, noise)
    order = torch.where(mask, 2 * SURE, order)
    place = order.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    return mask | (place < wanted)


def believed(brightness: Tensor) -> Tensor:
    """How much of a texture to keep in each place, 0 to 1: as a Wiener filter does of a signal in noise.

    Noise of which some columns are left out smears along the rows into the air, and would be fed back into
    the next redraw.
    """
    power = brightness.square()
    return power / (power + FAINT**2)
