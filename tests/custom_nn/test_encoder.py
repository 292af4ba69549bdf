"""Pretrained weights: from a file, checked; and what is said where they can't be had."""

import pytest
import torch
from torchvision.models import mobilenet_v2

from custom_nn.encoder import MobileNetEncoder, pretrained_mobilenet

OPTION = "model.proxy_weights"


def test_a_local_file_of_torchvisions_state_is_what_the_encoder_computes(tmp_path):
    network = mobilenet_v2(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "mobilenet.pth")
    encoder = MobileNetEncoder(frozen=True)
    encoder.features.load_state_dict(pretrained_mobilenet(str(tmp_path / "mobilenet.pth"), OPTION))
    image = torch.rand(2, 1, 64, 64)
    normalised = (image - encoder.mean) / encoder.std
    torch.testing.assert_close(encoder(image), network.features(normalised).mean(dim=(-2, -1)))


def test_slices_do_not_depend_on_their_batch_even_in_training():
    encoder = MobileNetEncoder(frozen=False).train()
    image = torch.rand(3, 1, 64, 64)
    torch.testing.assert_close(encoder(image)[:1], encoder(image[:1]), rtol=1e-4, atol=1e-5)
    assert encoder(image).std() > 1e-3  # and the signal gets through without pretrained statistics


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read (FileNotFoundError)"),
        *(
            (junk, "can't be read")
            for junk in (b"", b"no weights", b"hello\nworld", b"]X", b"\x80\x02", b"\x89HDF")
        ),
        ({"features.0.0.weight": torch.zeros(1)}, "must be of shape (32, 3, 3, 3), is (1,)"),
        (
            {"classifier.1.weight": torch.zeros(1)},
            "features.0.0.weight must be of shape (32, 3, 3, 3), is missing",
        ),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, content, message):
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ValueError) as error:
        pretrained_mobilenet(str(path), OPTION)
    assert str(error.value).startswith(f"{OPTION}: {path} ")
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_download_that_fails_says_what_to_do_instead(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    with pytest.raises(ValueError, match=r"set it to a local file of torchvision's mobilenet_v2.*or to none"):
        pretrained_mobilenet("imagenet", OPTION)
