"""Small copies of the pictures of an evaluation, and the contact sheet made of them."""

import io

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..pictures.panel import INK, PAPER, within
from ..pictures.picture import to_image
from .results import Report
from .summary import shown

SIDE = 960
"""Longest side of a copy in px."""
TALLEST = 65_000
"""Px that a sheet has at most: JPEG holds little more."""
TALLEST_OF = {"WEBP": 16_383, "HEIF": 16_383}
"""The same of formats that hold less."""
LIMIT = 100
"""Pictures that are kept; further ones are measured but not shown."""


class Gallery:
    """Pictures by name, each in several versions: "input", one for each system, "truth"; as JPEG."""

    def __init__(self) -> None:
        self.pictures: dict[str, dict[str, bytes]] = {}

    def add(self, picture: str, version: str, pixels: Tensor) -> None:
        """Keep a copy of uint8 (3, H, W), unless that version is there or the gallery is full."""
        if picture not in self.pictures and len(self.pictures) == LIMIT:
            return
        versions = self.pictures.setdefault(picture, {})
        if version not in versions:
            copy = to_image(pixels)
            copy.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            file = io.BytesIO()
            copy.save(file, "JPEG", quality=88)
            versions[version] = file.getvalue()

    def keep(self, names: set[str]) -> None:
        """Drop all pictures but these."""
        self.pictures = {name: versions for name, versions in self.pictures.items() if name in names}


def order(report: Report) -> list[str]:
    """The versions from left to right: input, systems, truth; an untouched input is shown once."""
    names = dict.fromkeys(["input", *(result.name for result in report.systems)])
    return [*names, *(["truth"] if report.paired else [])]


def caption(report: Report, version: str, picture: str) -> str:
    """The leading figures of one version of one picture."""
    for result in report.results:
        if result.name == version:
            figures = next((row.figures for row in result.rows if row.name == picture), {})
            keys = ("psnr", "ssim") if "psnr" in figures else ("niqe", "brightness")
            known = [(report.figures[key], figures[key]) for key in keys if key in figures]
            return "  ".join(f"{figure.name} {shown(value, figure.digits)}" for figure, value in known)
    return ""


def contact_sheet(
    report: Report,
    gallery: Gallery,
    *,
    width: int = 300,
    gap: int = 10,
    side: int | None = None,
    tallest: int = TALLEST,
) -> Image.Image:
    """A row a picture, a column a version, the figures under each. Pictures are ``side`` px wide, by default a column,
    or as much smaller as it takes to be no higher than ``tallest``."""
    versions = order(report)
    font, small = ImageFont.load_default(16), ImageFont.load_default(13)
    line = 24
    tiles = {
        name: {version: within(Image.open(io.BytesIO(copy)), side or width) for version, copy in copies.items()}
        for name, copies in gallery.pictures.items()
    }
    heights = {name: max(tile.height for tile in row.values()) for name, row in tiles.items()}
    height = 2 * line + sum(height + 2 * line + gap for height in heights.values())
    if height > tallest:
        return contact_sheet(report, gallery, width=width, gap=gap, side=(side or width) // 2, tallest=tallest)
    sheet = Image.new("RGB", (gap + len(versions) * (width + gap), height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((gap, gap), f"{report.title}  ·  lowlight evaluate", INK, font)
    top = 2 * line
    for name, row in tiles.items():
        draw.text((gap, top), shortened(name, font, width - font.getlength(versions[0]) - gap), INK, font)
        for column, version in enumerate(versions):
            left = gap + column * (width + gap)
            if column:
                draw.text((left, top), shortened(version, font, width), INK, font)
            else:
                draw.text((left + width, top), version, INK, font, anchor="ra")
            if version in row:
                sheet.paste(row[version], (left, top + line))
            draw.text((left, top + line + heights[name] + 2), caption(report, version, name), INK, small)
        top += heights[name] + 2 * line + gap
    return sheet


def shortened(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: float) -> str:
    """Text that takes no more than ``width`` px, its end left out if need be."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
