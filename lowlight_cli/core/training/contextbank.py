"""Patches that come with a thumbnail of the whole picture they were cut from, and photographs darkened on the fly."""

import io
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..data.synthesis import Darkening, darken, draw_widely, picked
from ..networks import thumbnail
from ..networks.exposure import THUMBNAIL
from ..networks.retinex_plus import sampled
from ..pictures import decoding
from ..pictures.picture import to_image
from .pairbank import Crops, PairBank, Share, symmetries, whole

GRID = 128
"""Side of the grid of single pixels that stands for a whole photograph while it is darkened."""
JPEG = 0.4
"""Share of the darkened patches that are JPEG-compressed."""
QUALITY = 60, 96
"""Range of the quality of such a JPEG."""
BRIGHT = 0.08
"""Least share of light that a patch must have left to be compressed: a darker one does not survive it."""
MORE = 7
"""Thumbnails that come with each patch besides its own: brightness is learned from pictures, and a patch is but one."""
PART = 0.5
"""Smallest side of the part of a picture, against the whole, that such a thumbnail may show."""


def compressed(patch: Tensor, quality: int) -> Tensor:
    """(3, H, W) in [0, 1] after a JPEG of that quality."""
    file = io.BytesIO()
    to_image(patch).save(file, "jpeg", quality=quality)
    with Image.open(file) as image:
        return decoding.from_image(image).pixels.to(patch.device)


class ContextBank(PairBank):
    """A PairBank whose patches come with the thumbnails of their whole pictures, turned alike.

    Where ``made``, the dark picture is synthesised anew for each patch: the patch at its true place in the photograph's
    vignette, and the thumbnail, from a grid of its pixels, in the same light.
    """

    def __init__(
        self,
        pairs: Iterable[tuple[Tensor, Tensor]],
        made: Sequence[bool] | None = None,
        device: torch.device | str = "cpu",
        *,
        more: int = MORE,
        drawn: Callable[[int, torch.Generator | None], Darkening] = draw_widely,
    ) -> None:
        pairs = list(pairs)
        super().__init__(pairs, made, device)
        self.more, self.drawn = more, drawn
        self.chances = torch.where(self.made, self.shown / max(self.photographs, 1), 1.0)  # in an epoch
        self.low_thumbnails = torch.cat([thumbnail(low[None].to(device) / 255) for low, _ in pairs])
        self.high_thumbnails = torch.cat([thumbnail(high[None].to(device) / 255) for _, high in pairs])
        self.grids = torch.cat([F.interpolate(high[None].to(device), GRID, mode="nearest-exact") for _, high in pairs])

    def patches(
        self,
        index: Tensor,
        size: int,
        generator: torch.Generator | None = None,
        noise: torch.Generator | None = None,
        share: Share = whole,
    ) -> tuple[Tensor, ...]:
        """As those of a PairBank; the thumbnails of low and high, (B, 3, 64, 64), and where in these the patches lie,
        (B, 4), as ``RetinexPlus.within`` has it; and, if there are to be ``more``, thumbnails of so many times as many
        other pictures, half of them of a part of the picture alone, (B, more, 3, 64, 64)."""
        crops = self.crops(index, size, generator)
        count, others = len(index), self.more * len(index)
        others_index = index[:0]
        if others:
            others_index = torch.multinomial(self.chances, others, replacement=True, generator=generator)
        others_way = torch.randint(8, (others,), generator=generator, device=self.device)
        shown = share(parts(others, generator, self.device))
        mine = torch.arange(count + others, device=self.device)
        mine = torch.cat([share(mine[:count]), share(mine[count:])])
        seen, way = torch.cat([index, others_index])[mine], torch.cat([crops.way, others_way])[mine]
        crops = Crops(*map(share, crops))
        low, high = self.cut(crops, size)
        count = len(low)
        low_thumbnails, high_thumbnails = self.low_thumbnails[seen], self.high_thumbnails[seen]
        if self.photographs:
            by = picked(self.drawn(len(index) + others, generator), mine)
            jpeg = share(torch.rand(len(index), 2, generator=generator, device=self.device))
            noise = noise or generator
            made = self.made[seen].nonzero().flatten()
            grid = self.grids[seen[made]].float() / 255
            dark = darken(grid, picked(by, made), noise, self.grid_place(seen[made]), apart=True)
            low_thumbnails[made] = thumbnail(dark)
            made, by = self.made[crops.picture].nonzero().flatten(), picked(by, slice(count))
            low[made] = darken(high[made], picked(by, made), noise, self.place(crops, size)[made])
            candidates = self.made[crops.picture] & (by.light[:, 1] > BRIGHT) & (by.shot[:, 0] > 0)
            compress(low, candidates, jpeg)
        turned = [turn(x, way) for x in (low_thumbnails, high_thumbnails)]
        own = low, high, *(x[:count] for x in turned), self.frame(crops, size)
        if not others:
            return own
        others_turned = [sampled(x[count:], shown, (THUMBNAIL, THUMBNAIL)) for x in turned]
        return *own, *(x.unflatten(0, (count, self.more)) for x in others_turned)

    def frame(self, crops: Crops, size: int) -> Tensor:
        """Top, left, bottom and right of the patches in their turned pictures, as shares of these' sides, (B, 4)."""
        _, top, left, way = crops
        height, width = self.height[crops.picture], self.width[crops.picture]
        edges = torch.stack([top / height, left / width, (top + size) / height, (left + size) / width], dim=1)
        down, right = turned_axes(self.device)  # from the middle of the turned picture, in the picture's own axes
        middle = (edges[:, :2] + edges[:, 2:]) / 2 - 0.5
        half = (edges[:, 2:] - edges[:, :2]) / 2
        axes = torch.stack([down[way], right[way]], dim=1).to(middle)  # (B, 2, 2)
        middle = (axes @ middle[:, :, None])[:, :, 0] + 0.5
        half = (axes.abs() @ half[:, :, None])[:, :, 0]
        return torch.cat([middle - half, middle + half], dim=1)

    def place(self, crops: Crops, size: int) -> Tensor:
        """Where in its photograph each pixel of the patches lies, (B, 2, size, size), as ``places`` has it."""
        rows, cols = symmetries(size, self.device)
        height, width = (side[crops.picture][:, None, None].float() for side in (self.height, self.width))
        y = crops.top[:, None, None] + rows[crops.way] + 0.5 - height / 2
        x = crops.left[:, None, None] + cols[crops.way] + 0.5 - width / 2
        return torch.stack([y, x], dim=1) / (torch.hypot(height, width)[:, None] / 2)

    def grid_place(self, index: Tensor) -> Tensor:
        """The same for the grids, (B, 2, GRID, GRID)."""
        axis = (torch.arange(GRID, device=self.device) + 0.5) / GRID * 2 - 1
        height, width = (side[index].float()[:, None, None] for side in (self.height, self.width))
        y, x = torch.broadcast_tensors(axis[:, None] * height, axis * width)
        return torch.stack([y, x], dim=1) / torch.hypot(height, width)[:, None]


def compress(low: Tensor, candidates: Tensor, drawn: Tensor) -> None:
    """Replace some of the ``candidates`` among patches by what a JPEG leaves of them, by two numbers in [0, 1) of each,
    (B, 2)."""
    chance, place = drawn.cpu().unbind(1)
    quality = (QUALITY[0] + (QUALITY[1] - QUALITY[0]) * place).long()
    for row in ((chance < JPEG) & candidates.cpu()).nonzero().flatten().tolist():
        low[row] = compressed(low[row], int(quality[row]))


def parts(count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Frames of thumbnails that show a part of their picture, (count, 4) as of ``sampled``; half of them show all."""
    chance, down, right = torch.rand(3, count, generator=generator, device=device)
    side = 1 - (1 - PART) * (2 * chance - 1).clamp(min=0)
    top, left = (1 - side) * down, (1 - side) * right
    return torch.stack([top, left, top + side, left + side], dim=1)


def turned_axes(device: torch.device) -> tuple[Tensor, Tensor]:
    """What one step down, and one to the right, in a picture turned each of the 8 ways is in the picture itself: rows
    and columns, (8, 2) each."""
    place = torch.stack(symmetries(2, device), dim=3)  # (8, 2, 2, 2): where the turned pixel comes from
    return place[:, 1, 0] - place[:, 0, 0], place[:, 0, 1] - place[:, 0, 0]


def turn(x: Tensor, way: Tensor) -> Tensor:
    """Square (B, C, S, S), each turned and flipped its way."""
    rows, cols = symmetries(x.shape[-1], x.device)
    batch = torch.arange(len(x), device=x.device)[:, None, None]
    return x[batch, :, rows[way], cols[way]].permute(0, 3, 1, 2).contiguous()
