"""The figures of an evaluation: what they are called, their means and how far to trust them, and as text for files."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from torch import Tensor

from ... import __version__

RESAMPLES = 10_000
AT_ONCE = 4_000_000
"""Figures that are drawn together."""
TONES = 64
"""Levels of input brightness at which the output's brightness is recorded."""


class Figure(NamedTuple):
    """One column: its name for people, with the variant in it, which way is better, and how many digits are shown."""

    name: str
    better: Literal["↑", "↓", ""]
    digits: int

    @property
    def label(self) -> str:
        return f"{self.name} {self.better}".strip()


FIGURES = {
    "psnr": Figure("PSNR dB", "↑", 2),
    "ssim": Figure("SSIM RGB", "↑", 4),
    "ssim_gray": Figure("SSIM gray", "↑", 4),
    "lpips": Figure("LPIPS Alex", "↓", 4),
    "psnr_gt_mean": Figure("PSNR dB GT-mean", "↑", 2),
    "ssim_gt_mean": Figure("SSIM RGB GT-mean", "↑", 4),
    "ssim_gray_gt_mean": Figure("SSIM gray GT-mean", "↑", 4),
    "lmse_reflectance": Figure("LMSE R", "↓", 4),
    "lmse_illumination": Figure("LMSE I", "↓", 4),
    "niqe": Figure("NIQE", "↓", 2),
    "reflectance_consistency": Figure("R consistency 192 px", "↓", 4),
    "brightness": Figure("brightness", "", 3),
    "ms": Figure("ms", "↓", 0),
    "megapixels_per_second": Figure("MP/s", "↑", 2),
}
"""Every figure that there is, by its key in JSON and CSV."""
COMPARED = ("psnr", "ssim", "lpips", "niqe")
"""Figures whose paired differences between systems are reported."""


@dataclass(frozen=True)
class Row:
    """The figures of one picture, by their keys in ``FIGURES``; those that do not apply are absent."""

    name: str
    figures: dict[str, float]
    scene: int | None = None

    @property
    def group(self) -> int | str:
        """What it shares with the pictures that it is not independent of: its scene, where that is known."""
        return self.name if self.scene is None else self.scene


Kind: TypeAlias = Literal["model", "baseline", "results", "reference"]
"""What a system is; "results" are pictures that something else has made."""


@dataclass
class Result:
    """What one system achieved."""

    name: str
    kind: Kind
    parameters: int = 0
    multiply_adds_per_pixel: int = 0
    rows: list[Row] = field(default_factory=list)
    tones: dict[str, Tensor] = field(default_factory=dict)
    """By picture, for each level of the input's gray: the sum of the output's gray, and the number of pixels, (2,
    TONES)."""

    @property
    def pictures(self) -> set[str]:
        """The names of the pictures that have figures."""
        return {row.name for row in self.rows}

    def of(self, names: set[str]) -> "Result":
        """The same of some pictures alone."""
        rows = [row for row in self.rows if row.name in names]
        return replace(self, rows=rows, tones={name: found for name, found in self.tones.items() if name in names})

    def values(self, key: str) -> tuple[float, ...]:
        """One figure of every picture that has it."""
        return tuple(row.figures[key] for row in self.rows if key in row.figures)

    def mean(self) -> dict[str, float]:
        """The mean of each figure over the pictures that have it; inf where one of them is inf."""
        return {key: sum(found) / len(found) for key in FIGURES if (found := self.values(key))}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % bootstrap interval of each mean, where there are two scenes or more and all figures are finite."""
        groups = {key: tuple(row.group for row in self.rows if key in row.figures) for key in FIGURES}
        return {key: found for key in FIGURES if (found := interval(self.values(key), groups[key])) is not None}


@cache
def interval(values: tuple[float, ...], groups: tuple[int | str, ...] = ()) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the mean over pictures; None for infinite values, or for less than two
    groups: pictures of one scene are alike, so that whole groups are drawn. Without groups, each is one.

    Efron and Tibshirani 1993, chapter 13; 10,000 resamples from a fixed seed: the same figures, the same interval.
    """
    groups = groups or tuple(range(len(values)))
    number = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    if len(number) < 2 or not all(map(math.isfinite, values)):
        return None
    of = [number[group] for group in groups]
    sums, sizes = np.bincount(of, weights=values), np.bincount(of)
    generator = np.random.default_rng(0)
    some = max(AT_ONCE // len(number), 1)  # of all at once, 10,000 pictures' draws alone would fill 1.6 GB
    means = []
    for done in range(0, RESAMPLES, some):
        drawn = generator.integers(len(number), size=(min(some, RESAMPLES - done), len(number)))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)


class Difference(NamedTuple):
    """How one system's figure differs from another's on the same pictures."""

    mean: float
    interval: tuple[float, float] | None
    better: int
    pictures: int


def difference(of: Result, to: Result, key: str) -> Difference | None:
    """``of`` minus ``to`` in one figure, picture by picture; None if they share no picture with a finite one."""
    theirs = {row.name: row.figures.get(key, math.nan) for row in to.rows}
    away = [(row.figures.get(key, math.nan) - theirs.get(row.name, math.nan), row.group) for row in of.rows]
    finite = [(value, group) for value, group in away if math.isfinite(value)]
    if not finite:
        return None
    found, groups = zip(*finite, strict=True)
    sign = -1 if FIGURES[key].better == "↓" else 1
    better = sum(sign * value > 0 for value in found)
    return Difference(sum(found) / len(found), interval(found, groups), better, len(found))


def differences(systems: Sequence[Result]) -> list[tuple[Result, dict[str, Difference]]]:
    """Every further system against the first: the system, and the difference in each compared figure."""
    return [
        (other, {key: found for key in COMPARED if (found := difference(other, systems[0], key)) is not None})
        for other in systems[1:]
    ]


@dataclass(frozen=True)
class Report:
    """An evaluation: what was measured on what, and how."""

    dataset: str
    split: str | None
    protocol: str | None  # of LOL, or "scenes"
    pictures: int
    paired: bool
    machine: dict[str, Any]
    niqe_model: str
    results: list[Result]
    notes: list[str]
    left_out: list[str] = field(default_factory=list)  # why, of each picture that could not be read
    stopped: bool = False  # before all pictures were measured

    @property
    def title(self) -> str:
        measured = f"{self.pictures} {'pair' if self.paired else 'picture'}{'s' * (self.pictures != 1)}"
        return ", ".join(part for part in (self.dataset, self.split, measured) if part)

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """The figures that at least one picture has; NIQE's name says which pristine model it is measured with."""
        keys = {key for result in self.results for row in result.rows for key in row.figures}
        named = FIGURES | {"niqe": FIGURES["niqe"]._replace(name=f"NIQE {self.niqe_model}")}
        return {key: figure for key, figure in named.items() if key in keys}

    @property
    def systems(self) -> list[Result]:
        """The results without the references."""
        return [result for result in self.results if result.kind != "reference"]

    @property
    def caption(self) -> str:
        """How the figures are to be read."""
        against = (
            "PSNR and SSIM per picture on the 8-bit output, RGB, SSIM Gaussian 11x11 on valid windows. "
            "GT-mean columns scale the output to the truth's brightness first: never compare them with the others. "
        )
        niqe = f"NIQE with the pristine model '{self.niqe_model}': comparable only with values of the same model."
        return ((against if self.paired else "") + (niqe if "niqe" in self.figures else "")).rstrip()


def as_record(report: Report) -> dict[str, Any]:
    """The whole evaluation as plain data for JSON: what is infinite, as the PSNR of equal pictures, is None."""
    return {
        "dataset": report.dataset,
        "split": report.split,
        "protocol": report.protocol,
        "pairs": report.pictures if report.paired else 0,
        "pictures": report.pictures,
        "models": [system_record(result) for result in report.systems],
        "references": [system_record(result) for result in report.results if result.kind == "reference"],
        "differences": [
            {
                "of": other.name,
                "to": report.systems[0].name,
                **{key: found._asdict() for key, found in by_key.items()},
            }
            for other, by_key in differences(report.systems)
        ],
        "niqe_model": report.niqe_model,
        "lowlight": __version__,
        "machine": report.machine,
        "notes": report.notes,
        "left_out": report.left_out,
    }


def system_record(result: Result) -> dict[str, Any]:
    """One system's part of the record."""
    return {
        "name": result.name,
        "kind": result.kind,
        "parameters": result.parameters,
        "multiply_adds_per_pixel": result.multiply_adds_per_pixel,
        "mean": finite(result.mean()),
        "counts": {key: len(found) for key in FIGURES if (found := result.values(key))},
        "interval": result.intervals(),
        "images": [{"name": row.name, **finite(row.figures)} for row in result.rows],
    }


def finite(figures: dict[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in figures.items()}


def as_json(report: Report) -> str:
    return json.dumps(as_record(report), indent=2, allow_nan=False) + "\n"


def as_csv(report: Report) -> str:
    """One line a picture and system, the keys of ``FIGURES`` as columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["system", "kind", "picture", *report.figures])
    for result in report.results:
        for row in result.rows:
            writer.writerow([result.name, result.kind, row.name, *(row.figures.get(key, "") for key in report.figures)])
    return text.getvalue()
