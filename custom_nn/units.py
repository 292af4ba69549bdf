"""What is known of a texture's strength before anything is learned: of data and baseline alone."""

import torch
from torch import Tensor
from torch.nn import functional as F

from fastmri.image import pad_to_multiple

NEARBY = 9  # rows over which an image is bright or dark
BLUR = 0.45  # columns over which it is, standard deviation, over the acceleration
DIMMEST = 0.2  # brightness of a dark place, over the image's root mean square
TYPICAL = 0.1  # level of an octave, whose logarithm is then about 0


def texture_units(levels: Tensor, guess: Tensor, density: Tensor) -> list[Tensor]:
    """About how strong texture is at each scale and place, (N, 1, H / 2^k, W / 2^k), finest first.

    What the measured columns foretell of the others, levels (N, scales) as `missing_levels` has them, where
    the guessed image (N, 1, H, W) is bright: errors are heavy-tailed, and in these units much less so.
    H and W are padded to halve so often.
    """
    scales = levels.shape[1]
    bright, _ = pad_to_multiple(DIMMEST + brightness(guess, density), 2 ** (scales - 1))
    return [
        level * F.avg_pool2d(bright, 2**k) for k, level in enumerate(levels[..., None, None, None].unbind(1))
    ]


def brightness(guess: Tensor, density: Tensor) -> Tensor:
    """How bright an image may be in each place, over its root mean square, by a guess of it: (N, 1, H, W).

    The fewer columns were measured, density (N, 1, 1, 1) as `sampling_density` has it, the farther along them
    what is bright may be from where it is guessed.
    """
    energy = F.avg_pool2d(guess.abs().square(), (NEARBY, 1), stride=1, padding=(NEARBY // 2, 0))
    with torch.autocast(guess.device.type, enabled=False):  # which would round to 8 bits
        bright = (energy @ _windows(energy.shape[-1], BLUR * 2**density)).sqrt()
    return bright / bright.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-6)


def _windows(size: int, deviation: Tensor) -> Tensor:
    """A Gaussian around each place, of the standard deviation (N, 1, 1, 1) in pixels: (N, 1, size, size)."""
    place = torch.arange(size, device=deviation.device)
    distance = (place[:, None] - place) / deviation
    return (-distance.square() / 2).softmax(dim=-2)


def texture_predictors(sparsity: Tensor, measured: Tensor, guessed: Tensor) -> Tensor:
    """What foretells a slice's texture as a whole, -6.9 at the least, mostly -3 to 3: (N, 1 + 2 scales).

    How little was measured (N, 1), and the levels (N, scales) of the measured columns' octaves and of the
    guess's: where the guess is far above what the columns have, as of a leg along the columns, whose edges
    they don't see, more is missing than the columns tell.
    """
    return torch.cat([sparsity, *((x / TYPICAL).clamp(min=1e-3).log() for x in (measured, guessed))], dim=1)
