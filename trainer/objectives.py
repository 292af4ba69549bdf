"""What a training step minimises."""

from torch import Tensor

from config.schema import Loss
from custom_nn.losses import ReconstructionLoss, reconstruction_loss
from custom_nn.model import Reconstruction
from fastmri.dataset import Slice
from fastmri.image import center_crop


def magnitude(image: Tensor, recon_size: tuple[int, int]) -> Tensor:
    """Magnitude of a native image, cropped last as fastMRI does: (N, 1, h, W) -> (N, 1, *recon_size)."""
    return center_crop(image.abs(), recon_size)


def generator_loss(reconstruction: Reconstruction, batch: Slice, weights: Loss) -> ReconstructionLoss:
    """Image terms on magnitudes in units of the volume's maximum."""
    prediction = magnitude(reconstruction.image, batch.target.shape[-2:])
    return reconstruction_loss(
        prediction / batch.max_value, batch.target / batch.max_value, **weights.model_dump()
    )
