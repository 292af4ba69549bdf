"""How strong a texture's bands are drawn, so that samples differ as a posterior's would."""

import torch
from torch import Tensor, nn

from custom_nn.wavelets import weighed
from fastmri.physics import sampling_density

# by acceleration: of each wavelet band, fine to coarse, what is in phase and what is in quadrature
BandTable = dict[int, list[list[float]]]
# by acceleration: of places by their brightness, dark to bright
PlaceTable = dict[int, list[float]]

PARTS = ("in_phase", "quadrature")
DARKEST, CLASSES = -3, 5  # log2 of brightness: an eighth, a quarter, ... twice the image's root mean square


class BandGains(nn.Module):
    """Two draws of a texture as one, whose spread and mean are so many times theirs, band by band.

    p first + q second with p^2 + q^2 = spread^2 and p + q = mean: of draws that are independent it moves the
    one factor without the other, so what is drawn too faint can be made up for, and what the mean has wrong
    be left out. By what the draws differ in, it is also made stronger or fainter at places by how bright they
    are. Between accelerations factors are interpolated, over log2 of them, not beyond.
    """

    density: Tensor  # (A,), as `sampling_density`
    factors: Tensor  # (2, A, bands, 2): logarithms of the spread's, and the mean's
    places: Tensor  # (A, CLASSES), logarithms

    def __init__(self, spread: BandTable, mean: BandTable, places: PlaceTable):
        super().__init__()
        known = sorted(spread)
        known += known[-1:]  # of one alone, both ends of the only interval
        factors = torch.stack([_logs(spread, known), torch.tensor([mean[r] for r in known])])
        self.register_buffer("density", torch.tensor(known).log2(), persistent=False)
        self.register_buffer("factors", factors, persistent=False)
        self.register_buffer("places", _logs(places, known), persistent=False)

    def forward(self, first: Tensor, second: Tensor, bright: Tensor, mask: Tensor) -> Tensor:
        """Each (N, 2, H, W) in phase and in quadrature, where mask (N, 1, 1, W) is measured: alike.

        bright (N, 1, H, W): local brightness over the image's root mean square.
        """
        wanted = sampling_density(mask).flatten()  # (N,)
        above = torch.searchsorted(self.density, wanted).clamp(1, len(self.density) - 1)
        low, high = self.density[above - 1], self.density[above]
        share = ((wanted - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)[:, None]
        logs, mean = self.factors[:, above - 1].lerp(self.factors[:, above], share[..., None])
        half = logs.exp() / 2**0.5  # of the spread, in each of two draws that share it
        middle = torch.minimum(mean / 2, half)  # two draws can't have a larger mean
        apart = (half.square() - middle.square()).sqrt()
        both = torch.cat([first + second, first - second], dim=1)
        common, own = weighed(both, torch.cat([middle, apart], dim=-1).movedim(0, 1)).chunk(2, dim=1)
        places = self.places[above - 1].lerp(self.places[above], share)[..., None, None]
        return common + own * (places * place_weights(bright)).sum(1, keepdim=True).exp()


def _logs(table: BandTable | PlaceTable, known: list[int]) -> Tensor:
    return torch.tensor([table[r] for r in known]).clamp(min=1e-6).log()


def place_weights(bright: Tensor) -> Tensor:
    """How much a place is of each class of brightness, in all 1: (N, 1, H, W) -> (N, CLASSES, H, W)."""
    place = bright.clamp(min=2.0**DARKEST).log2() - DARKEST
    classes = torch.arange(CLASSES, device=bright.device).view(-1, 1, 1)
    return (1 - (place.clamp(max=CLASSES - 1) - classes).abs()).clamp(min=0)
