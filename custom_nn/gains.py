"""How strong a texture's bands are drawn, so that samples differ as a posterior's would."""

import torch
from torch import Tensor

from custom_nn.wavelets import weighed
from fastmri.physics import sampling_density

# by acceleration: of each wavelet band, fine to coarse, what is in phase and what is in quadrature
BandTable = dict[int, list[list[float]]]


class BandGains:
    """Factors of a texture's bands; between accelerations they are interpolated, log to log, not beyond."""

    def __init__(self, table: BandTable):
        known = sorted(table)
        known += known[-1:]  # of one alone, both ends of the only interval
        self.density = torch.tensor(known).log2()  # (A,), as `sampling_density`
        self.logs = torch.tensor([table[r] for r in known]).clamp(min=1e-6).log()  # (A, bands, 2)

    def __call__(self, texture: Tensor, mask: Tensor) -> Tensor:
        """(N, 2, H, W) in phase and in quadrature, where mask (N, 1, 1, W) is measured: alike."""
        density, logs = self.density.to(mask.device), self.logs.to(mask.device)
        wanted = sampling_density(mask).flatten()  # (N,)
        above = torch.searchsorted(density, wanted).clamp(1, len(density) - 1)
        low, high = density[above - 1], density[above]
        share = ((wanted - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
        return weighed(texture, logs[above - 1].lerp(logs[above], share[:, None, None]).exp().movedim(0, 1))
