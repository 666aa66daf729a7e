"""All training pairs on one device, so that a batch is one gather: no decoding, no workers, no copies per step.

LOL's 485 training pairs take 0.70 GB as uint8.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.synthesis import Darkening, darken, draw, places

Share = Callable[[Tensor], Tensor]
"""A (B, ...) tensor to one process's part of it, ``Ranks.share``."""


def whole(batch: Tensor) -> Tensor:
    """The part of a process that trains alone."""
    return batch


class Crops(NamedTuple):
    """Where patches are cut: all (B,)."""

    picture: Tensor
    top: Tensor
    left: Tensor
    way: Tensor  # which of the 8 turns and flips


class PairBank:
    """Pairs of uint8 pictures (3, H, W), low and high, of any sizes.

    All pictures share one flat buffer: pixel (c, y, x) of the high picture n lies at
    ``high[n] + (c * height[n] + y) * width[n] + x``, that of the low one as far from ``low[n]``. ``made`` says which
    are photographs, whose low picture is synthesised; none, if left out. Their ``low`` points at the high picture.
    """

    def __init__(
        self,
        pairs: Iterable[tuple[Tensor, Tensor]],
        made: Sequence[bool] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        lows, highs = zip(*pairs, strict=True)
        sizes = torch.tensor([low.shape[-2:] for low in lows], device=device)
        self.height, self.width = sizes.unbind(1)
        self.made = torch.tensor(made or [False] * len(lows), device=device)
        captured = [low for low, photograph in zip(lows, self.made.tolist(), strict=True) if not photograph]
        self.pixels = torch.cat([picture.flatten() for picture in (*highs, *captured)]).to(device)
        lengths = 3 * self.height * self.width
        self.high = lengths.cumsum(0) - lengths
        lengths = torch.where(self.made, 0, lengths)
        self.low = torch.where(self.made, self.high, len(self.pixels) - lengths.sum() + lengths.cumsum(0) - lengths)
        self.photographs = int(self.made.sum())
        self.shown = min(self.photographs, len(captured) or self.photographs)
        """How many of the photographs an epoch shows: no more than there are captured pairs, if there are any."""

    def __len__(self) -> int:
        return len(self.high)

    @property
    def epoch_size(self) -> int:
        """How many pictures an epoch shows."""
        return len(self) - self.photographs + self.shown

    @property
    def device(self) -> torch.device:
        return self.pixels.device

    def pair(self, index: int) -> tuple[Tensor, Tensor]:
        """One whole pair: two (1, 3, H, W) in [0, 1]."""
        height, width = int(self.height[index]), int(self.width[index])
        starts = int(self.low[index]), int(self.high[index])
        low, high = (self.pixels[start : start + 3 * height * width] for start in starts)
        return low.view(1, 3, height, width).float() / 255, high.view(1, 3, height, width).float() / 255

    def crops(self, index: Tensor, size: int, generator: torch.Generator | None = None) -> Crops:
        """Random places for patches of the pictures in ``index`` (B,)."""
        device = self.device
        place = torch.rand(2, len(index), device=device, generator=generator)
        top = (place[0] * (self.height[index] - size + 1)).long()
        left = (place[1] * (self.width[index] - size + 1)).long()
        return Crops(index, top, left, torch.randint(8, index.shape, device=device, generator=generator))

    def cut(self, crops: Crops, size: int) -> tuple[Tensor, Tensor]:
        """The patches there, low and high cut and turned alike: two (B, 3, size, size) in [0, 1]."""
        index, top, left, way = crops
        rows, cols = symmetries(size, self.device)
        height, width = self.height[index], self.width[index]
        y = (top[:, None, None] + rows[way])[:, None]
        x = (left[:, None, None] + cols[way])[:, None]
        channel = torch.arange(3, device=self.device)[:, None, None]
        low, high, height, width = (t[:, None, None, None] for t in (self.low[index], self.high[index], height, width))
        where = (channel * height + y) * width + x
        return self.pixels[low + where].float() / 255, self.pixels[high + where].float() / 255

    def patches(
        self,
        index: Tensor,
        size: int,
        generator: torch.Generator | None = None,
        noise: torch.Generator | None = None,
        share: Share = whole,
    ) -> tuple[Tensor, ...]:
        """Random patches of the pictures in ``index`` (B,): low and high, (B, 3, size, size) in [0, 1]; of several
        processes, each gets its ``share`` of B.

        All draw the same from ``generator``, about which pictures and how, and each from its own ``noise``, if there is
        one, what pixels need.
        """
        return self.cut(Crops(*map(share, self.crops(index, size, generator))), size)

    def epoch(
        self, batch: int, size: int, generator: torch.Generator | None = None, share: Share = whole
    ) -> Iterator[tuple[Tensor, ...]]:
        """Every pair once and as many photographs, others each time, in random order, ``batch`` patches at a time, or
        this process's ``share`` of these; a short last batch is left out.

        With fewer pictures than ``batch`` the order wraps, so that an epoch has at least one batch.
        """
        seeds = share(torch.randint(2**62, (batch,), device=self.device, generator=generator))
        noise = torch.Generator(self.device).manual_seed(int(seeds[0]))
        order = torch.randperm(len(self), device=self.device, generator=generator)
        photograph = self.made[order]
        order = order[~photograph | (photograph.cumsum(0) <= self.shown)]
        if len(order) < batch:
            order = order.repeat(-(-batch // len(order)))[:batch]
        for index in order.split(batch):
            if len(index) == batch:
                yield self.patches(index, size, generator, noise, share)


class SynthesisBank(PairBank):
    """A PairBank in which the dark pictures of photographs are made anew, on the device, for each patch.

    A patch is taken to lie anywhere in a frame of LOL's size.
    """

    FRAME = 400, 600

    def patches(
        self,
        index: Tensor,
        size: int,
        generator: torch.Generator | None = None,
        noise: torch.Generator | None = None,
        share: Share = whole,
    ) -> tuple[Tensor, ...]:
        """As those of a PairBank; the low ones of photographs with parameters and noise of their own."""
        low, high = super().patches(index, size, generator, noise, share)
        if self.photographs:
            chance = torch.rand(2, len(index), generator=generator, device=self.device)
            top, left = (share(where) * max(side - size, 0) for where, side in zip(chance, self.FRAME, strict=True))
            place = places(size, size, top, left, frame=self.FRAME)
            by = Darkening(*map(share, draw(len(index), generator)))
            dark = darken(high, by, noise or generator, place)
            low = torch.where(self.made[share(index)][:, None, None, None], dark, low)
        return low, high


@cache
def symmetries(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and column of every patch pixel under the 8 turns and flips of a square; each (8, size, size)."""
    axis = torch.arange(size, device=device)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"))
    turned = [torch.rot90(grid, quarter, dims=(1, 2)) for quarter in range(4)]
    rows, cols = torch.stack([*turned, *(t.flip(1) for t in turned)], dim=1)
    return rows, cols
