"""Wavelets tell scale and direction, and where in a wave a place is."""

import torch

from fastmri.morlet import DIRECTIONS, morlet, morlet_bank


def test_wavelets_let_no_mean_pass_and_each_sees_its_own_grating():
    bank = morlet_bank((128, 128), torch.device("cpu"))
    assert bank[..., 0, 0].abs().max() < 1e-6
    columns = torch.arange(128) * 2 * torch.pi
    for octave in range(3):
        grating = torch.cos(columns * 3 / 8 / 2**octave).expand(128, 128)
        response = morlet(grating).abs().mean((2, 3))
        assert response.argmax() == DIRECTIONS * octave  # along columns is the first direction of each octave


def test_the_phase_turns_with_the_place():
    columns = torch.arange(64) * 2 * torch.pi * 3 / 16
    wave = morlet(torch.cos(columns).expand(1, 64, 64))[0, 1, 0, 32]
    turned = wave[1:] * wave[:-1].conj()
    torch.testing.assert_close(
        turned.angle()[16:-16], torch.full((31,), 2 * torch.pi * 3 / 16), rtol=0.05, atol=0
    )
