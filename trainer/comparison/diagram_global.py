"""The diagram of the generative model with one texture vector, from a built one."""

from custom_nn.generative_global import GenerativeGlobal
from trainer.comparison.diagram import Arrow, Box, Diagram, Note, Port, chain, joined
from trainer.comparison.diagram_cascade import TALL, cascade_diagram
from trainer.comparison.diagram_texture import STYLE, mapping_box


def global_diagram(model: GenerativeGlobal, title: str) -> Diagram:
    """The cascade, and below it the one vector that modulates all of it."""
    page = cascade_diagram(model.cascade, title, styled="AdaIN", below=0.7)
    y = 0.72
    latent = model.head.out_features // 2
    image = Box(0.62, y, 0.95, TALL, "zero-filled\nmagnitude", "physics")
    encoder = Box(1.85, y, 0.95, TALL, f"MobileNetV2\n1 → {model.head.in_features}", "conv")
    head = Box(3.08, y, 0.95, TALL, f"linear\n{model.head.in_features} → {model.head.out_features}", "style")
    z = Box(4.15, y, 0.7, TALL, f"latent\n{latent}", "data")
    mapping = mapping_box(model.mapping, 5.3, y)
    vector = Box(6.55, y, 0.9, TALL, f"texture vector\n{model.mapping.layers[-1].out_features}", "style")
    norms = [box for box in page.boxes if box.text.startswith("AdaIN")]
    bus, turn = norms[0].left[0] - 0.12, y + 0.35
    lines = [
        Arrow([vector.top, (vector.x, turn), (bus, turn), (bus, norms[0].y - 0.1)], plain=True, color=STYLE)
    ]
    lines += [Arrow([(bus, box.y - 0.1), (box.left[0], box.y - 0.1)], color=STYLE) for box in norms]
    boxes = [image, encoder, head, z, mapping, vector]
    port, note = (
        Port(z.left[0], z.top[1], "ε", "noise"),
        Note(z.x, y - 0.24, "its mean in evaluation", size=6),
    )
    return joined(page, Diagram(boxes=boxes, arrows=[*chain(*boxes), *lines], ports=[port], notes=[note]))
