"""The discriminator is shown the truth, what was drawn, and the zero-filled image, each in its place."""

import pytest
import torch
from torch import nn

from config.schema import Adversarial
from custom_nn.discriminator import discriminator_loss, generator_loss
from custom_nn.layers import to_complex
from fastmri.image import center_crop
from fastmri.physics import smooth_phase, zero_filled
from fastmri.slices import SliceBatch
from tests.custom_nn.test_models import scene
from tests.trainer.test_objectives import batch_of
from trainer.adversary import Adversary, Seen, adversarial_term, discriminator_gradients, seen

SIZE, SCALE = (12, 10), 3e-4


def truth_and_batch() -> tuple[torch.Tensor, SliceBatch]:
    """Three slices seen, of which the middle one is true; the targets, which nobody is to see, are NaN."""
    images, mask, measured = scene(2, 3, 20, 16)
    truth = images[:, 1:2]
    batch = batch_of(truth, measured, mask)
    return truth, batch._replace(
        target=torch.full((2, 1, *SIZE), torch.nan), scale=torch.full((2, 1, 1, 1), SCALE)
    )


def test_real_is_the_truth_fake_is_what_was_drawn_and_the_condition_is_zero_filled():
    truth, batch = truth_and_batch()
    drawn, zero = torch.randn_like(truth), zero_filled(batch.masked_kspace[:, 1:2])
    shown = seen(drawn, batch)
    back = smooth_phase(zero).conj()
    for name, image in {"condition": zero, "real": truth, "fake": drawn}.items():
        found = to_complex(getattr(shown, name))
        torch.testing.assert_close(found, center_crop(image * back / SCALE, SIZE))
    assert (shown.real - shown.condition).norm() > 0.1 * shown.real.norm()


class Brightness(nn.Module):
    """Logits: the mean of an image, and ten times that of its condition."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, image, condition):
        return self.weight * (image + 10 * condition).mean(dim=(1, 2, 3), keepdim=True)


@pytest.mark.parametrize("kind", ["wasserstein", "non_saturating"])
def test_each_network_is_judged_by_its_images_beside_the_condition(kind):
    images = Seen(*(torch.full((2, 2, 8, 8), level) for level in (0.1, 2.0, -0.5)))
    network = Brightness()
    adversary = Adversary(network, torch.optim.AdamW(network.parameters()))
    options = Adversarial(weight=1, loss=kind, penalty=0)
    on_real, on_fake = torch.tensor(3.0), torch.tensor(0.5)
    torch.testing.assert_close(adversarial_term(adversary, images, options), generator_loss(on_fake, kind))
    losses, _ = discriminator_gradients(adversary, images, torch.ones(()), torch.randn, options)
    torch.testing.assert_close(losses["discriminator"], discriminator_loss(on_real, on_fake, kind))
