"""What the figures decide, as lines of words for the report: law, trust, control, pairs, switches."""

from typing import Any

import numpy as np

from fastmri.spectrum import INVENTED
from trainer.comparison.paired import Difference, paired_words
from trainer.comparison.records import Record, Rows, method_rows
from trainer.report.ablations import MEASURES, SWITCHES, Ablation, Effect


def law(record: Record) -> dict[str, Any]:
    """Lines of acceleration, PSNR of one sample and of the mean, gain, the law's, and mean less baseline."""
    rows = method_rows(record)
    lines = []
    for row in record.results["posterior"]:
        r, count = row["acceleration"], max(row["psnr"], key=int)
        gap = row["psnr"][count] - rows["baseline"][r]["psnr"]["mean"] if "baseline" in rows else None
        lines.append([f"x{r}", f"{row['psnr']['1']:.2f}", f"{row['psnr'][count]:.2f}", f"{row['gap']:.2f}"])
        lines[-1] += [f"{row['law']:.2f}", "-" if gap is None else f"{gap:+.2f}"]
    loss = 10 * np.log10(1 + 1 / int(count))
    return {"label": record.label, "count": count, "loss": f"{loss:.2f}", "table": lines}


def trust_table(record: Record) -> list[list[str]]:
    """Lines of acceleration, volumes, coverage, width, bounds held, bound, PSNR; none if not calibrated."""
    return [
        [
            f"x{row['acceleration']}",
            str(row["volumes"]),
            f"{row['level']:.0%}",
            f"{row['coverage']['mean']:.1%}",
            f"{row['width']:.3f}",
            f"{row['psnr_bound_held']:.1%}",
            f"{row['psnr_bound']:.2f}",
            f"{row['psnr']:.2f}",
        ]
        for row in record.results.get("trust", [])
        if row["acquisition"] == "all"
    ]


def donor_table(records: list[Record]) -> list[list[str]]:
    """Lines of acceleration, the control's misfit and invented part, and whether it is found out."""
    rows = [row for record in records for row in method_rows(record).get("donor", {}).values()]
    return [
        [
            f"x{row['acceleration']}",
            f"{row['dc_residual']['mean']:.0e}",
            f"{row['hallucination']['mean']:.3f}",
            "yes" if row["hallucination"]["mean"] > INVENTED else "no",
        ]
        for row in rows
    ]


def difference_table(differences: list[Difference], method: str) -> list[list[str]]:
    """Lines of what a method is compared with, acceleration, volumes; mean, interval, p of PSNR and of SSIM.

    Without what is the method itself in another run.
    """
    lines, last = [], None
    for psnr, ssim in zip(differences[::2], differences[1::2], strict=True):
        if psnr.method != method or not psnr.result.mean:
            continue
        line = ["" if psnr.minus == last else psnr.minus, f"x{psnr.acceleration}", str(psnr.result.volumes)]
        last = psnr.minus
        lines.append([*line, *paired_words(psnr.result, ".2f"), *paired_words(ssim.result, ".3f")])
    return lines


def ablation_rows(reference: Record, ablations: list[Ablation]) -> Rows:
    """The samples' rows of the reference and of each run with a switch thrown."""
    found = {"as recommended": method_rows(reference)["sample"]}
    return found | {switch_words(each, reference): method_rows(each.record)["sample"] for each in ablations}


def switch_words(ablation: Ablation, reference: Record) -> str:
    return SWITCHES[ablation.option].words.format(before=getattr(reference.config.model, "tokens", ""))


def effects(ablations: list[Ablation]) -> dict[str, dict[str, Any]]:
    """By switch, each measure's difference and verdict in words."""
    return {
        each.option: {name: _words(name, effect) for name, effect in each.effects.items()}
        for each in ablations
    }


def _words(name: str, effect: Effect) -> dict[str, str]:
    span = "{:+.2f} to {:+.2f}".format(*effect.interval) if effect.interval else ""
    return {
        "measure": MEASURES[name],
        "mean": f"{effect.mean:+.2f}",
        "interval": span,
        "verdict": effect.verdict,
    }
