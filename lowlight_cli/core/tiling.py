"""Exact tiling: the same pixels as one pass over the whole picture, in bounded memory.

The networks are convolutions without normalisation or pooling over the image; what they must know about the whole
picture is read from its thumbnail once and handed to every tile. So a tile that sees ``HALO`` px more on
each side, and starts on a ``MULTIPLE``, computes exactly what the whole picture would: no blending, no seams.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from .networks import Network, Retinex, RetinexPlus, thumbnail

TILE = 512
"""Side of a tile in px: about 0.7 GB of activations in RetinexNet."""


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


def boxes(height: int, width: int, tile: int) -> Iterator[Box]:
    """Boxes of at most ``tile`` px a side that cover a picture, row by row."""
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            yield Box(top, left, min(top + tile, height), min(left + tile, width))


def padded(image: Tensor, multiple: int) -> Tensor:
    """Grow (B, C, H, W) at the bottom and right until both sides are multiples: by reflection, or, where the picture is
    too small for that, by repeating its edge."""
    height, width = image.shape[-2:]
    down, right = -height % multiple, -width % multiple
    mode = "reflect" if down < height and right < width else "replicate"
    return F.pad(image, (0, right, 0, down), mode=mode)


def run(net: Network, image: Tensor, *, tile: int | None = TILE) -> Retinex:
    """The maps of (B, 3, H, W) of any size, in [0, 1]. ``tile`` is a multiple of the net's; None means one pass."""
    height, width = image.shape[-2:]
    context = (net.context(thumbnail(image)),) if isinstance(net, RetinexPlus) else ()
    image = padded(image, net.MULTIPLE)
    rows, columns = image.shape[-2:]
    if tile is None or (rows <= tile and columns <= tile):
        return Retinex(*(maps[..., :height, :width] for maps in net(image, *context)))
    result = Retinex(*(image.new_empty(len(image), channels, rows, columns) for channels in (3, 1, 1)))
    for box in boxes(rows, columns, tile):
        seen = box.grown(net.HALO, rows, columns)
        for whole, part in zip(result, net(seen.cut(image), *context), strict=True):
            box.cut(whole).copy_(box.cut(part, origin=(seen.top, seen.left)))
    return Retinex(*(maps[..., :height, :width] for maps in result))
