"""How strong a texture's bands are drawn, so that samples differ as a posterior's would."""

import torch
from torch import Tensor, nn

from custom_nn.wavelets import weighed
from fastmri.physics import sampling_density

# by acceleration: of each wavelet band, fine to coarse, what is in phase and what is in quadrature
BandTable = dict[int, list[list[float]]]


class BandGains(nn.Module):
    """Factors of a texture's bands; between accelerations they are interpolated, log to log, not beyond."""

    density: Tensor  # (A,), as `sampling_density`
    logs: Tensor  # (A, bands, 2)

    def __init__(self, table: BandTable):
        super().__init__()
        known = sorted(table)
        known += known[-1:]  # of one alone, both ends of the only interval
        logs = torch.tensor([table[r] for r in known]).clamp(min=1e-6).log()
        self.register_buffer("density", torch.tensor(known).log2(), persistent=False)
        self.register_buffer("logs", logs, persistent=False)

    def forward(self, texture: Tensor, mask: Tensor) -> Tensor:
        """(N, 2, H, W) in phase and in quadrature, where mask (N, 1, 1, W) is measured: alike."""
        wanted = sampling_density(mask).flatten()  # (N,)
        above = torch.searchsorted(self.density, wanted).clamp(1, len(self.density) - 1)
        low, high = self.density[above - 1], self.density[above]
        share = ((wanted - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
        logs = self.logs[above - 1].lerp(self.logs[above], share[:, None, None])
        return weighed(texture, logs.exp().movedim(0, 1))
