"""Labelled pictures side by side, for people."""

from collections.abc import Sequence
from math import ceil

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .picture import to_image

INK, PAPER = (32, 32, 32), (250, 250, 250)


def panel(columns: Sequence[tuple[str, Tensor]], *, width: int = 420, gap: int = 8) -> Image.Image:
    """Pictures (1 or 3, H, W) in one row, each under its label and at most ``width`` px wide."""
    tiles = []
    for label, pixels in columns:
        tile = to_image(pixels.expand(3, -1, -1))
        height = max(round(tile.height * width / tile.width), 1)
        tiles.append((label, tile.resize((width, height), Image.Resampling.LANCZOS) if tile.width > width else tile))
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
