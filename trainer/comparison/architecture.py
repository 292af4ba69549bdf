"""baseline.png, unet.png and their like: the architectures that runs hold, from their built networks."""

from pathlib import Path

from trainer.adversary import make_discriminator
from trainer.comparison.diagram import Diagram, draw_diagram
from trainer.comparison.diagram_cascade import cascade_diagram
from trainer.comparison.diagram_global import global_diagram
from trainer.comparison.diagram_pix2pix import pix2pix_diagram
from trainer.comparison.diagram_texture import texture_diagram
from trainer.comparison.diagram_unet import unet_diagram
from trainer.comparison.records import Record


def diagrams(record: Record) -> dict[str, Diagram]:
    """What a run's model holds, by figure; a generative one holds its baseline."""
    model, label = record.model, record.label
    if model.name == "adaptive_cs_net":
        return {"baseline": cascade_diagram(model, f"{label}: Adaptive-CS-Net")}
    if model.name == "generative":
        return {
            "baseline": cascade_diagram(model.baseline, f"{label}: baseline, Adaptive-CS-Net"),
            "generative": texture_diagram(model, f"{label}: texture added to the baseline"),
        }
    if model.name == "generative_global":
        title = f"{label}: one texture vector for the whole picture"
        return {"generative_global": global_diagram(model, title)}
    if model.name == "unet":
        return {"unet": unet_diagram(model, f"{label}: U-Net")}
    options = record.config.adversarial
    discriminator = make_discriminator(options) if options.weight else None
    return {"pix2pix": pix2pix_diagram(model, f"{label}: pix2pix", discriminator)}


def draw_architectures(records: list[Record], out: Path) -> list[Path]:
    """A picture of each kind, of the first run that has it."""
    found: dict[str, Diagram] = {}
    for record in records:
        found = diagrams(record) | found
    return [draw_diagram(out / f"{name}.png", diagram) for name, diagram in sorted(found.items())]
