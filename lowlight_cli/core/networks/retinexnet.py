"""RetinexNet: split a dark photograph into reflectance and light, then turn the light up.

Paper: Wei, Wang, Yang, Liu, "Deep Retinex Decomposition for Low-Light Enhancement", BMVC 2018 (arXiv:1808.04560).
Layers, padding and activations follow the authors' TensorFlow graph, not the paper, where the two differ.
"""

from math import ceil
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .exposure import exposed, mean_of


class Decomposition(NamedTuple):
    """S = R o I, the Retinex model."""

    reflectance: Tensor  # (B, 3, H, W) in (0, 1)
    illumination: Tensor  # (B, 1, H, W) in (0, 1)


class Retinex(NamedTuple):
    """The maps that a network makes of a picture."""

    reflectance: Tensor  # R, (B, 3, H, W) in [0, 1]
    illumination: Tensor  # I, (B, 1, H, W) in [0, 1]
    relit: Tensor  # I_hat, the adjusted illumination, (B, 1, H, W), unbounded

    @property
    def enhanced(self) -> Tensor:
        """S_hat = R o I_hat, (B, 3, H, W); not clamped."""
        return self.reflectance * self.relit


Upsampling = Literal["resize", "transposed"]

DECOM_REACH, ENHANCE_REACH = 10, 23
"""Receptive radii of both nets in px."""


class DecomNet(nn.Module):
    """Decom-Net: (B, 3, H, W) in [0, 1] to reflectance and illumination."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, width, 9, padding=4)  # no activation: as in the authors' graph
        self.body = nn.Sequential()
        for _ in range(5):
            self.body.append(nn.Conv2d(width, width, 3, padding=1))
            self.body.append(nn.ReLU(inplace=True))
        self.head = nn.Conv2d(width, 3 + 1, 3, padding=1)

    def forward(self, image: Tensor) -> Decomposition:
        brightest = image.amax(dim=1, keepdim=True)
        maps = self.head(self.body(self.stem(torch.cat([brightest, image], dim=1)))).sigmoid()
        return Decomposition(reflectance=maps[:, :3], illumination=maps[:, 3:])


class EnhanceNet(nn.Module):
    """Enhance-Net ("RelightNet" in the authors' code): R and I to I_hat, (B, 1, H, W), unbounded.

    Both sides must be multiples of 8: it halves three times. On the way up it either resizes, then convolves (the
    authors' way), or uses transposed convolutions of the same number of weights.
    """

    def __init__(self, width: int = 64, upsampling: Upsampling = "resize") -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, width, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, stride=2) for _ in range(3))
        self.up = nn.ModuleList(UPSAMPLING[upsampling](width) for _ in range(3))
        self.fuse = nn.Conv2d(3 * width, width, 1)
        self.head = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, reflectance: Tensor, illumination: Tensor) -> Tensor:
        full = self.stem(torch.cat([reflectance, illumination], dim=1))
        half = halve(self.down[0], full)
        quarter = halve(self.down[1], half)
        eighth = halve(self.down[2], quarter)
        up_quarter = self.up[0](eighth).relu_() + quarter
        up_half = self.up[1](up_quarter).relu_() + half
        up_full = self.up[2](up_half).relu_() + full
        return self.fused(up_quarter, up_half, up_full)

    def fused(self, up_quarter: Tensor, up_half: Tensor, up_full: Tensor) -> Tensor:
        """``head(fuse(cat(...)))`` of the three scales at full size, which the authors' graph computes, without them.

        Both layers are linear and resizing repeats pixels, so the nine taps of ``head`` are taken at each scale as 1x1
        convolutions, and only these are resized and summed: half of Enhance-Net's time and memory is saved.
        """
        by_tap = self.head.weight[0].flatten(1).T  # (9, width)
        quarter, half, full = (by_tap @ self.fuse.weight.flatten(1)).unflatten(1, (3, -1)).unbind(1)  # (9, width) each
        bias = None if self.fuse.bias is None else by_tap @ self.fuse.bias
        small = F.conv2d(up_half, half[..., None, None]) + double(F.conv2d(up_quarter, quarter[..., None, None]))
        taps = F.conv2d(up_full, full[..., None, None], bias) + double(small)
        each_in_its_place = torch.eye(9, dtype=taps.dtype, device=taps.device).view(1, 9, 3, 3)
        return F.conv2d(taps, each_in_its_place, self.head.bias, padding=1)


class RetinexNet(nn.Module):
    """Decom-Net and Enhance-Net: (B, 3, H, W) in [0, 1] to R, I and I_hat. Sides are multiples of ``MULTIPLE``.

    With ``ignore_enhance_net`` there is no Enhance-Net and I_hat is 1: the enhanced picture is the reflectance. With an
    ``exposure`` above 0, pictures with a lower mean are turned up to it before the nets see them, and I is turned down
    again. This tells nets that see no farther than 33 px how dark a place is compared with its whole picture. The
    authors use 0.
    """

    BYTES = BYTES_ON_CPU = 1100
    """Memory that the activations take for each pixel, in float32."""
    MULTIPLE = 8
    """Both sides of an input must be a multiple of this many pixels: Enhance-Net halves three times."""

    def __init__(
        self,
        width: int = 64,
        upsampling: Upsampling = "resize",
        *,
        ignore_enhance_net: bool = False,
        exposure: float = 0.0,
    ) -> None:
        super().__init__()
        self.config = {
            "width": width,
            "upsampling": upsampling,
            "ignore_enhance_net": ignore_enhance_net,
            "exposure": exposure,
        }
        self.exposure = exposure
        reach = DECOM_REACH + (0 if ignore_enhance_net else ENHANCE_REACH)
        self.HALO = ceil(reach / self.MULTIPLE) * self.MULTIPLE
        """Context in px that a tile needs on each side: the receptive radius, rounded up to ``MULTIPLE``."""
        self.decom = DecomNet(width)
        self.enhance = None if ignore_enhance_net else EnhanceNet(width, upsampling)
        self.apply(glorot)

    def gain(self, thumbnail: Tensor) -> Tensor:
        """How far to turn up the pictures with these thumbnails, (B, 1, 1, 1), at least 1."""
        return (self.exposure / mean_of(thumbnail)).clamp(min=1.0)[:, None, None, None]

    def relight(self, reflectance: Tensor, illumination: Tensor) -> Tensor:
        """I_hat, (B, 1, H, W), of a decomposition."""
        return torch.ones_like(illumination) if self.enhance is None else self.enhance(reflectance, illumination)

    def forward(self, image: Tensor, gain: Tensor | None = None) -> Retinex:
        """The maps of a picture, or of a part of one, given the whole one's ``gain`` if there is an ``exposure``."""
        light = None if gain is None else turned_up(image, gain)
        reflectance, illumination = self.decom(image if light is None else image * light)
        relit = self.relight(reflectance, illumination)
        return Retinex(reflectance, illumination if light is None else illumination / light, relit)


def turned_up(image: Tensor, gain: Tensor) -> Tensor:
    """What to multiply each pixel of (B, 3, H, W) with, (B, 1, H, W), so that its brightest channel is ``exposed``."""
    brightest = image.amax(dim=1, keepdim=True).clamp(min=1e-4)  # below, the exposure is linear
    return exposed(brightest, gain) / brightest


def glorot(layer: nn.Module) -> None:
    """Initial weights as TensorFlow's layers draw them: Glorot-uniform kernels, zero biases."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def halve(conv: nn.Module, x: Tensor) -> Tensor:
    """Stride-2 convolution padded as TensorFlow "SAME" pads an even side: bottom and right only."""
    return conv(F.pad(x, (0, 1, 0, 1))).relu_()


def double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Resized(nn.Conv2d):
    """Nearest resize to twice the size, then a 3x3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(double(x))


class Transposed(nn.ConvTranspose2d):
    """A 3x3 transposed convolution to exactly twice the size."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3, stride=2, padding=1, output_padding=1)


UPSAMPLING: dict[Upsampling, type[Resized] | type[Transposed]] = {"resize": Resized, "transposed": Transposed}
