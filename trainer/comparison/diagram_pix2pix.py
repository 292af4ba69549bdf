"""pix2pix's diagram, from a built one: the U-Net, what scales its output up, and its discriminator."""

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from custom_nn.discriminator import PatchDiscriminator
from custom_nn.pix2pix import Enlarge, Pix2Pix
from trainer.comparison.diagram import Arrow, Box, Diagram, chain, joined
from trainer.comparison.diagram_unet import (
    FLOOR,
    TALL,
    first_boxes,
    kernel,
    last_boxes,
    network_box,
    over,
    parameters,
    plus,
    spread,
    unet_frame,
)
from trainer.comparison.press import WIDTH

SHOWN = 7  # convolutions in a row; of more, the first and the last
FRAME = 0.78  # inches, of a frame of one row


def pix2pix_diagram(model: Pix2Pix, title: str, discriminator: PatchDiscriminator | None) -> Diagram:
    """From k-space to the image above; below, its networks, each in a frame."""
    floor, parts = FLOOR, []
    if discriminator is not None:
        parts.append(_discriminator(discriminator, floor))
        floor += FRAME + 0.08
    if model.enlarge is not None:
        parts.append(_enlarge(model.enlarge, floor))
        floor += FRAME + 0.08
    parts.append(unet_frame(model.unet, floor))
    y = parts[-1].height + (1.0 if model.enlarge is not None else 0.5)
    return joined(Diagram(title, WIDTH, y + 0.6), _overview(model, y), *parts)


def _overview(model: Pix2Pix, y: float) -> Diagram:
    """The U-Net at a lower resolution, and its output at the full one with detail of its own."""
    kspace, zero = first_boxes(model.unet)
    boxes, ratio = [kspace, zero], model.downsample
    if model.enlarge is not None:
        boxes.append(Box(0, 0, 0.92, TALL, f"k-space's centre,\n1/{ratio} of each side", "physics"))
    boxes += [network_box(model.unet), plus()]
    middle = len(boxes) - 1
    if model.enlarge is not None:
        boxes += [Box(0, 0, 0.92, TALL, f"k-space padded:\n×{ratio} on each side", "physics"), plus()]
    boxes = spread([*boxes, *last_boxes(model.data_consistency)], y)
    found = Diagram(boxes=boxes, arrows=[*chain(*boxes), over(boxes[middle - 2], boxes[middle])])
    return joined(found, _branch(model.enlarge, boxes[middle : middle + 3])) if model.enlarge else found


def _branch(enlarge: Enlarge, between: list[Box]) -> Diagram:
    """The super-resolution stage below what it adds to."""
    start, beside, end = between
    text = f"super-resolution\n{parameters(enlarge)} parameters"
    box = Box(beside.x, beside.y - 0.55, 1.02, TALL, text, "conv")
    arrows = [Arrow([start.bottom, (start.x, box.y), box.left])]
    return Diagram(boxes=[box], arrows=[*arrows, Arrow([box.right, (end.x, box.y), end.bottom])])


def _enlarge(enlarge: Enlarge, floor: float) -> Diagram:
    """Convolutions, each after a doubling but the first and the last."""
    boxes = [_conv(enlarge.enter, "", "conv")]
    boxes += [_conv(stage, ", up ×2", "conv") for stage in enlarge.stages]
    boxes.append(_conv(enlarge.output, "", "conv"))
    start = Box(0, 0, 0.95, TALL, "sum of U-Net\nand its input", "data")
    end = Box(0, 0, 0.95, TALL, "detail, cropped\nto the size", "physics")
    text = "super-resolution, with LeakyReLU after each convolution but the last"
    return _row([start, *boxes, end], floor, text)


def _discriminator(discriminator: PatchDiscriminator, floor: float) -> Diagram:
    """Strided convolutions to a map of logits."""
    layers = [layer for layer in discriminator.layers if isinstance(layer, nn.Conv2d)]
    shown = [
        _conv(layer, f", step {layer.stride[0]}" * (layer.stride[0] > 1), "training") for layer in layers
    ]
    if len(shown) > SHOWN:
        dots = Box(0, 0, 0.25, TALL, "…", "training")
        shown = [*shown[: SHOWN - 3], dots, *shown[-2:]]
    text = f"image or truth, and\nzero-filled: {layers[0].in_channels}"
    start = Box(0, 0, 1.0, TALL, text, "data")
    side = _seen(layers)
    end = Box(0, 0, 0.85, TALL, f"logit of each\n{side}×{side} patch", "data")
    words = "conditional discriminator, in training alone, with LeakyReLU"
    words += " and spectral norm" * is_parametrized(layers[0])
    return _row([start, *shown, end], floor, f"{words}; {parameters(discriminator)} parameters")


def _seen(layers: list[nn.Conv2d]) -> int:
    """Side of the patch, in pixels, that one output depends on."""
    side = 1
    for layer in reversed(layers):
        side = (side - 1) * layer.stride[0] + layer.kernel_size[0]
    return side


def _conv(layer: nn.Conv2d, more: str, kind: str) -> Box:
    text = f"conv {kernel(layer)}{more}\n{layer.in_channels} → {layer.out_channels}"
    return Box(0, 0, 0.84, TALL, text, kind)


def _row(boxes: list[Box], floor: float, text: str) -> Diagram:
    """Boxes in a frame of one row that stands on a floor; narrower where there are many."""
    room = WIDTH - 0.34 - 0.12 * (len(boxes) - 1)
    part = min(1.0, room / sum(box.width for box in boxes))
    narrow = [box._replace(width=box.width * part) for box in boxes]
    inner = spread(narrow, floor + 0.27)
    frame = Box(WIDTH / 2, floor + FRAME / 2, WIDTH - 0.1, FRAME, text, "data")
    return Diagram(height=floor + FRAME, boxes=inner, arrows=chain(*inner), frames=[frame])
