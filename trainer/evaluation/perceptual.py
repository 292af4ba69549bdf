"""Metrics that are nearer to what readers see, by piq, and why a metric can't be had.

Radiologists' scores agree best with DISTS, HaarPSI and VSI (Kastryulin et al. 2023, IEEE Access 11). Images
are over the volume's maximum and clipped to [0, 1], which these metrics need; each is the mean over slices,
but for those whose truth is all zero, of which they say nothing (HaarPSI of two empty images is infinite).
"""

import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from urllib.error import URLError

import numpy as np
import torch
from torch import Tensor, nn

from custom_nn.losses import multi_scale_ssim

Metric = Callable[[Tensor, Tensor], Tensor]  # prediction and target (N, 1, h, w) in [0, 1] -> (N,)
SMALLEST = 32  # pixels a side that these metrics make sense of
SLICES = 8  # at once
PATIENCE = 10.0  # seconds that a download may stand still
VGG, HUB = "vgg16-397923af.pth", "checkpoints"
LEARNED = {"lpips": "lpips_weights.pt", "dists": "dists_weights.pt"}


class Perceptual:
    """The metrics by name, and for those that can't be had, why."""

    def __init__(self, learned: str, device: torch.device):
        """`learned`: 'disk', 'download' or 'off', of LPIPS and DISTS, which need weights."""
        import piq  # see custom_nn.losses

        self.device = device
        self.lock = threading.Lock()  # filters of warnings are all threads'; and the device is one
        self.metrics: dict[str, Metric] = {"ms_ssim": multi_scale_ssim}
        for name, metric in (("haarpsi", piq.haarpsi), ("vsi", piq.vsi), ("gmsd", piq.gmsd)):
            self.metrics[name] = _unreduced(metric)
        self.missing: dict[str, str] = {}
        for name in LEARNED:
            found = _learned(name, learned)
            if isinstance(found, str):
                self.missing[name] = found
            else:
                self.metrics[name] = _unreduced_module(found.to(device))

    def __call__(self, target: np.ndarray, prediction: np.ndarray) -> dict[str, float | None]:
        """Metrics of a volume, raw target (not all zero) and prediction (S, h, w); None if too small."""
        if min(target.shape[1:]) < SMALLEST:
            return dict.fromkeys(self.metrics)
        top, seen = float(target.max()), target.any(axis=(1, 2))
        pairs = [torch.from_numpy(x[seen] / top).clamp(0, 1).float()[:, None] for x in (prediction, target)]
        found: dict[str, float | None] = {}
        with self.lock, torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # VSI's of grey images
            for name, metric in self.metrics.items():
                parts = zip(*(x.split(SLICES) for x in pairs), strict=True)
                values = [metric(a.to(self.device), b.to(self.device)).cpu() for a, b in parts]
                found[name] = float(torch.cat(values).double().mean())
        return found


def _unreduced(metric: Callable) -> Metric:
    return lambda prediction, target: metric(prediction, target, data_range=1.0, reduction="none")


def _unreduced_module(module: nn.Module) -> Metric:
    def metric(prediction: Tensor, target: Tensor) -> Tensor:
        return module(prediction.expand(-1, 3, -1, -1), target.expand(-1, 3, -1, -1)).flatten()

    return metric


def _learned(name: str, source: str) -> nn.Module | str:
    """A metric of learned features, or in a few words why there is none."""
    import piq

    if source == "off":
        return "validate.learned=off"
    folder = Path(torch.hub.get_dir()) / HUB
    absent = [each for each in (VGG, LEARNED[name]) if not (folder / each).is_file()]
    if absent and source == "disk":
        return f"no weights on disk ({', '.join(absent)}); validate.learned=download gets them"
    try:
        with _patience(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {"lpips": piq.LPIPS, "dists": piq.DISTS}[name](reduction="none").eval()
    except (URLError, OSError, RuntimeError, KeyError, UnpicklingError, EOFError) as error:
        return f"its weights can't be had ({' '.join(str(error).split())[:100]})"


@contextmanager
def _patience() -> Iterator[None]:
    """A download that stands still ends."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
