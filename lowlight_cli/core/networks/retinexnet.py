"""RetinexNet: split a dark photograph into reflectance and light, then turn the light up.

Paper: Wei, Wang, Yang, Liu, "Deep Retinex Decomposition for Low-Light Enhancement", BMVC 2018 (arXiv:1808.04560).
Layers, padding and activations follow the authors' TensorFlow graph, not the paper, where the two differ.
"""

from math import ceil
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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

HALVED = 8
"""Enhance-Net halves three times."""
DECOM_REACH, ENHANCE_REACH = 10, 23
"""Receptive radii of both nets in px."""


class DecomNet(nn.Module):
    """Decom-Net: (B, 3, H, W) in [0, 1] to reflectance and illumination."""

    def __init__(self, width: int = 64, depth: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, width, 9, padding=4)  # no activation: as in the authors' graph
        self.body = nn.Sequential()
        for _ in range(depth):
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

    With ``ignore_enhance_net`` there is no Enhance-Net and I_hat is 1: the enhanced picture is the reflectance. With a
    ``light_scale`` above 1 Enhance-Net sees R and I at that fraction of the resolution, and so that many times as far;
    I_hat, which is smooth, is brought back to full size linearly. The authors' is 1.
    """

    BYTES = BYTES_ON_CPU = 1100
    """Memory that the activations take for each pixel, in float32."""

    def __init__(
        self,
        width: int = 64,
        upsampling: Upsampling = "resize",
        *,
        ignore_enhance_net: bool = False,
        light_scale: int = 1,
    ) -> None:
        super().__init__()
        self.config = {
            "width": width,
            "upsampling": upsampling,
            "ignore_enhance_net": ignore_enhance_net,
            "light_scale": light_scale,
        }
        self.light_scale = light_scale
        self.MULTIPLE = HALVED if light_scale == 1 else light_scale
        """Both sides of an input must be a multiple of this many pixels."""
        reach = DECOM_REACH + (ENHANCE_REACH if light_scale == 1 and not ignore_enhance_net else 0)
        self.HALO = ceil(reach / self.MULTIPLE) * self.MULTIPLE
        """Context in px that a tile needs on each side: the receptive radius, rounded up to ``MULTIPLE``; Decom-Net's
        where there is no Enhance-Net, or where it sees less resolution, as tiles are then given their I_hat."""
        self.decom = DecomNet(width)
        self.enhance = None if ignore_enhance_net else EnhanceNet(width, upsampling)
        self.apply(glorot)

    def relight(self, reflectance: Tensor, illumination: Tensor) -> Tensor:
        """I_hat, (B, 1, H, W), of a decomposition."""
        if self.enhance is None:
            return torch.ones_like(illumination)
        if self.light_scale == 1:
            relit: Tensor = self.enhance(reflectance, illumination)
            return relit
        return self.enlarged(self.small_light(self.small_maps(Decomposition(reflectance, illumination))))

    def small_maps(self, maps: Decomposition) -> Tensor:
        """What Enhance-Net sees of R and I: (B, 4, H / ``light_scale``, W / ``light_scale``)."""
        return F.avg_pool2d(torch.cat(maps, dim=1), self.light_scale)

    def small_light(self, small: Tensor) -> Tensor:
        """I_hat at the scale of ``small_maps``, of whole pictures."""
        assert self.enhance is not None
        height, width = small.shape[-2:]
        grown = F.pad(small, (0, -width % HALVED, 0, -height % HALVED), mode="replicate")
        relit: Tensor = self.enhance(grown[:, :3], grown[:, 3:])
        relit = relit[..., :height, :width]
        return relit.to(torch.promote_types(relit.dtype, torch.float32))  # bf16 would show as bands when enlarged

    def enlarged(self, light: Tensor) -> Tensor:
        """``small_light`` at full size."""
        return F.interpolate(light, scale_factor=float(self.light_scale), mode="bilinear", align_corners=False)

    def forward(self, image: Tensor, relit: Tensor | None = None) -> Retinex:
        """The maps of a picture; of a part of one, I_hat may be given."""
        reflectance, illumination = self.decom(image)
        relit = self.relight(reflectance, illumination) if relit is None else relit
        return Retinex(reflectance, illumination, relit)


def glorot(layer: nn.Module) -> None:
    """Initial weights as TensorFlow's layers draw them: Glorot-uniform kernels, zero biases."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def halve(conv: nn.Module, x: Tensor) -> Tensor:
    """Stride-2 convolution padded as TensorFlow "SAME" pads an even side: bottom and right only."""
    y: Tensor = conv(F.pad(x, (0, 1, 0, 1)))
    return y.relu_()


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
