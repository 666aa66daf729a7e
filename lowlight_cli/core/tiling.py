"""Exact tiling: the same pixels as one pass over the whole picture, in bounded memory.

The networks are convolutions without normalisation or pooling over the image; what they must know about the whole
picture is read from its thumbnail once and handed to every tile. So a tile that sees ``HALO`` px more on each side, and
starts on a ``MULTIPLE``, computes exactly what the whole picture would: no blending, no seams.
"""

from collections.abc import Callable, Iterator
from math import ceil
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from .networks import Context, Network, Retinex, RetinexPlus, thumbnail

TILE = 512
"""Side of a tile in px where nothing else is asked for."""
TURNS = 8
"""The ways to lay a rectangle on its own grid: four quarter turns, each also mirrored."""


class Box(NamedTuple):
    """A rectangle of a picture, in px; bottom and right are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    def grown(self, halo: int, height: int, width: int) -> "Box":
        """This box and ``halo`` px around it, within a picture of ``height`` and ``width``."""
        return Box(
            max(self.top - halo, 0),
            max(self.left - halo, 0),
            min(self.bottom + halo, height),
            min(self.right + halo, width),
        )

    def cut(self, x: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
        """This box of (..., H, W), where ``origin`` is the picture position, top and left, of x's first pixel."""
        above, before = origin
        return x[..., self.top - above : self.bottom - above, self.left - before : self.right - before]

    def padded(self, multiple: int) -> "Box":
        """This box, grown at the bottom and right until both sides are multiples."""
        height, width = self.bottom - self.top, self.right - self.left
        return self._replace(bottom=self.bottom + -height % multiple, right=self.right + -width % multiple)

    def cells(self, scale: int) -> "Box":
        """The cells of ``scale`` px a side that this box touches; it begins with a whole one."""
        return Box(*(ceil(edge / scale) for edge in self))


Conditioning: TypeAlias = Callable[[Box], tuple[Tensor | Context, ...]]
"""What a network is given with the pixels of a part of a picture."""


def boxes(height: int, width: int, tile: int | tuple[int, int]) -> Iterator[Box]:
    """Boxes of at most ``tile`` px a side (or height, width) that cover a picture, row by row."""
    tall, wide = tile if isinstance(tile, tuple) else (tile, tile)
    for top in range(0, height, tall):
        for left in range(0, width, wide):
            yield Box(top, left, min(top + tall, height), min(left + wide, width))


def fitting(height: int, width: int, pixels: int, *, halo: int, multiple: int) -> tuple[int, int]:
    """Height and width of the tiles, no tile seeing more than about ``pixels`` with its halo, that compute least."""

    def rounded(side: int, parts: int) -> int:
        return ceil(side / parts / multiple) * multiple

    best = (float("inf"), (multiple, multiple))
    for rows in range(1, ceil(height / multiple) + 1):
        tall = rounded(height, rows)
        seen = min(tall + 2 * halo, height)
        room = pixels // seen
        if room < width:
            room = (room - 2 * halo) // multiple * multiple
        if room < multiple:
            continue
        wide = rounded(width, ceil(width / room))
        columns = ceil(width / wide)
        cost = (height + 2 * halo * (rows - 1)) * (width + 2 * halo * (columns - 1))
        best = min(best, (cost, (tall, wide)))
    return best[1]


def padded(image: Tensor, multiple: int) -> Tensor:
    """Grow (B, C, H, W) at the bottom and right until both sides are multiples, as ``extended`` does it."""
    height, width = image.shape[-2:]
    return extended(image, -height % multiple, -width % multiple)


def extended(image: Tensor, down: int, right: int) -> Tensor:
    """Grow (B, C, H, W) by so many px: by reflection, or, where it is too small for that, by repeating its edge."""
    height, width = image.shape[-2:]
    mode = "reflect" if down < height and right < width else "replicate"
    return F.pad(image, (0, right, 0, down), mode=mode)


def turned(image: Tensor, turn: int) -> Tensor:
    """(..., H, W) by ``turn`` % 4 quarter turns; from 4 on also mirrored."""
    image = torch.rot90(image, turn % 4, dims=(-2, -1)) if turn % 4 else image
    return image.flip(-1) if turn >= 4 else image


def turned_back(image: Tensor, turn: int) -> Tensor:
    """What ``turned`` was given."""
    image = image.flip(-1) if turn >= 4 else image
    return torch.rot90(image, -turn % 4, dims=(-2, -1)) if turn % 4 else image


def spread(net: RetinexPlus, context: Context, height: int, width: int) -> Context:
    """The context of pictures of ``height`` and ``width``, padded to the net's multiple, with a cell of its scene for
    each of the net's coarsest pixels."""
    box = Box(0, 0, height, width).padded(net.MULTIPLE)
    frame = context.scene.new_tensor([0, 0, box.bottom / height, box.right / width])
    return net.within(context, frame.expand(len(context.scene), 4), box[2:])


def conditioning(net: Network, small: Tensor, height: int, width: int, turn: int = 0) -> Conditioning:
    """A function from a part of pictures of ``height`` and ``width``, whose thumbnails are ``small``, to what the net
    must be told besides that part's pixels, which are ``turned``."""
    if isinstance(net, RetinexPlus):
        context = net.context(turned(small, turn))
        upright = spread(net, context._replace(scene=turned_back(context.scene, turn)), height, width)

        def tell(seen: Box) -> tuple[Context]:
            cells = seen.padded(net.MULTIPLE).cells(net.MULTIPLE)
            return (upright._replace(scene=turned(cells.cut(upright.scene), turn)),)

        return tell
    told = (net.gain(small),) if net.exposure else ()
    return lambda seen: told


def run(net: Network, image: Tensor, *, tile: int | None = TILE) -> Retinex:
    """The maps of (B, 3, H, W) of any size, in [0, 1]. ``tile`` is a multiple of the net's; None means one pass."""
    height, width = image.shape[-2:]
    side = tile or max(height, width)
    told = conditioning(net, thumbnail(image), height, width)
    result = Retinex(*(image.new_empty(len(image), channels, height, width) for channels in (3, 1, 1)))
    for box in boxes(height, width, side):
        seen = box.grown(net.HALO, height, width)
        for whole, part in zip(result, net(padded(seen.cut(image), net.MULTIPLE), *told(seen)), strict=True):
            box.cut(whole).copy_(box.cut(part, origin=(seen.top, seen.left)))
    return result
