"""Labelled pictures side by side, for people."""

from collections.abc import Mapping, Sequence
from math import ceil

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .picture import Picture, quantised, to_image

INK, PAPER = (32, 32, 32), (250, 250, 250)
PREVIEW = 1200
"""Width in px of each half of a comparison."""
TALLEST = 20
"""Height of a column against its width: more would be nothing to look at, and more than a JPEG holds."""
LABELS = {
    "reflectance": "reflectance R",
    "illumination": "illumination I",
    "relit": "adjusted illumination",
    "enhanced": "enhanced",
}


def panel(columns: Sequence[tuple[str, Tensor]], *, width: int = 420) -> Image.Image:
    """Pictures (1 or 3, H, W) in one row, each under its label and at most ``width`` px wide."""
    tiles = [(label, within(to_image(pixels.expand(3, -1, -1)), width)) for label, pixels in columns]
    gap = 8
    size = max(max(tile.width for _, tile in tiles) // 20, 12)
    font = ImageFont.load_default(size)
    head = 2 * size
    room = ceil(max([*(tile.width for _, tile in tiles), *(font.getlength(label) for label, _ in tiles)]))
    tallest = max(tile.height for _, tile in tiles)
    canvas = Image.new("RGB", (len(tiles) * (room + gap) + gap, head + tallest + gap), PAPER)
    draw = ImageDraw.Draw(canvas)
    for column, (label, tile) in enumerate(tiles):
        left = gap + column * (room + gap)
        draw.text((left, size // 2), label, INK, font)
        canvas.paste(tile, (left, head))
    return canvas


def stacked(rows: Sequence[Image.Image]) -> Image.Image:
    """Panels below each other."""
    canvas = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), PAPER)
    top = 0
    for row in rows:
        canvas.paste(row, (0, top))
        top += row.height
    return canvas


def within(image: Image.Image, width: int) -> Image.Image:
    """An image at most ``width`` px wide, and no higher than ``TALLEST`` times that."""
    share = min(width / image.width, TALLEST * width / image.height, 1)
    if share == 1:
        return image
    size = max(round(image.width * share), 1), max(round(image.height * share), 1)
    return image.resize(size, Image.Resampling.LANCZOS)


def columns(picture: Picture, maps: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """What a panel shows of a picture and its maps."""
    return [("low", preview(picture)), *((LABELS[name], preview(Picture(found))) for name, found in maps.items())]


def preview(picture: Picture) -> Tensor:
    """A picture thinned out to what a panel can show, (3, H, W), in sRGB of 8 bit."""
    height, width = picture.size
    step = max(width // (2 * PREVIEW), height // (2 * PREVIEW * TALLEST), 1)
    return quantised(picture.thinned(step, step).pixels)
