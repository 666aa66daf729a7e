"""Enhancer: a trained model on a device, ready for pictures of any size. The one place where pictures meet networks."""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...settings import DEFAULT_MODEL, Denoise, Precision
from .. import checkpoints, tiling
from ..device import choose, fast_bf16, free_memory, give_back_memory, out_of_memory
from ..errors import OutOfMemoryError
from ..networks import Context, Retinex, thumbnail
from ..pictures import images
from ..pictures.colour import Profile
from ..pictures.picture import Picture, converted, log_average, luma, quantised, scaled
from .look import PLAIN, Look, cleaned, rendered

Kind = TypeVar("Kind", Image.Image, np.ndarray, Tensor)
Value = TypeVar("Value")
Steps: TypeAlias = Generator[float, None, Value]
"""Work that yields, tile by tile, the share that is done, and returns its result."""
SAMPLED = 1024
"""Pixels along each side that are enough to make a thumbnail of."""
WORKSPACE = {"cpu": 300 << 20, "cuda": 6 << 30, "mps": 1 << 30}
"""Bytes that one tile may take where memory is plenty, besides 2 for each pixel of the picture: a huge picture takes
more itself. The larger the tiles, the less is computed twice."""
HUGE = 20_000_000
"""Pixels of a picture from which on memory is given back after each tile, which takes time."""
LEAST_TILE = 128
"""Side in px of the smallest tiles that are worth while: smaller ones would compute each pixel more than six times."""
REDUCE = "reduce it first, or close other programs"
"""What helps where memory is too short for any tile."""
AROUND = 110
"""Bytes of a tile's pixel besides the network's activations: the picture, its maps and the result, in floats."""
MAPS = {"reflectance": 3, "illumination": 1, "relit": 1, "enhanced": 3}
"""What a picture is taken apart into, and the channels of each."""


class Task(NamedTuple):
    """A picture to enhance, how, and where its result goes."""

    picture: Picture
    look: Look
    profile: Profile | None
    gray: bool
    result: Tensor


class Tile(NamedTuple):
    """A part of some pictures of one size, and what the network says about it."""

    box: tiling.Box
    seen: tiling.Box  # the box and its halo, which is what the tensors cover
    share: float  # of the pictures done with it
    low: Tensor  # (B, 3, h, w), sRGB in [0, 1]; beyond it where a wide-gamut picture is
    maps: Retinex

    def keep(self, values: Tensor, into: Tensor) -> None:
        """Put the box's part of (C, h, w) into the whole (C, H, W), in the whole's type."""
        part = self.box.cut(values, origin=(self.seen.top, self.seen.left))
        part = part if into.is_floating_point() else quantised(part, into.dtype)
        self.box.cut(into).copy_(part.to(into.device))  # first there, then in its type: Apple's GPUs have no float64


class Enhancer:
    """A packaged model by name, or a checkpoint by path, on ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    ``precision`` is the network's arithmetic: ``fp32``, ``bf16``, or ``auto``, which is bf16 where that is fast and the
    result is 8 bit. ``tile`` is the side in px of the parts in which large pictures are computed, ``auto`` by free
    memory, or ``off``; the result does not depend on it. ``ensemble`` averages the maps over the 8 turned and mirrored
    copies of the picture, at 8 times the time (Lim et al., CVPR Workshops 2017, arXiv:1707.02921, section 3.3).
    One Enhancer may serve several threads: they take turns, tile by tile. It makes torch count numbers below 1e-38 as 0
    in this thread and in those that it starts, since the processor is slow with them.

    >>> Enhancer().enhance(torch.zeros(3, 20, 30)).shape
    torch.Size([3, 20, 30])
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        device: str | torch.device = "auto",
        *,
        precision: Precision = "auto",
        tile: int | Literal["auto", "off"] = "auto",
        ensemble: bool = False,
    ) -> None:
        if precision not in ("auto", "fp32", "bf16"):
            raise ValueError(f"precision {precision}: give auto, fp32 or bf16")
        if tile not in ("auto", "off") and not (isinstance(tile, int) and tile > 0):
            raise ValueError(f"tile {tile}: give auto, off or a number of px")
        torch.set_flush_denormal(True)
        self.device = choose(device)
        net, self.about = checkpoints.load(str(model))
        self.net = net.to(self.device).to(memory_format=torch.channels_last)
        self.precision = precision
        self.tile = tile
        self.passes = tiling.TURNS if ensemble else 1
        self._lock = threading.Lock()

    @property
    def parameters(self) -> int:
        """The number of the model's parameters."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    @overload
    def enhance(
        self,
        image: Path | str,
        *,
        strength: float = ...,
        shadows: float = ...,
        denoise: Denoise = ...,
        protect_highlights: bool = ...,
    ) -> Image.Image: ...

    @overload
    def enhance(
        self,
        image: Kind,
        *,
        strength: float = ...,
        shadows: float = ...,
        denoise: Denoise = ...,
        protect_highlights: bool = ...,
    ) -> Kind: ...

    def enhance(
        self,
        image: Any,
        *,
        strength: float = 1.0,
        shadows: float = 0.0,
        denoise: Denoise = "off",
        protect_highlights: bool = False,
    ) -> Any:
        """The enhanced picture, same size, as what was given; of a file, a Pillow image.

        A Pillow image may be of any mode and comes back upright as L, LA, I;16, RGB or RGBA, with EXIF and profile.
        A NumPy array is (H, W) or (H, W, C): 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA. A tensor is (C, H, W), likewise.
        Both are uint8, uint16, or floats in [0, 1], and come back so; alpha comes back untouched.
        ``strength`` goes from 0, the picture itself, over 1, the network's answer, to 1.5; pictures that are well
        exposed get less. ``shadows`` evens out what is left of uneven light: 0 not at all, 1 until the reflectance
        is all there is. ``denoise`` smooths the reflectance of dark places; ``protect_highlights`` keeps lamps from
        burning out. What has no colour gets none.
        Raises PictureError for a file that cannot be read and for other shapes, ValueError for values beyond these,
        OutOfMemoryError.
        """
        picture, returned = images.taken(image)
        (result,) = finish(self.enhanced([picture], Look(strength, denoise, protect_highlights, shadows)))
        return returned(result)

    def decompose(self, image: Image.Image | np.ndarray | Tensor | Path | str, *, denoise: Denoise = "off") -> Retinex:
        """The maps of a picture in any form that ``enhance`` takes: each (3 or 1, H, W), float32, on the CPU."""
        picture, _ = images.taken(image)
        maps = finish(self.decomposed(picture, Look(denoise=denoise), dtype=torch.float32))
        return Retinex(*(maps[name] for name in Retinex._fields))

    def enhanced(
        self, pictures: Sequence[Picture], look: Look = PLAIN, *, dtype: torch.dtype | None = None
    ) -> Steps[list[Picture]]:
        """Enhance pictures of one size and type together, into ``dtype`` or their own. Raises OutOfMemoryError."""
        results = [converted(picture.samples, dtype or picture.samples.dtype) for picture in pictures]
        suited = [look.suited(log_average(picture)) for picture in pictures]
        tasks = [
            Task(picture, own, Profile.of(picture.origin.icc), picture.gray, result)
            for picture, own, result in zip(pictures, suited, results, strict=True)
            if not own.idle
        ]
        samples, profiles = [task.picture.samples for task in tasks], [task.profile for task in tasks]
        with self._memory(*pictures[0].size):
            for tile in self._tiles(samples, profiles, look.halo, bf16=self._in_bf16(results[0].dtype)):
                maps = cleaned(tile.maps, look)
                for row, task in enumerate(tasks):
                    alone = slice(row, row + 1)
                    mine = Retinex(*(part[alone] for part in maps))
                    pixels = rendered(tile.low[alone], mine, task.look)[0]
                    pixels = pixels.clamp(0, 1) if task.profile is None else task.profile.from_srgb(pixels)
                    tile.keep(luma(pixels) if task.gray else pixels, task.result)
                yield tile.share
        return [replace(picture, samples=result) for picture, result in zip(pictures, results, strict=True)]

    def decomposed(self, picture: Picture, look: Look = PLAIN, *, dtype: torch.dtype) -> Steps[dict[str, Tensor]]:
        """The ``MAPS`` of a picture by name: (3 or 1, H, W) of ``dtype``."""
        results = {name: torch.empty(channels, *picture.size, dtype=dtype) for name, channels in MAPS.items()}
        profile, gray = Profile.of(picture.origin.icc), picture.gray
        with self._memory(*picture.size):
            for tile in self._tiles([picture.samples], [profile], look.halo, bf16=self._in_bf16(dtype)):
                maps = cleaned(tile.maps, look)
                reflectance, *lights = maps
                coloured = (reflectance, rendered(tile.low, maps, look).clamp(0, 1))
                reflectance, enhanced = map(luma, coloured) if gray else coloured
                for found, result in zip((reflectance, *lights, enhanced), results.values(), strict=True):
                    tile.keep(found[0], result)
                yield tile.share
        return results

    def _in_bf16(self, dtype: torch.dtype) -> bool:
        """Whether to compute a result of that type in bf16: it leaves 99 of 100 values of 8 bit within one level,
        with ``shadows`` 95."""
        auto = self.precision == "auto" and dtype == torch.uint8 and fast_bf16(self.device)
        return auto or self.precision == "bf16"

    def _tiles(
        self, given: Sequence[Tensor], profiles: Sequence[Profile | None], halo: int, *, bf16: bool
    ) -> Iterator[Tile]:
        """Compute (C, H, W) samples of one shape, part by part. ``halo`` is what is needed beyond the network's own."""
        if not given:
            return
        height, width = given[0].shape[1:]
        halo = ceil((self.net.HALO + halo) / self.net.MULTIPLE) * self.net.MULTIPLE
        size = self._tile_size(height, width, len(given), halo, bf16=bf16)
        told = self._told(given, profiles)
        boxes = list(tiling.boxes(height, width, size))
        for count, box in enumerate(boxes, 1):
            seen = box.grown(halo, height, width)
            with torch.inference_mode():
                low = self._pixels([seen.cut(samples) for samples in given], profiles)
                with self._lock, torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                    maps = self._maps(low, [tell(seen) for tell in told])
            yield Tile(box, seen, count / len(boxes), low, maps)
            if height * width > HUGE:
                give_back_memory()

    def _pixels(self, given: Sequence[Tensor], profiles: Sequence[Profile | None]) -> Tensor:
        """(C, H, W) samples of one shape as sRGB, (B, 3, H, W), on the device."""
        parts = []
        for samples, profile in zip(given, profiles, strict=True):
            samples = samples.float() if samples.dtype == torch.float64 else samples  # which MPS has not
            part = scaled(samples.to(self.device)).float().expand(3, -1, -1)
            parts.append(part if profile is None else profile.to_srgb(part))
        return torch.stack(parts)

    def _told(self, given: Sequence[Tensor], profiles: Sequence[Profile | None]) -> list[tiling.Conditioning]:
        """What each pass tells the network besides the pixels of a tile; of large pictures every few pixels will do."""
        height, width = given[0].shape[1:]
        down, right = (max(side // SAMPLED, 1) for side in (height, width))
        with torch.inference_mode(), self._lock, torch.autocast(self.device.type, enabled=False):
            small = thumbnail(self._pixels([samples[:, ::down, ::right] for samples in given], profiles).clamp(0, 1))
            return [tiling.conditioning(self.net, small, height, width, turn) for turn in range(self.passes)]

    def _maps(self, low: Tensor, told: Sequence[tuple[Tensor | Context, ...]]) -> Retinex:
        """The network's answer to (B, 3, h, w), or the mean of its answers."""
        height, width = low.shape[-2:]
        image = tiling.padded(low.clamp(0, 1), self.net.MULTIPLE).contiguous(memory_format=torch.channels_last)
        found: list[Tensor] = []
        for turn, besides in enumerate(told):
            answer = self.net(tiling.turned(image, turn).contiguous(memory_format=torch.channels_last), *besides)
            parts = [tiling.turned_back(part, turn).float() for part in answer]
            found = [total.add_(part) for total, part in zip(found, parts, strict=True)] if found else parts
        return Retinex(*(total[..., :height, :width].div_(self.passes) for total in found))

    @contextmanager
    def _memory(self, height: int, width: int) -> Iterator[None]:
        """Raise OutOfMemoryError, with the remedy, where memory runs out over a picture of that size."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            small = isinstance(self.tile, int) and self.tile <= LEAST_TILE
            remedy = REDUCE if small else f"use --tile {LEAST_TILE}"
            raise OutOfMemoryError(f"not enough memory for {height}x{width} px: {remedy}") from error

    def _tile_size(self, height: int, width: int, count: int, halo: int, *, bf16: bool) -> tuple[int, int]:
        """Height and width of the parts to compute."""
        if self.tile == "off":
            return height, width
        if self.tile != "auto":
            side = ceil(self.tile / self.net.MULTIPLE) * self.net.MULTIPLE
            return side, side
        wanted = WORKSPACE[self.device.type] + 2 * height * width * count
        room = min(wanted, free_memory(self.device) // 2)
        each = self.net.BYTES_ON_CPU if self.device.type == "cpu" else self.net.BYTES
        pixels = int(room / (each * (0.6 if bf16 else 1) + AROUND) / count)
        pixels = max(pixels, (LEAST_TILE + 2 * halo) ** 2)
        return tiling.fitting(height, width, pixels, halo=halo, multiple=self.net.MULTIPLE)


def finish(steps: Steps[Value]) -> Value:
    """The result of work that is done in steps."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
