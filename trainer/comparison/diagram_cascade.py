"""The cascade's diagram, from a built Adaptive-CS-Net."""

from itertools import pairwise

from torch import nn

from custom_nn.adaptive_cs_net import AdaptiveCSNet, Block
from custom_nn.transform import ThresholdedTransform
from trainer.comparison.diagram import Arrow, Box, Diagram, Note, Port, chain, connect, joined
from trainer.comparison.press import WIDTH

SHOWN = 7  # blocks; of more, the first and the last
PITCH = 0.72  # inches from scale to scale
TALL = 0.34
INPUTS, CONV, NORM, SOFT, SUM, OUT = 0.82, 2.32, 3.5, 4.5, 5.5, 6.62  # centres of columns


def cascade_diagram(
    model: AdaptiveCSNet, title: str, styled: str | None = None, below: float = 0.0
) -> Diagram:
    """Overview of the blocks above one block; `styled` names what modulates it, `below` leaves room."""
    block = _block(model.blocks[0], 0.0, styled)
    floor, low = 0.42 + below, min(box.bottom[1] for box in block.boxes)
    row0 = floor + 0.15 - low
    height = row0 + 1.4
    page = Diagram(title, WIDTH, height)
    page = joined(page, _overview(model, height - 0.5), _block(model.blocks[0], row0, styled))
    text = "one block, with LeakyReLU after each convolution but the last"
    frame = Box(WIDTH / 2, (floor + row0 + 0.45) / 2, WIDTH - 0.1, row0 + 0.45 - floor, text, "data")
    return page._replace(frames=[frame])


def _overview(model: AdaptiveCSNet, y: float) -> Diagram:
    """k-space, zero-filled image, block after block, data consistency, image."""
    slices = model.blocks[0].transform.output.out_channels // 2
    ends = ["measured samples\nput back", "image"] if model.data_consistency else ["image"]
    starts = [Box(0.55, y, 0.9, TALL, f"k-space of\n{slices} slice{'s' * (slices > 1)}", "data")]
    starts.append(Box(1.58, y, 0.8, TALL, "zero-filled\nimage", "physics"))
    widths = [0.98, 0.5][-len(ends) :]
    last: list[Box] = []
    right = WIDTH - 0.1
    for text, width in zip(reversed(ends), reversed(widths), strict=True):
        last.insert(0, Box(right - width / 2, y, width, TALL, text, "physics" if "put" in text else "data"))
        right -= width + 0.2
    names = [str(k + 1) for k in range(len(model.blocks))]
    if len(names) > SHOWN:
        names = [*names[: SHOWN - 3], "…", *names[-2:]]
    left = 2.18
    step = (right - left + 0.14) / len(names)
    blocks = [
        Box(
            left + step * k + (step - 0.14) / 2, y, step - 0.14, TALL, name, "data" if name == "…" else "conv"
        )
        for k, name in enumerate(names)
    ]
    steps = sum(block.step is not None for block in model.blocks)
    count = sum(parameter.numel() for parameter in model.parameters())  # frozen ones too
    text = (
        f"{len(model.blocks)} blocks, no weights shared, {steps} with a gradient step; {count:,} parameters"
    )
    boxes = [*starts, *blocks, *last]
    note = Note((left + right) / 2, y - 0.28, text)
    return Diagram(boxes=boxes, arrows=chain(*boxes), notes=[note])


def _block(block: Block, row0: float, styled: str | None) -> Diagram:
    """Inputs, transform, and how its update changes the image."""
    transform = block.transform
    together, inputs = _inputs(block, row0)
    scales, first, last = _scales(transform, row0, styled)
    output = transform.output
    conv = Box(OUT, row0, 0.98, TALL, f"conv 3×3\n{output.in_channels} → {output.out_channels}", "conv")
    ends = [conv]
    if block.phase_prior == "frame":
        ends.append(Box(OUT, row0 - PITCH, 0.98, TALL, "turned back by\nthe smooth phase", "physics"))
    formula = "x − η e + update" if block.step is not None else "x + update"
    ends.append(Box(OUT, row0 - PITCH * len(ends), 0.98, TALL, formula, "physics"))
    arrows = [connect(together, first), connect(last, conv), *chain(*ends)]
    return joined(inputs, scales, Diagram(boxes=ends, arrows=arrows))


def _inputs(block: Block, row0: float) -> tuple[Box, Diagram]:
    """What the transform is told, joined into channels."""
    channels = block.transform.analysis[0].in_channels
    texts = ["image x", "data residual e"]
    texts += ["part out of phase"] * (block.phase_prior == "input")
    texts += ["x in the air"] * block.background_prior
    turned = "turned by the smooth\nphase, " if block.phase_prior == "frame" else ""
    together = Box(INPUTS, row0, 1.34, TALL, f"{turned}joined: {channels}", "physics")
    pitch = 0.34
    images = [
        Box(INPUTS - 0.14, row0 - 0.47 - pitch * k, 1.06, 0.24, text, "physics")
        for k, text in enumerate([*texts, "sampling density"])
    ]
    bus = INPUTS + 0.55
    arrows = [Arrow([box.right, (bus, box.y)], plain=True) for box in images]
    arrows.append(Arrow([(bus, images[-1].y), (bus, together.bottom[1])]))
    return together, Diagram(boxes=[together, *images], arrows=arrows)


def _scales(transform: ThresholdedTransform, row0: float, styled: str | None) -> tuple[Diagram, Box, Box]:
    """Analysis down, thresholded skips across, synthesis up; with the first and the last box."""
    boxes, arrows, ports, notes, convs, ends = [], [], [], [], [], []
    scales = zip(transform.analysis, transform.norms, transform.thresholds, strict=True)
    for scale, (conv, norm, soft) in enumerate(scales):
        y = row0 - PITCH * scale
        channels = len(soft.threshold)
        row = [_conv(CONV, y, conv)]
        text = styled or ("instance norm" if [*norm.parameters()] else "")
        if text:
            row.append(Box(NORM, y, 0.8, TALL, f"{text}\n{channels}", "style" if styled else "norm"))
        row.append(Box(SOFT, y, 0.8, TALL, f"soft threshold\n{channels}", "threshold"))
        if styled:
            ports.append(Port(NORM - 0.4, y + TALL / 2, "ε", "noise"))
        boxes += row
        arrows += chain(*row)
        convs.append(row[0])
        ends.append(row[-1])
    arrows += [connect(a, b) for a, b in pairwise(convs)]
    notes += [Note(CONV + 0.06, (a.y + b.y) / 2, "mean of 2×2", "left", 6) for a, b in pairwise(convs)]
    sums = [Box(SUM, end.y, 0.22, 0.22, "+", "data") for end in ends[:-1]]
    arrows += [connect(end, total) for end, total in zip(ends, sums, strict=False)]
    start = ends[-1]
    for conv, total in zip(transform.synthesis, reversed(sums), strict=True):
        up = _conv(SUM, total.y - PITCH / 2, conv, "up ×2")
        boxes.append(up)
        if start is ends[-1]:
            arrows.append(Arrow([start.right, (SUM, start.y), up.bottom]))
        else:
            arrows.append(connect(start, up))
        arrows.append(connect(up, total))
        start = total
    return Diagram("", 0, 0, [*boxes, *sums], arrows, ports, notes), convs[0], start


def _conv(x: float, y: float, conv: nn.Conv2d, more: str = "") -> Box:
    size = "×".join(map(str, conv.kernel_size))
    words = [f"conv {size}", f"{conv.in_channels} → {conv.out_channels}"]
    text = "\n".join(words) if not more else f"conv {size}, {more}\n{words[1]}"
    return Box(x, y, 0.95, TALL, text, "conv")
