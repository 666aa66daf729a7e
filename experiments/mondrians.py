"""The Mondrians among the pairs that come with the package: pictures whose reflectance and illumination are known.

A Mondrian is a board of flat coloured patches under a smooth, strong light (Land and McCann, "Lightness and retinex
theory", 1971). Its patches A and B have one colour, and A has many times the light of B.
"""

import json
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from lowlight_cli.core.data.datasets import SAMPLES
from lowlight_cli.core.networks import Decomposition
from lowlight_cli.core.pictures import images
from lowlight_cli.core.tiling import Box

MARGIN = 8
"""px at the edge of a patch that are left out when its brightness is measured."""


class Mondrian(NamedTuple):
    """A dark picture, its true maps, and where the patches A and B are."""

    name: str
    low: Path
    truth: Decomposition  # (3, H, W) and (1, H, W) in [0, 1], with the sRGB curve, as pictures have
    a: Box
    b: Box


def mondrians() -> list[Mondrian]:
    """All Mondrians of the package."""
    truth = SAMPLES / "truth"
    boxes = json.loads((truth / "patches.json").read_text())
    return [
        Mondrian(
            name,
            SAMPLES / "low" / f"{name}.png",
            Decomposition(
                images.read(truth / f"{name}_reflectance.png").pixels,
                images.read(truth / f"{name}_illumination.png").pixels[:1],
            ),
            Box(*patch["A"]),
            Box(*patch["B"]),
        )
        for name, patch in boxes.items()
    ]


def a_to_b(pixels: Tensor, mondrian: Mondrian) -> float:
    """Patch A's mean value over patch B's, in a picture or map (C, H, W), with the sRGB curve that these have."""
    a, b = (box.cut(pixels)[..., MARGIN:-MARGIN, MARGIN:-MARGIN].mean() for box in (mondrian.a, mondrian.b))
    return float(a / b)
