"""A model over the pairs of a data set: one row of figures a picture, then their mean.

What is measured is what would be saved: the enhanced picture in 8 bit. Values are per picture and then averaged; the
mean brightness of the truth is never used (no "GT mean").
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import datasets, metrics
from .enhancer import Enhancer
from .errors import DatasetError, LowlightError
from .files import replacing
from .images import quantised


@dataclass(frozen=True)
class Row:
    """The figures of one picture."""

    name: str
    psnr: float  # dB, RGB
    ssim: float  # RGB
    ssim_gray: float


FIGURES = ("psnr", "ssim", "ssim_gray")


def rows(enhancer: Enhancer, pairs: Sequence[datasets.Pair]) -> Iterator[Row]:
    """The figures of each pair, in order."""
    for pair in pairs:
        low, high = datasets.decode(pair)
        if min(low.shape[-2:]) < metrics.WINDOW:
            raise DatasetError(f"{pair.low}: SSIM needs at least {metrics.WINDOW} px a side")
        enhanced = quantised(enhancer.enhance(low.float() / 255))[None].double() / 255
        high = high[None].double() / 255
        yield Row(
            name=pair.name,
            psnr=float(metrics.psnr(enhanced, high)),
            ssim=float(metrics.ssim(enhanced, high)),
            ssim_gray=float(metrics.ssim(metrics.gray(enhanced), metrics.gray(high))),
        )


def mean(of: Sequence[Row]) -> dict[str, float]:
    """The mean of each figure over pictures."""
    return {name: sum(getattr(row, name) for row in of) / len(of) for name in FIGURES}


def labels(models: Sequence[str]) -> list[str]:
    """A short name for each model: the stem, or the whole path where stems coincide."""
    stems = [Path(model).stem if model.endswith(".safetensors") else model for model in models]
    return [
        stem if stems.count(stem) == 1 else model.removesuffix(".safetensors")
        for stem, model in zip(stems, models, strict=True)
    ]


def as_record(name: str, parameters: int, of: Sequence[Row]) -> dict[str, Any]:
    """One model's figures as plain data; an infinite PSNR, of equal pictures, is None, which JSON can hold."""

    def finite(figures: dict[str, Any]) -> dict[str, Any]:
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in figures.items()
        }

    return {
        "name": name,
        "parameters": parameters,
        "mean": finite(mean(of)),
        "images": [finite(asdict(row)) for row in of],
    }


def write(path: Path, text: str) -> None:
    """Write a report, whole or not at all."""
    try:
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LowlightError(f"{path}: cannot be written: {error.strerror or error}") from error
