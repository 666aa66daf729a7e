"""A picture in memory, and the values of its pixels."""

from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import PictureError
from .colour import Profile
from .metadata import NOTHING, Origin

LEAST, MOST = -0.5, 2.0
"""Floats beyond these are no overshoot: they must have been stored with another black than 0, or white than 1."""
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Picture:
    """An upright picture, as it was stored."""

    samples: Tensor  # (C, H, W) uint8, uint16, or floats in [0, 1]: C = 3 is RGB, C = 1 gray
    alpha: Tensor | None = None  # (1, H, W) of the same type
    origin: Origin = NOTHING

    @property
    def srgb(self) -> Tensor:
        """Its colours as sRGB has them, (3, H, W) of the samples' type; those that sRGB lacks at its border."""
        profile = Profile.of(self.origin.icc) if len(self.samples) == 3 else None
        if profile is None:
            return self.samples.expand(3, -1, -1)
        pixels = profile.to_srgb(scaled(self.samples).float()).clamp(0, 1)
        dtype = self.samples.dtype
        return pixels.to(dtype) if dtype.is_floating_point else quantised(pixels, dtype)

    @property
    def pixels(self) -> Tensor:
        """``srgb`` as floats in [0, 1], float32 unless the samples are others."""
        return scaled(self.srgb).contiguous()

    @property
    def gray(self) -> bool:
        """Whether it has no colour, however it is stored: what is made of it shall have none either."""
        if self.origin.kind == "WEBP" and self.samples.dtype == torch.uint8:  # which, lossy, rounds gray a level off
            return int((self.samples.amax(0) - self.samples.amin(0)).max()) <= 1
        return len(self.samples) == 1 or all(torch.equal(self.samples[0], other) for other in self.samples[1:])

    def thinned(self, down: int, right: int) -> "Picture":
        """Every ``down``-th row and ``right``-th column."""
        alpha = None if self.alpha is None else self.alpha[:, ::down, ::right]
        return replace(self, samples=self.samples[:, ::down, ::right], alpha=alpha)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.samples.shape[1], self.samples.shape[2]


def scaled(samples: Tensor) -> Tensor:
    """uint8 or uint16 of any shape as float32 in [0, 1]; floats unchanged."""
    return samples if samples.is_floating_point() else samples.float() / torch.iinfo(samples.dtype).max


def quantised(pixels: Tensor, dtype: torch.dtype = torch.uint8) -> Tensor:
    """[0, 1] floats of any shape to the uint8 or uint16 that a file stores: clamped and rounded."""
    exact = pixels.to(torch.promote_types(pixels.dtype, torch.float32))  # 65535 is beyond what 16 bits of float hold
    values = exact.clamp(0, 1).mul_(torch.iinfo(dtype).max).round_()
    return values.to(torch.uint8) if dtype == torch.uint8 else values.to(torch.int32).to(dtype)


def converted(samples: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy in another type of the same range: uint8, uint16, or floats in [0, 1]; interleaved, as files want it."""
    if samples.dtype == dtype:
        values = samples.clone()
    elif dtype.is_floating_point:
        values = scaled(samples).to(dtype)
    elif samples.dtype == torch.uint8:
        values = (samples.to(torch.int32) * 257).to(dtype)
    else:
        values = quantised(scaled(samples), dtype)
    return values.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def brightness(picture: Picture) -> float:
    """The mean of ``visible``."""
    return float(visible(picture).mean())


def log_average(picture: Picture) -> float:
    """The geometric mean of ``visible``, which tells dark places from few bright ones.

    Reinhard et al., "Photographic tone reproduction for digital images", SIGGRAPH 2002, eq. 1, on sRGB values.
    """
    return float((visible(picture).clamp(min=0) + 0.01).log().mean().exp())


def visible(picture: Picture) -> Tensor:
    """How bright some evenly spread pixels are, (N,) in [0, 1]: in sRGB, weighted as the eye does, without those that
    are transparent, if others are not."""
    thin = picture.thinned(*(max(side // 512, 1) for side in picture.size))
    gray = luma(thin.pixels.float())
    opaque = gray[scaled(thin.alpha) > 0] if thin.alpha is not None else gray.flatten()
    return opaque if len(opaque) else gray.flatten()


def luma(pixels: Tensor) -> Tensor:
    """(..., 3, H, W) to gray, (..., 1, H, W)."""
    return (pixels * pixels.new_tensor(LUMA).view(3, 1, 1)).sum(-3, keepdim=True)


def from_array(values: np.ndarray, origin: Origin = NOTHING) -> Picture:
    """(H, W) gray or (H, W, C) as a Picture: C = 2 is gray and alpha, 3 RGB, 4 RGBA."""
    if values.ndim == 2:
        values = values[..., None]
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.ndim != 3 or values.dtype not in (np.uint8, np.uint16, np.float16, np.float32, np.float64):
        raise PictureError(f"{values.dtype} array of shape {values.shape}: give uint8, uint16 or floats, (H, W, C)")
    if values.shape[2] not in (1, 2, 3, 4) or 0 in values.shape:
        raise PictureError(f"array of shape {values.shape}: give (H, W, C) with C from 1 to 4; a tensor is (C, H, W)")
    return from_channels(torch.from_numpy(np.require(values, requirements=["C", "W"])).permute(2, 0, 1), origin)


def from_channels(channels: Tensor, origin: Origin = NOTHING) -> Picture:
    """(C, H, W) as a Picture: C = 1 is gray, 2 gray and alpha, 3 RGB, 4 RGBA."""
    channels = channels.detach()
    if channels.ndim != 3 or len(channels) not in (1, 2, 3, 4) or 0 in channels.shape:
        raise PictureError(f"{tuple(channels.shape)} is not a picture: channels, height, width, with 1 to 4 channels")
    if not channels.is_floating_point() and channels.dtype not in (torch.uint8, torch.uint16):
        raise PictureError(f"{channels.dtype} is not a picture: give uint8, uint16 or floats in [0, 1]")
    if channels.is_floating_point():
        check_range(float(channels.min()), float(channels.max()))
    colours = 1 if len(channels) < 3 else 3
    return Picture(channels[:colours], channels[colours:] if len(channels) > colours else None, origin)


def check_range(least: float, most: float) -> None:
    """Raise PictureError if floats between these two cannot be meant to be in [0, 1]; a little beyond is overshoot."""
    if not (isfinite(least) and isfinite(most)):
        raise PictureError("some values are no numbers: give finite ones, in [0, 1]")
    if least < LEAST:
        raise PictureError(f"floats from {least:g}: they should be in [0, 1]")
    if most > MOST:
        raise PictureError(f"floats up to {most:g}: they should be in [0, 1], so divide them by what white is")


def to_channels(picture: Picture) -> Tensor:
    """(C, H, W), the alpha as last channel if there is one."""
    return picture.samples if picture.alpha is None else torch.cat([picture.samples, picture.alpha])


def to_image(channels: Tensor) -> Image.Image:
    """(C, H, W) as Pillow image of 8 bit, or I;16 for gray of 16: C = 1 is gray, 2 gray and alpha, 3 RGB, 4 RGBA."""
    if channels.is_floating_point() or (channels.dtype == torch.uint16 and len(channels) > 1):
        channels = quantised(scaled(channels))
    values = channels.permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
