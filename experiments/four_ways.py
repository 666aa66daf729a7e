"""Compare trained runs of RetinexNet and write what comes out into RESULTS.md, between the two marks of their seed.

    python experiments/four_ways.py --data data RUN...
    python experiments/four_ways.py

RUN is a folder of `lowlight train`, all of one seed; its best model (by SSIM on held-out scenes) is measured, in fp32,
on those scenes and on LOL's eval15. Without runs, figures/four_ways*.jpg are drawn, of the packaged models.
"""

import argparse
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from held_out import held_out
from readme_figures import Columns, stack
from torch import Tensor

from lowlight_cli.core import metrics
from lowlight_cli.core.data import datasets
from lowlight_cli.core.data.datasets import SAMPLES
from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.enhancing.look import Look, cleaned
from lowlight_cli.core.evaluating.summary import Table, markdown_table
from lowlight_cli.core.networks import Decomposition, Retinex
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.picture import luma, quantised
from lowlight_cli.core.training import losses
from lowlight_cli.settings import LossWeights, TrainSettings
from lowlight_cli.tracking import records

RESULTS = Path(__file__).with_name("RESULTS.md")
BEGIN, END = "<!-- written by experiments/four_ways.py, seed {} -->", "<!-- end -->"
LETTERS = {"separate_resize": "a", "separate_transposed": "b", "joint": "c", "joint_ignore_enhance": "d"}
PACKAGED = {
    "a": "retinexnet",
    "b": "retinexnet-transposed",
    "c": "retinexnet-joint",
    "d": "retinexnet-joint-ignore-enhance",
}
"""The packaged model of each way; that of (a) is of another run of the same nets, whose rate fell at epoch 60."""
STUDENT = {"a": (".008 / .008", ".120 / .134"), "b": (".007 / .007", ".123 / .129")} | {
    "c": (".014 / .014", ".096 / .107"),
    "d": (".016 / .014", ".099 / .113"),
}
"""Decom and Enhance losses, training / validation, that the student project reports."""
FLAT, WINDOW = 0.01, 7
"""A pixel is in a flat area where the truth's luma deviates less than this in the window of so many px around it."""
LEVELS = ("off", "light", "strong")
Pairs = Sequence[tuple[Tensor, Tensor]]
Figures = dict[str, float]


class Run(NamedTuple):
    """A finished run."""

    name: str
    settings: TrainSettings
    model: Path
    trained: Figures  # mean of each loss term over the last epoch that had it
    minutes: float

    @property
    def way(self) -> str:
        """The recipe that the folder is named after, as `make experiments` does: joint-seed1 is joint."""
        return self.name.partition("-")[0]

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """From its folder."""
        settings = TrainSettings.load(folder / "settings.json")
        # by step: a run that was killed repeats what it had not saved
        events = {event["step"]: event for event in records(folder / "events.jsonl") if event["event"] == "step"}
        epochs = {event["phase"]: event["epoch"] for event in events.values()}
        last: dict[str, list[float]] = {}
        before, minutes = 0, 0.0
        for step in sorted(events):
            event, count = events[step], step - before  # an event's figures are of all steps since the one before
            before = step
            minutes += count * settings.batch / event["patches_per_second"] / 60
            if event["epoch"] == epochs[event["phase"]]:
                for name, value in event["terms"].items():
                    last.setdefault(name, []).extend([value] * count)
        means = {name: sum(values) / len(values) for name, values in last.items()}
        return cls(folder.name, settings, folder / "best.safetensors", means, minutes)


def apart(terms: Figures) -> tuple[float, float]:
    """The loss of Decom-Net and that of Enhance-Net among loss terms."""
    relighting = sum(value for name, value in terms.items() if name in ("relight", "smooth_relit", "ssim"))
    return sum(terms.values()) - relighting, relighting


def eval15(data: Path) -> Pairs:
    """LOL's test pairs."""
    return list(datasets.each_of(datasets.pairs(datasets.folder("lol", data, "test")), datasets.decode))


@torch.inference_mode()
def measured(enhancer: Enhancer, pairs: Pairs, weights: LossWeights) -> Figures:
    """The mean of each figure over pairs of uint8 (3, H, W)."""
    rows: list[Figures] = []
    for low, high in ((low.float() / 255, high.float() / 255) for low, high in pairs):
        dark, bright = (Retinex(*(part[None] for part in enhancer.decompose(side))) for side in (low, high))
        truth = high[None]
        of_low, of_high = (Decomposition(maps.reflectance, maps.illumination) for maps in (dark, bright))
        terms = losses.decomposition(low[None], truth, of_low, of_high, weights)
        terms |= losses.relighting(truth, dark.reflectance, dark.relit, weights)
        row = {name: value.item() for name, value in terms.items()}
        for level in LEVELS:
            enhanced = quantised(cleaned(dark, Look(denoise=level)).enhanced[0])[None] / 255
            row |= {f"psnr {level}": metrics.psnr(enhanced, truth).item()}
            row |= {f"ssim {level}": metrics.ssim(enhanced, truth).item()}
            row |= {f"grain {level}": grain(luma(enhanced), truth)}
        row |= {
            "I_hat": dark.relit.mean().item(),
            "white": (dark.relit > 0.95).float().mean().item(),
            "consistency": (dark.reflectance - bright.reflectance).abs().mean().item(),
            "grain R": grain(luma(dark.reflectance), truth),
            "grain I_hat": grain(dark.relit, truth),
            "grain truth": grain(luma(truth), truth),
        }
        rows.append(row)
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def grain(x: Tensor, truth: Tensor) -> float:
    """How far (1, 1, H, W) deviates, root mean square, from its own local mean where ``truth`` is flat."""

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)

    gray = luma(truth)
    flat = mean(gray.square()) - mean(gray).square() < FLAT**2
    return ((x - mean(x)).square() * flat).sum().div(flat.sum().clamp(min=1)).sqrt().item()


def insert(text: str, begin: str, end: str) -> None:
    """Write ``text`` into RESULTS.md, between two marks, instead of what is there."""
    before, rest = RESULTS.read_text(encoding="utf-8").split(begin)
    after = rest.partition(end)[2]
    RESULTS.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
    print(RESULTS)


def described(run: Run) -> str:
    """Name of the run and what sets it apart."""
    how = run.settings
    rate = f"{how.enhance_lr or how.lr:g}" if how.stage == "enhance" else f"{how.lr:g}"
    way = run.way
    letter = f"({LETTERS[way]}) " if way in LETTERS else ""
    return f"{letter}`{way}`, rate {rate}, {how.scheduler}, seed {how.seed}"


def tables(runs: Sequence[Run], found: dict[str, dict[str, Figures]], enhancers: dict[str, Enhancer]) -> str:
    """All of them."""

    def both(pair: tuple[float, float], other: tuple[float, float], which: int) -> str:
        return f"{pair[which]:.4f} / {other[which]:.4f}"

    loss_rows, figure_rows, grain_rows, denoise_rows = [], [], [], []
    for run in runs:
        seen, test = found[run.name]["held out"], found[run.name]["eval15"]
        names = run.trained.keys()
        trained, judged = apart(run.trained), apart({name: seen[name] for name in names})
        student = STUDENT.get(LETTERS.get(run.way, ""), ("–", "–"))
        decom = both(trained, judged, 0) if trained[0] else "as (a)"
        loss_rows.append([described(run), decom, student[0], both(trained, judged, 1), student[1]])
        figure_rows.append(
            [
                described(run),
                *(f"{side['psnr off']:.2f} / {side['ssim off']:.4f}" for side in (seen, test)),
                f"{test['I_hat']:.3f}",
                f"{100 * test['white']:.0f} %",
                f"{test['consistency']:.4f}",
                f"{enhancers[run.name].parameters:,}",
                f"{run.minutes:.0f}",
            ]
        )
        grain_rows.append(
            [described(run), *(f"{1000 * test[f'grain {name}']:.1f}" for name in ("R", "I_hat", *LEVELS, "truth"))]
        )
        denoise_rows.append([described(run), *(f"{test[f'psnr {x}']:.2f} / {test[f'ssim {x}']:.4f}" for x in LEVELS)])
    return "\n\n".join(
        [
            "Losses, training in the last epoch / held-out scenes; ours are those of the authors' code.",
            markdown_table(Table(["run", "Decom-Net", "student's", "Enhance-Net", "student's"], loss_rows)),
            "PSNR / SSIM RGB, mean of I_hat and share of its pixels above 0.95, and |R_low - R_high| of whole pictures "
            "(both eval15).",
            markdown_table(
                Table(
                    ["run", "held-out scenes", "eval15", "I_hat", "white", "R consistency", "parameters", "minutes"],
                    figure_rows,
                )
            ),
            "Grain where the truth is flat, eval15: root mean square deviation from the local mean, in thousandths, of "
            "R, of I_hat, of the result without denoising and with it, and of the truth.",
            markdown_table(Table(["run", "R", "I_hat", *LEVELS, "truth"], grain_rows)),
            "Denoising R, eval15, PSNR / SSIM RGB.",
            markdown_table(Table(["run", *LEVELS], denoise_rows)),
        ]
    )


def pictures() -> None:
    """The four side by side, from the packaged samples: results, R and I_hat, and a flat part without and with
    denoising."""
    enhancers = {f"({letter}) {name}": Enhancer(name, "cpu", precision="fp32") for letter, name in PACKAGED.items()}
    bright, maps = [], []
    for sample in ("astronaut", "coffee", "mountain"):
        low, truth = sides(sample)
        found = {name: enhancer.decompose(low) for name, enhancer in enhancers.items()}
        results: Columns = [(name, each.enhanced.clamp(0, 1)) for name, each in found.items()]
        bright.append([("dark photograph", low), *results, ("truth", truth)])
        maps.append([(f"R of {name}", each.reflectance) for name, each in found.items()])
        maps.append([(f"I_hat of {name}", each.relit.clamp(0, 1)) for name, each in found.items()])
    stack(bright, "four_ways.jpg", width=260)
    stack(maps, "four_ways_maps.jpg", width=260)
    low, truth = sides(FLAT_PART.sample)
    grain = []
    for name, enhancer in enhancers.items():
        results = [(f"{name}, {level}", enhancer.enhance(low, denoise=level)) for level in LEVELS]
        grain.append([(label, FLAT_PART.of(result)) for label, result in [*results, ("truth", truth)]])
    stack(grain, "four_ways_grain.jpg", width=320)


def sides(sample: str) -> tuple[Tensor, Tensor]:
    """The dark and the true picture of a packaged sample, (3, H, W)."""
    low, high = SAMPLES / "low" / f"{sample}.png", SAMPLES / "high" / f"{sample}.jpg"
    return images.read(low).pixels, images.read(high).pixels


class Part(NamedTuple):
    """A part of a sample, to be shown large."""

    sample: str
    top: int
    left: int
    height: int
    width: int

    def of(self, picture: Tensor) -> Tensor:
        """The part of a picture (3, H, W), each pixel four times as large."""
        part = picture[:, self.top : self.top + self.height, self.left : self.left + self.width]
        return F.interpolate(part[None], scale_factor=4, mode="nearest")[0]


FLAT_PART = Part("coast", 0, 0, 60, 80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--hardware", default=f"{torch.get_num_threads()} CPU threads")
    parser.add_argument("--commit", default=None, help="at which the runs were trained; default: the one checked out")
    given = parser.parse_args()
    if not given.runs:
        pictures()
        return
    call: dict[str, Any] = {"capture_output": True, "text": True, "check": False}
    commit = given.commit or subprocess.run(["git", "rev-parse", "--short", "HEAD"], **call).stdout.strip()
    runs = [Run.read(folder) for folder in given.runs]
    seeds = {run.settings.seed for run in runs}
    if len(seeds) > 1:
        parser.error("runs of one seed at a time: each has tables of its own")
    sets = {"held out": held_out(given.data).validation, "eval15": eval15(given.data)}
    enhancers = {run.name: Enhancer(str(run.model)) for run in runs}
    found = {
        run.name: {name: measured(enhancers[run.name], pairs, run.settings.weights) for name, pairs in sets.items()}
        for run in runs
    }
    how = f"`make experiments`, commit {commit}, {given.hardware}, torch {torch.__version__}."
    insert(f"{how}\n\n{tables(runs, found, enhancers)}", BEGIN.format(*seeds), END)


if __name__ == "__main__":
    main()
