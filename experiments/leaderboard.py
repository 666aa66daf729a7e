"""Write LEADERBOARD.md: every packaged model and classical method on LOL's eval15 and on the packaged samples.

    python experiments/leaderboard.py --data data

``--model FILE`` adds models that are not packaged. Below the line stand figures that others published.
"""

import argparse
import datetime
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

from lowlight_cli.core.evaluating import evaluation, results, summary
from lowlight_cli.settings import MODELS, Baseline, EvaluateSettings

BOARD = Path(__file__).with_name("LEADERBOARD.md")


class Published(NamedTuple):
    """Figures on eval15 as others give them, 8-bit RGB, without GT mean."""

    system: str
    psnr: str
    ssim: str
    lpips: str
    parameters: str


PUBLISHED = (
    Published("RetinexNet (Wei et al., BMVC 2018), authors' weights", "16.77", ".42–.46", ".474", "0.445 M"),
    Published("RetinexNet retrained, L1, patch 96", "18.26", ".595", ".442", "0.445 M"),
    Published("RetinexNet retrained, L1 + SSIM", "19.11", ".763", ".206", "0.445 M"),
    Published("the same + BM3D", "19.13", ".777", ".195", "0.445 M"),
    Published("RetinexNet-SKF (Wu et al., CVPR 2023)", "20.42", ".711", ".216", "larger"),
    Published("LYT-Net (Brateanu et al., 2024)", "22.38", ".826", "–", "0.045 M"),
    Published("CPGA-Net+ (Weng et al., 2024)", "22.53", ".812", ".205", "0.020–0.060 M"),
    Published("Multinex (CVPR 2026)", "23.19", ".843", ".129", "0.045 M"),
    Published("IAT (Cui et al., BMVC 2022)", "23.38", ".809", "–", "0.09 M"),
    Published("HVI-CIDNet (Yan et al., CVPR 2025)", "23.81", ".857", ".086", "1.88 M"),
    Published("MIRNet (Zamir et al., ECCV 2020)", "24.14", ".830", "–", "31.8 M"),
    Published("Retinexformer (Cai et al., ICCV 2023)", "25.16", ".845", "–", "1.61 M"),
)


class Other(NamedTuple):
    """What we measured of another system's published weights: eval15, 8-bit RGB; milliseconds of a forward pass."""

    system: str
    psnr: float
    ssim: float
    ssim_gray: float
    psnr_gt_mean: float
    ms: int
    parameters: int


OTHERS = (
    Other("LYT-Net", 24.13, 0.844, 0.894, 28.15, 992, 44_923),
    Other("IAT", 23.38, 0.808, 0.869, 25.27, 2314, 91_154),
    Other("CPGA-Net+", 22.55, 0.815, 0.878, 25.24, 7734, 60_378),
    Other("CPGA-Net++", 22.24, 0.836, 0.896, 25.71, 1714, 62_304),
    Other("FLOL+", 21.07, 0.817, 0.876, 24.68, 153, 94_518),
    Other("URetinex-Net", 19.84, 0.826, 0.878, 24.67, 2735, 340_105),
    Other("PairLIE", 19.51, 0.736, 0.798, 23.17, 1668, 341_767),
    Other("RUAS", 16.40, 0.500, 0.705, 18.65, 148, 3_438),
    Other("Zero-DCE", 14.86, 0.559, 0.665, 21.06, 346, 79_416),
    Other("SCI", 14.78, 0.522, 0.617, 18.97, 6, 258),
)
OTHERS_TOLD = (
    "PSNR and SSIM of other systems' published weights, measured in the same way on 2026-11-23; ms is the median of"
    " 5 bare forward passes at 400x600, fp32, two CPU cores, torch 2.15, Zero-DCE's with denormals flushed. LYT-Net"
    " was run through a port of ours, with a third party's copy of its weights; its paper has 22.38 dB / .826. "
    "FLOL+'s training data may overlap eval15. Which checkpoint to publish was its authors' choice in each case."
)


def others_table() -> summary.Table:
    """The other systems' figures."""
    header = ["system", "PSNR dB ↑", "SSIM RGB ↑", "SSIM gray ↑", "PSNR dB GT-mean ↑", "ms ↓", "parameters"]
    lines = [
        [
            one.system,
            f"{one.psnr:.2f}",
            *(f"{similarity:.3f}" for similarity in (one.ssim, one.ssim_gray)),
            f"{one.psnr_gt_mean:.2f}",
            str(one.ms),
            f"{one.parameters:,}",
        ]
        for one in OTHERS
    ]
    return summary.Table(header, lines)


def measured(settings: EvaluateSettings) -> results.Report:
    """Run an evaluation, saying how far it is."""
    for event in evaluation.run(settings):
        if isinstance(event, evaluation.Finished):
            return event.report
        if sys.stderr.isatty():
            print(f"\r{settings.dataset}: {event.done} of {event.total}  ", end="", file=sys.stderr)
    raise AssertionError("an evaluation ends with its report")


def sorted_table(report: results.Report) -> summary.Table:
    """The summary, the best PSNR first; the truth, which has none, last."""
    found = sorted(report.results, key=lambda result: -result.mean().get("psnr", -1))
    return summary.summary(replace(report, results=found))


def with_published(table: summary.Table) -> summary.Table:
    """The table with the published figures below a line."""
    header, lines = list(table.header), list(table.lines)
    lines.append(["*published by others*", *[""] * (len(header) - 1)])
    for one in PUBLISHED:
        known = {
            header[0]: one.system,
            results.FIGURES["psnr"].label: one.psnr,
            results.FIGURES["ssim"].label: one.ssim,
            results.FIGURES["lpips"].label: one.lpips,
            "parameters": one.parameters,
        }
        lines.append([known.get(name, "–") for name in header])
    return summary.Table(header, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"), help="data root that holds lol/")
    parser.add_argument("--model", action="append", default=[], help="a further model, by file")
    arguments = parser.parse_args()
    common = {"model": (*MODELS, *arguments.model), "baseline": get_args(Baseline)}
    lol = measured(EvaluateSettings(dataset="lol", data=arguments.data, **common))
    samples = measured(EvaluateSettings(dataset="samples", **common))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = "{processor} ({device}), threads: {threads}, torch {torch}".format(**lol.machine)
    sections = [
        "# Leaderboard",
        f"Written by `python experiments/leaderboard.py` on {datetime.date.today()}, commit {commit.stdout.strip()}, "
        f"on {machine}; times are those of that machine with whatever else it was doing, in fp32; `lowlight enhance` "
        "takes half of them where bf16 is fast.",
        "## LOL, eval15",
        summary.markdown_table(with_published(sorted_table(lol))),
        "Published figures are taken from the literature, without GT mean, SSIM of RGB; many papers chose their best "
        "epoch on eval15 itself, and retrainings by others often land one to two decibels lower (Retinexformer: 22.9 "
        "to 24). 14 of the 15 scenes also occur in the training set: `lowlight evaluate --protocol scenes` "
        "measures on scenes that training held out.",
        "### Other systems on the same pictures",
        summary.markdown_table(others_table()),
        OTHERS_TOLD,
        f"## Packaged samples, {samples.pictures} pairs",
        summary.markdown_table(sorted_table(samples)),
        lol.caption,
        *dict.fromkeys((*lol.notes, *samples.notes)),
    ]
    BOARD.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    print(BOARD)


if __name__ == "__main__":
    main()
