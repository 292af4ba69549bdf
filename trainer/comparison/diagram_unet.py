"""The U-Net's diagram, from a built one."""

import math
from itertools import pairwise

from torch import nn

from custom_nn.unet import ConvBlock, PlainNorm, UNet
from trainer.comparison.diagram import Arrow, Box, Diagram, Note, chain, connect, joined
from trainer.comparison.press import WIDTH

PITCH = 0.84  # inches from scale to scale
TALL = 0.34
FLOOR = 0.3  # of the lowest frame: the legend is below
SIDE, DOWN, JOIN, MERGE, OUT = 0.78, 2.2, 3.6, 5.0, 6.4  # centres of columns


def unet_diagram(model: UNet, title: str) -> Diagram:
    """From k-space to the image above, the network below."""
    body = unet_frame(model, FLOOR)
    y = body.height + 0.5
    boxes = [*first_boxes(model), network_box(model), plus(), *last_boxes(model.data_consistency)]
    boxes = spread(boxes, y)
    page = Diagram(title, WIDTH, y + 0.6, boxes=boxes, arrows=[*chain(*boxes), over(boxes[1], boxes[3])])
    return joined(page, body)


def spread(boxes: list[Box], y: float) -> list[Box]:
    """The boxes in a row over the page's width, with gaps between that are all the same."""
    gap = (WIDTH - 0.24 - sum(box.width for box in boxes)) / max(len(boxes) - 1, 1)
    placed, left = [], 0.12
    for box in boxes:
        placed.append(box._replace(x=left + box.width / 2, y=y))
        left += box.width + gap
    return placed


def first_boxes(unet: UNet) -> list[Box]:
    """What is measured, and the image of it; to be placed."""
    slices = convolutions(unet.down[0])[0].in_channels // 2
    text = f"k-space of\n{slices} slice{'s' * (slices > 1)}"
    return [Box(0, 0, 0.72, TALL, text, "data"), Box(0, 0, 0.72, TALL, "zero-filled\nimage", "physics")]


def last_boxes(data_consistency: bool) -> list[Box]:
    """The image, its measured samples put back where the model does so; to be placed."""
    back = [Box(0, 0, 1.0, TALL, "measured samples\nput back", "physics")] * data_consistency
    return [*back, Box(0, 0, 0.5, TALL, "image", "data")]


def network_box(unet: UNet) -> Box:
    """The U-Net as one box, to be placed."""
    return Box(0, 0, 1.1, TALL, f"U-Net, {parameters(unet)}\nparameters", "conv")


def plus() -> Box:
    """A sum, to be placed."""
    return Box(0, 0, 0.22, 0.22, "+", "data")


def over(start: Box, end: Box) -> Arrow:
    """A detour above what lies between, from one box to another of the same row."""
    y = start.top[1] + 0.13
    return Arrow([start.top, (start.x, y), (end.x, y), end.top])


def parameters(module: nn.Module) -> str:
    """How many numbers are learned."""
    return f"{sum(parameter.numel() for parameter in module.parameters()):,}"


def unet_frame(unet: UNet, floor: float) -> Diagram:
    """The network in a frame that stands on a floor; the height is that of the frame's upper border."""
    rows = [floor + 0.3 + PITCH * k for k in reversed(range(len(unet.down)))]  # finest first
    top = rows[0] + 0.48
    text = f"U-Net, with {_words(unet.down[0])} after each 3×3 convolution"
    frame = Box(WIDTH / 2, (floor + top) / 2, WIDTH - 0.1, top - floor, text, "data")
    down = [_block(DOWN, y, block) for y, block in zip(rows, unet.down, strict=True)]
    merge = [_block(MERGE, y, block) for y, block in zip(rows[-2::-1], unet.merge, strict=True)]
    boxes = Diagram(height=top, frames=[frame], boxes=[*down, *merge])
    return joined(boxes, _contract(unet, down), _expand(unet, down, merge), _ends(unet, down[0], merge[-1]))


def _words(block: ConvBlock) -> str:
    """What follows each convolution of a block."""
    names = {PlainNorm: "instance norm", nn.LeakyReLU: "LeakyReLU", nn.Dropout2d: "dropout"}
    found = [names[type(layer)] for layer in block if type(layer) in names]
    dropped = [layer.p for layer in block if isinstance(layer, nn.Dropout2d)]
    words = [name for name in dict.fromkeys(found) if name != "dropout"]
    return " and ".join([*words, *[f"dropout of {p:g}" for p in set(dropped) if p]])


def _block(x: float, y: float, block: ConvBlock) -> Box:
    """The convolutions of a block, which are alike but for the first one's inputs."""
    convs = convolutions(block)
    text = f"{len(convs)} × conv {kernel(convs[0])}\n{convs[0].in_channels} → {convs[-1].out_channels}"
    return Box(x, y, 1.0, TALL, text, "conv")


def convolutions(block: nn.Sequential) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    """Those of a block, in order."""
    return [layer for layer in block if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]


def kernel(layer: nn.Conv2d | nn.ConvTranspose2d) -> str:
    """Its size as people write it."""
    return "×".join(map(str, layer.kernel_size))


def _contract(unet: UNet, down: list[Box]) -> Diagram:
    """From scale to scale; each row tells its part of the input's size."""
    arrows = [connect(a, b) for a, b in pairwise(down)]
    notes = [Note(DOWN + 0.06, (a.y + b.y) / 2, "mean of 2×2", "left", 6) for a, b in pairwise(down)]
    steps = [convolutions(up)[0].stride[0] for up in unet.up]  # coarsest first
    sizes = [math.prod(steps[len(steps) - level :]) for level in range(1, len(down))]
    notes += [
        Note(box.left[0] - 0.08, box.y, f"1/{size} of the size", "right", 6)
        for box, size in zip(down[1:], sizes, strict=True)
    ]
    return Diagram(arrows=arrows, notes=notes)


def _expand(unet: UNet, down: list[Box], merge: list[Box]) -> Diagram:
    """Transposed convolutions up, joined with what was there on the way down; `merge` is coarsest first."""
    below = down[-1]
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    for rise, skip, stay, block in zip(unet.up, down[-2::-1], merge, unet.merge, strict=True):
        (layer,) = convolutions(rise)
        text = f"conv {kernel(layer)}, up ×{layer.stride[0]}\n{layer.in_channels} → {layer.out_channels}"
        up = Box(JOIN, skip.y - PITCH / 2, 1.0, TALL, text, "conv")
        total = Box(JOIN, skip.y, 0.66, 0.22, f"joined: {convolutions(block)[0].in_channels}", "data")
        if below is down[-1]:
            arrows.append(Arrow([below.right, (JOIN, below.y), up.bottom]))
        else:
            arrows.append(Arrow([below.top, (below.x, up.y), up.right]))
        arrows += [connect(up, total), connect(skip, total), connect(total, stay)]
        boxes += [up, total]
        below = stay
    return Diagram(boxes=boxes, arrows=arrows)


def _ends(unet: UNet, first: Box, last: Box) -> Diagram:
    """What enters and what leaves the network."""
    channels, layer = convolutions(unet.down[0])[0].in_channels, unet.output
    before = Box(SIDE, first.y, 1.16, TALL, f"channels over their\nstandard deviation: {channels}", "physics")
    text = f"conv {kernel(layer)}\n{layer.in_channels} → {layer.out_channels}"
    output = Box(OUT, last.y, 0.9, TALL, text, "conv")
    after = Box(OUT, last.y - 0.6, 1.16, TALL, "times the standard\ndeviation", "physics")
    boxes = [before, output, after]
    arrows = [connect(before, first), connect(last, output), connect(output, after)]
    return Diagram(boxes=boxes, arrows=arrows)
