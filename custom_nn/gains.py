"""How strong a texture's bands are drawn, so that samples differ as a posterior's would."""

import torch
from torch import Tensor, nn

from custom_nn.wavelets import weighed
from fastmri.physics import sampling_density

# by acceleration: of each wavelet band, fine to coarse, what is in phase and what is in quadrature
BandTable = dict[int, list[list[float]]]


class BandGains(nn.Module):
    """Two draws of a texture as one, whose spread and mean are so many times theirs, band by band.

    p first + q second with p^2 + q^2 = spread^2 and p + q = mean: of draws that are independent it moves the
    one factor without the other, so what is drawn too faint can be made up for, and what the mean has wrong
    be left out. Between accelerations factors are interpolated, over log2 of them, not beyond.
    """

    density: Tensor  # (A,), as `sampling_density`
    factors: Tensor  # (2, A, bands, 2): logarithms of spread factors, then mean factors

    def __init__(self, spread: BandTable, mean: BandTable):
        super().__init__()
        known = sorted(spread)
        known += known[-1:]  # of one alone, both ends of the only interval
        logs = torch.tensor([spread[r] for r in known]).clamp(min=1e-6).log()
        factors = torch.stack([logs, torch.tensor([mean[r] for r in known])])
        self.register_buffer("density", torch.tensor(known).log2(), persistent=False)
        self.register_buffer("factors", factors, persistent=False)

    def forward(self, first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
        """Each (N, 2, H, W) in phase and in quadrature, where mask (N, 1, 1, W) is measured: alike."""
        wanted = sampling_density(mask).flatten()  # (N,)
        above = torch.searchsorted(self.density, wanted).clamp(1, len(self.density) - 1)
        low, high = self.density[above - 1], self.density[above]
        share = ((wanted - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
        logs, mean = self.factors[:, above - 1].lerp(self.factors[:, above], share[:, None, None])
        half = logs.exp() / 2**0.5  # of the spread, in each of two draws that share it
        middle = torch.minimum(mean / 2, half)  # two draws can't have a larger mean
        apart = (half.square() - middle.square()).sqrt()
        weights = torch.cat([middle + apart, middle - apart], dim=-1).movedim(0, 1)
        draws = torch.cat([first, second], dim=1)
        with torch.autocast(draws.device.type, enabled=False):  # which would round to 8 bits
            first, second = weighed(draws.float(), weights).chunk(2, dim=1)
        return first + second
