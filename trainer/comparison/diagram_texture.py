"""The generative model's diagram, from a built one."""

from itertools import pairwise

from torch import nn

from custom_nn.generative import OPPOSITE, Generative
from custom_nn.texture import MappingNetwork, ModulatedConv
from trainer.comparison.diagram import Arrow, Box, Diagram, Note, Port, chain, connect, joined
from trainer.comparison.press import WIDTH

PITCH = 0.94  # inches from scale to scale
TALL = 0.34
SIDE, FEATURES, SUM, DECODER, BUS, PICTURE = 0.72, 2.2, 3.35, 4.35, 5.27, 6.3  # centres of columns
STYLE = "#007A5A"  # lines of texture vectors
FLOOR = 0.95  # the row of texture vectors


def texture_diagram(model: Generative, title: str) -> Diagram:
    """The baseline above; features down, texture vectors below, the decoder up, and the texture added."""
    rows = [FLOOR + 0.75 + PITCH * k for k in reversed(range(len(model.features.enter)))]  # finest first
    height = rows[0] + (2.6 if model.gains is None else 2.9)
    page = Diagram(title, WIDTH, height)
    features = _features(model, rows)
    pictures = _pictures(model, rows)
    return joined(
        page,
        Diagram(boxes=features),
        _condition(model, features, height - 0.55),
        _decoder(model, rows, features, pictures),
        _added(model, pictures[0], height - 0.55),
        _vectors(model, features[-1]),
    )


def _features(model: Generative, rows: list[float]) -> list[Box]:
    """The condition's features, finest first."""
    levels = zip(model.features.enter, model.features.stay, rows, strict=True)
    return [
        Box(
            FEATURES,
            y,
            1.0,
            TALL,
            f"2 × conv 3×3, to\nunit size, {enter.in_channels} → {stay.out_channels}",
            "conv",
        )
        for enter, stay, y in levels
    ]


def _condition(model: Generative, features: list[Box], top: float) -> Diagram:
    """From k-space to what the features are made of, and down their scales."""
    count = len(model.baseline.blocks)
    state = "frozen" if model.frozen else "trained too"
    kspace = Box(SIDE, top, 1.0, TALL, "masked k-space", "data")
    baseline = Box(FEATURES, top, 1.1, TALL, f"baseline, {state}\n{count} blocks", "conv")
    mean = Box(FEATURES + 1.3, top, 0.7, TALL, "baseline's\nimage", "data")
    zero = Box(SIDE, top - 0.7, 1.0, TALL, "zero-filled,\nsampling density", "physics")
    channels = model.features.enter[0].in_channels
    text = f"turned by the smooth\nphase, joined: {channels}"
    together = Box(FEATURES, top - 0.7, 1.3, TALL, text, "physics")
    bend = [mean.bottom, (mean.x, together.y), together.right]
    arrows = [*chain(kspace, baseline, mean), connect(kspace, zero), connect(zero, together), Arrow(bend)]
    arrows += chain(together, *features)
    notes = [Note(FEATURES + 0.06, (a.y + b.y) / 2, "mean of 2×2", "left", 6) for a, b in pairwise(features)]
    return Diagram(boxes=[kspace, baseline, mean, zero, together], arrows=arrows, notes=notes)


def _pictures(model: Generative, rows: list[float]) -> list[Box]:
    """A picture of each scale, finest first."""
    levels = zip(reversed(model.decoder.pictures), reversed(model.decoder.strengths), rows, strict=True)
    return [
        Box(
            PICTURE,
            y,
            1.4,
            TALL,
            f"picture {_arrow(picture)}, times\nunit, strengths 2 × {_arrow(strength)}",
            "conv",
        )
        for picture, strength, y in levels
    ]


def _arrow(layer: nn.Conv2d) -> str:
    return f"{layer.in_channels} → {layer.out_channels}"


def _decoder(model: Generative, rows: list[float], features: list[Box], pictures: list[Box]) -> Diagram:
    """Modulated convolutions from the coarsest scale up, and the pictures of each scale added."""
    decoder = model.decoder
    bottom = _modulated(decoder.bottom, rows[-1], "")
    boxes, arrows = [bottom], [connect(features[-1], bottom), connect(bottom, pictures[-1])]
    below = bottom
    finer = zip(decoder.ascend, decoder.refine, reversed(rows[:-1]), reversed(features[:-1]), strict=True)
    for scale, (ascend, refine, y, skip) in enumerate(finer):
        up, total = _modulated(ascend, y - PITCH / 2, ", up ×2"), Box(SUM, y, 0.22, 0.22, "+", "data")
        stay = _modulated(refine, y, "")
        picture = pictures[-2 - scale]
        arrows += [connect(below, up), Arrow([up.left, (SUM, up.y), total.bottom]), connect(skip, total)]
        arrows += [connect(total, stay), connect(stay, picture), connect(pictures[-1 - scale], picture)]
        boxes += [up, total, stay]
        below = stay
    notes = [Note(PICTURE + 0.06, (a.y + b.y) / 2, "up ×2, added", "left", 6) for a, b in pairwise(pictures)]
    notes += [Note(SUM, y + 0.18, "to unit size", size=6) for y in rows[:-1]]
    words = "strengths: of both columns' features; of all\nplaces: of density, and of octaves' levels"
    notes.append(Note(PICTURE, rows[-1] - 0.32, words, size=6))
    convs = [box for box in boxes if box.kind == "modulated"]
    attends = decoder.bottom.attend.query is not None
    ports = [Port(box.left[0], box.top[1], "ε", "noise") for box in pictures]
    drawn = Diagram(boxes=[*boxes, *pictures], arrows=arrows, notes=notes, ports=ports)
    return joined(drawn, _ports(convs, attends))


def _modulated(layer: ModulatedConv, y: float, more: str) -> Box:
    size = "×".join(map(str, layer.conv.kernel_size))
    return Box(DECODER, y, 1.36, TALL, f"modulated conv {size}{more}\n{_arrow(layer.conv)}", "modulated")


def _ports(convs: list[Box], attends: bool) -> Diagram:
    """Noise and texture vectors enter every modulated convolution; the latter by attention, where it is."""
    ports = [Port(box.left[0], box.top[1], "ε", "noise") for box in convs]
    entries = [(box.right[0], box.y - 0.1) for box in convs]
    arrows = [Arrow([(BUS, y), (x, y)], color=STYLE) for x, y in entries]
    if attends:
        ports += [Port(x, y, "A", "attention") for x, y in entries]
        arrows = [Arrow([(BUS, y), (x, y)], plain=True, color=STYLE) for x, y in entries]
    arrows.append(
        Arrow([(BUS, FLOOR + TALL / 2), (BUS, max(y for _, y in entries))], plain=True, color=STYLE)
    )
    return Diagram(arrows=arrows, ports=ports)


def _added(model: Generative, picture: Box, top: float) -> Diagram:
    """What becomes of the texture, and its sum with the baseline's image."""
    texts = [("two draws, mixed by band", "gains")] * (model.gains is not None)
    texts += [(f"opposite to the phase: × {OPPOSITE:g}", "physics"), ("turned back by the phase", "physics")]
    texts += [("null space of the measurement", "physics")] * model.hard_projection
    if model.gains is not None and model.redraws:
        texts += [(f"drawn again from its columns × {model.redraws}", "gains")]
    texts += [(f"× amplitude {model.amplitude:g}", "physics")]
    gap = (top - picture.y) / (len(texts) + 1)
    steps = [
        Box(PICTURE, picture.y + gap * (k + 1), 1.5, 0.26, text, kind) for k, (text, kind) in enumerate(texts)
    ]
    total = Box(PICTURE - 0.55, top, 0.22, 0.22, "+", "data")
    sample = Box(PICTURE + 0.4, top, 0.8, TALL, "a sample", "data")
    mean = FEATURES + 1.65
    arrows = [*chain(picture, *steps), Arrow([(mean, top), total.left]), connect(total, sample)]
    arrows.append(Arrow([(total.x, steps[-1].top[1]), total.bottom]))
    return Diagram(boxes=[*steps, total, sample], arrows=arrows)


def _vectors(model: Generative, coarsest: Box) -> Diagram:
    """Prior, latent, mapping network and the set of texture vectors; the proxy that guides in training."""
    tokens, latent = model.latent_shape
    text = f"prior, linear\n{model.prior.in_features} → {model.prior.out_features}"
    prior = Box(FEATURES, FLOOR, 1.05, TALL, text, "style")
    z = Box(FEATURES + 1.12, FLOOR, 0.72, TALL, f"latent\n{tokens} × {latent}", "data")
    mapping = mapping_box(model.mapping, FEATURES + 2.2, FLOOR)
    text = f"texture vectors\n{tokens} × {model.mapping.layers[-1].out_features}"
    vectors = Box(BUS + 0.45, FLOOR, 1.1, TALL, text, "style")
    fork = FLOOR + 0.36
    summary = Arrow([(FEATURES, fork), (mapping.x, fork), mapping.top])
    arrows = [connect(coarsest, prior), summary, *chain(prior, z, mapping, vectors)]
    note = Note(FEATURES + 0.06, fork + 0.08, "mean over places", "left", 6)
    port = Port(z.left[0], z.top[1], "ε", "noise")
    found = Diagram(boxes=[prior, z, mapping, vectors], arrows=arrows, ports=[port], notes=[note])
    return joined(found, _proxy(model, z))


def _proxy(model: Generative, z: Box) -> Diagram:
    """What the truth tells the latent in training."""
    seen = f"truth, unmeasured and\nabove {model.high_pass:g} cycles/pixel" if model.high_pass else "truth"
    truth = Box(SIDE, FLOOR + 0.75, 1.15, TALL, seen, "training")
    proxy, low = Box(SIDE, FLOOR, 1.0, TALL, "proxy network", "training"), FLOOR - 0.3
    bend = Arrow([proxy.bottom, (proxy.x, low), (z.x, low), z.bottom], dashed=True)
    note = Note((SIDE + z.x) / 2, low - 0.09, "in training, the posterior of the latent", size=6)
    return Diagram(boxes=[truth, proxy], arrows=[connect(truth, proxy), bend], notes=[note])


def mapping_box(mapping: MappingNetwork, x: float, y: float) -> Box:
    """Its tokens and the widths of its layers."""
    tokens, _ = mapping.tokens.shape
    layers = [mapping.layers[0].in_features, *(layer.out_features for layer in mapping.layers)]
    text = f"{tokens} token{'s' * (tokens > 1)}, mapping\n{' → '.join(map(str, layers))}"
    return Box(x, y, 1.18, TALL, text, "style")
