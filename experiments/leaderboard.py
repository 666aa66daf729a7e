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
    Published("RetinexNet, authors' weights", "16.77", ".42–.46", ".474", "0.445 M"),
    Published("RetinexNet retrained, L1, patch 96", "18.26", ".595", ".442", "0.445 M"),
    Published("RetinexNet retrained, L1 + SSIM", "19.11", ".763", ".206", "0.445 M"),
    Published("the same + BM3D", "19.13", ".777", ".195", "0.445 M"),
    Published("RetinexNet-SKF", "20.42", ".711", ".216", "larger"),
    Published("LYT-Net", "22.38", ".826", "–", "0.045 M"),
    Published("CPGA-Net+", "22.53", ".812", ".205", "0.020–0.060 M"),
    Published("Multinex", "23.19", ".843", ".129", "0.045 M"),
    Published("IAT", "23.38", ".809", "–", "0.09 M"),
    Published("HVI-CIDNet", "23.81", ".857", ".086", "1.88 M"),
    Published("MIRNet", "24.14", ".830", "–", "31.8 M"),
    Published("Retinexformer", "25.16", ".845", "–", "1.61 M"),
)


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
    header, lines = list(table.header), [list(line) for line in table.lines]
    lpips = results.FIGURES["lpips"].label
    if lpips not in header:
        place = header.index(results.FIGURES["ssim_gray"].label) + 1
        header.insert(place, lpips)
        for line in lines:
            line.insert(place, "–")
    lines.append(["*published by others*", *[""] * (len(header) - 1)])
    for one in PUBLISHED:
        known = {
            header[0]: one.system,
            results.FIGURES["psnr"].label: one.psnr,
            results.FIGURES["ssim"].label: one.ssim,
            lpips: one.lpips,
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
        f"on {machine}; times are those of that machine with whatever else it was doing.",
        "## LOL, eval15",
        summary.markdown_table(with_published(sorted_table(lol))),
        "Published figures are taken from the literature and not measured here; many papers chose their best epoch on "
        "eval15 itself. 14 of the 15 scenes also occur in the training set: `lowlight evaluate --protocol scenes` "
        "measures on scenes that training held out.",
        f"## Packaged samples, {samples.pictures} pairs",
        summary.markdown_table(sorted_table(samples)),
        lol.caption,
        *dict.fromkeys((*lol.notes, *samples.notes)),
    ]
    BOARD.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    print(BOARD)


if __name__ == "__main__":
    main()
