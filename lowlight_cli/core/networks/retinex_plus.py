"""RetinexPlus: a small U-Net of gated blocks that restores a dark photograph, still as reflectance times light.

What concerns the whole picture (how much to turn the light up, its colour, what kind of picture it is, what is where in
it) is read once from a thumbnail and handed to the local network as a context: gains, a vector, and maps of the scene,
of which a tile gets its part. No layer looks at statistics of the pixels it is given, so that a tile computes what the
whole picture would.

The gated depthwise blocks follow Chen et al., "Simple Baselines for Image Restoration", ECCV 2022 (arXiv:2204.04676),
with the context in place of their channel attention; the modulation is FiLM (Perez et al., AAAI 2018,
arXiv:1709.07871).
"""

from collections.abc import Sequence
from contextlib import nullcontext
from math import ceil
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .exposure import exposed, mean_of
from .retinexnet import Retinex

MEAN = 0.4
"""Mean to which the exposure scales a picture before ``GlobalNet`` corrects it."""
BAND = 2 << 20
"""Bytes of a block's input that a CPU works on at a time; its cache must hold some eight times that."""


class Context(NamedTuple):
    """What the local network is told about whole pictures."""

    log_gain: Tensor  # (B, 3), the natural logarithm of the gain of each channel
    vector: Tensor  # (B, K)
    scene: Tensor  # (B, 3 + M, h, w): the pictures enhanced, small and blurred, and M further maps


class Restored(NamedTuple):
    """What the local network makes of a picture."""

    enhanced: Tensor  # S, (B, 3, H, W), about [0, 1] but not clamped
    light: Tensor  # (B, 1, H, W) in (0, 1): the smooth light, before it is kept above S
    gain: Tensor  # (B, 3, 1, 1): how much the exposure turned the light up


def sampled(maps: Tensor, frame: Tensor, size: Sequence[int]) -> Tensor:
    """The part of (B, C, h, w) maps of whole pictures that lies in a frame, at another size, (B, C, *size).

    ``frame`` (B, 4) is top, left, bottom and right as shares of the picture's sides. Linear; beyond the picture, its
    edge.
    """
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))  # in bf16 places would be a twentieth of a cell off
    top, left, bottom, right = frame.to(maps)[:, :, None].unbind(1)

    def centres(start: Tensor, end: Tensor, count: int) -> Tensor:  # of pixels, where grids have the picture in -1 to 1
        return start + end - 1 + (end - start) * torch.arange(1 - count, count, 2, device=maps.device) / count

    y, x = centres(top, bottom, size[0]), centres(left, right, size[1])
    height, width = maps.shape[-2:]  # clamped here, since Apple's GPUs have had no padding by the border
    y, x = y.clamp(1 / height - 1, 1 - 1 / height), x.clamp(1 / width - 1, 1 - 1 / width)
    y, x = torch.broadcast_tensors(y[:, :, None], x[:, None, :])
    return F.grid_sample(maps, torch.stack([x, y], dim=3), align_corners=False)


class PixelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel of (B, C, H, W). Without it the gated blocks diverge.

    In the precision of its weights, in which it is also three times as fast on a CPU as in bf16.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.to(self.weight.dtype).permute(0, 2, 3, 1)).permute(0, 3, 1, 2).to(x.dtype)


class Block(nn.Module):
    """Two gated residual steps on (B, C, H, W): a spatial one, modulated by the context (B, K), and a pointwise one."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = PixelNorm(width), PixelNorm(width)
        self.film = nn.Linear(context, 2 * width)
        self.expand1 = nn.Conv2d(width, 2 * width, 1)
        self.spread = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.join1 = nn.Conv2d(width, width, 1)
        self.expand2 = nn.Conv2d(width, 2 * width, 1)
        self.join2 = nn.Conv2d(width, width, 1)
        for last in (self.film, self.join1, self.join2):  # a block begins as the identity
            zeroed(last)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        film = self.film(context)[:, :, None, None]
        rows = max(BAND // x[..., 0, :].nbytes, 8)
        if x.device.type != "cpu" or torch.is_grad_enabled() or rows >= x.shape[-2]:
            return self.both(x, film)
        result = torch.empty_like(x)
        for top in range(0, x.shape[-2], rows):  # what lies between two layers then stays in the processor's cache
            start = max(top - 1, 0)  # a row more on each side, for the spatial step
            band = self.both(x[..., start : top + rows + 1, :], film)
            into = result[..., top : top + rows, :]
            into.copy_(band[..., top - start : top - start + into.shape[-2], :])
        return result

    def both(self, x: Tensor, film: Tensor) -> Tensor:
        """Both steps on all of ``x`` at once, with the context's scale and shift (B, 2 C, 1, 1)."""
        scale, shift = film.chunk(2, dim=1)
        x = x + self.join1(gated(self.spread(self.expand1(torch.addcmul(shift, self.norm1(x), 1 + scale)))))
        return x + self.join2(gated(self.expand2(self.norm2(x))))


def zeroed(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def gated(x: Tensor) -> Tensor:
    """The product of both halves of the channels."""
    a, b = x.chunk(2, dim=1)
    return a * b


class Stage(nn.ModuleList):
    """Blocks of one width, one after the other."""

    def __init__(self, width: int, depth: int, context: int) -> None:
        super().__init__(Block(width, context) for _ in range(depth))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        for block in self:
            x = block(x, context)
        return x


class GlobalNet(nn.Module):
    """A thumbnail to the natural logarithm of the gain of each channel, (B, 3), and the context's vector, (B, K)."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.body = nn.Sequential()
        channels = 6
        for out in (width // 2, width, width, width):
            self.body.extend([nn.Conv2d(channels, out, 3, stride=2, padding=1), nn.GELU()])
            channels = out
        self.hidden = nn.Linear(2 * width + 1, 2 * width)
        self.exposure = nn.Linear(2 * width, 1 + 3)
        self.vector = nn.Linear(2 * width, size)
        zeroed(self.exposure)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        log_gain = torch.log(MEAN / mean_of(picture))[:, None]
        seen = self.body(torch.cat([picture, exposed(picture, log_gain.exp()[:, :, None, None])], dim=1))
        told = torch.cat([seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3)), log_gain], dim=1)
        hidden = F.gelu(self.hidden(told))
        overall, channels = self.exposure(hidden).split([1, 3], dim=1)
        balance = 0.3 * torch.tanh(channels - channels.mean(dim=1, keepdim=True))
        return log_gain + overall + balance, self.vector(hidden)


class UNet(nn.Module):
    """Stages of blocks that halve the resolution, then double it again, with skips added."""

    def __init__(self, widths: Sequence[int], depths: Sequence[int], context: int) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for width, wider, depth in zip(widths, widths[1:], depths, strict=False):
            self.encoder.append(Stage(width, depth, context))
            self.down.append(nn.Conv2d(width, wider, 2, stride=2))
            self.up.append(nn.Conv2d(wider, 4 * width, 1))
            self.decoder.append(Stage(width, depth, context))
        self.middle = Stage(widths[-1], depths[-1], context)

    def processed(self, x: Tensor, context: Tensor, told: Tensor | None = None) -> Tensor:
        """(B, widths[0], H, W) to the same shape under a context vector (B, K); ``told`` is added to what reaches the
        middle."""
        skips = []
        for stage, down in zip(self.encoder, self.down, strict=True):
            skips.append(stage(x, context))
            x = down(skips[-1])
        x = self.middle(x if told is None else x + told, context)
        for stage, up in zip(reversed(self.decoder), reversed(self.up), strict=True):
            x = stage(skips.pop() + F.pixel_shuffle(up(x), 2), context)  # the sum's layout is that of its first part
        return x


class SceneNet(UNet):
    """A thumbnail, the same exposed, and the context's vector to maps of the scene, (B, 3 + ``maps``, 32, 32).

    They begin with the picture enhanced, small and blurred. At this size every place sees the whole picture, which at
    full size none does.
    """

    def __init__(self, widths: Sequence[int], depths: Sequence[int], context: int, maps: int) -> None:
        super().__init__(widths, depths, context)
        self.stem = nn.Conv2d(6, widths[0], 3, stride=2, padding=1)
        self.head = nn.Conv2d(widths[0], 3 + maps, 3, padding=1)

    def forward(self, picture: Tensor, bright: Tensor, vector: Tensor) -> Tensor:
        x = self.processed(self.stem(torch.cat([picture, bright], dim=1)), vector)
        change, further = self.head(x).split([3, self.head.out_channels - 3], dim=1)
        return torch.cat([F.avg_pool2d(bright, 2) + change, further], dim=1)


class LocalNet(UNet):
    """A picture, the same exposed, and the context to S's residual and lift and the smooth light."""

    def __init__(self, widths: Sequence[int], depths: Sequence[int], context: int, scene: int) -> None:
        super().__init__(widths, depths, context)
        first, *_, last = widths
        self.stem = nn.Conv2d(6 * 4, first, 3, padding=1)
        self.told = nn.Conv2d(scene, last, 1)
        self.head = nn.Conv2d(first, 4 * (3 + 1), 3, padding=1)
        self.light = nn.Conv2d(first, 1, 3, padding=1)
        for layer in (self.told, self.head, self.light):
            zeroed(layer)

    def forward(self, image: Tensor, bright: Tensor, context: Context) -> tuple[Tensor, Tensor, Tensor]:
        x = self.stem(F.pixel_unshuffle(torch.cat([image, bright], dim=1), 2))
        x = self.processed(x, context.vector, self.told(context.scene))
        exact = x.to(self.head.weight.dtype)  # rounded to bf16, 1 + lift would be up to two levels of 8 bit off
        with nullcontext() if exact is x else torch.autocast(x.device.type, enabled=False):
            residual, lift = F.pixel_shuffle(self.head(exact), 2).split([3, 1], dim=1)
            light = F.interpolate(self.light(exact.detach()), scale_factor=2, mode="bilinear", align_corners=False)
        return residual, lift, light


class RetinexPlus(nn.Module):
    """(B, 3, H, W) in [0, 1] and its context to R, I and I_hat. Sides are multiples of ``MULTIPLE``.

    I_hat is smooth light that nowhere lies below S, so that R = S / I_hat is in [0, 1]; I is I_hat without the
    exposure, so that R o I is the dark picture without its noise, up to the exposure's shoulder and to what the local
    network turns up by itself.
    """

    BYTES = 400
    """Memory that the activations take for each pixel, in float32."""
    BYTES_ON_CPU = 250
    """The same on a CPU, where blocks work in bands."""

    def __init__(
        self,
        widths: Sequence[int] = (24, 40, 64, 80),
        depths: Sequence[int] = (2, 2, 2, 2),
        context: int = 32,
        scene_widths: Sequence[int] = (24, 36, 48),
        scene_depths: Sequence[int] = (1, 1, 2),
        scene_maps: int = 13,
    ) -> None:
        super().__init__()
        self.config = {
            "widths": list(widths),
            "depths": list(depths),
            "context": context,
            "scene_widths": list(scene_widths),
            "scene_depths": list(scene_depths),
            "scene_maps": scene_maps,
        }
        self.globals = GlobalNet(32, context)
        self.scenes = SceneNet(scene_widths, scene_depths, context, scene_maps)
        self.locals = LocalNet(widths, depths, context, 3 + scene_maps)
        self.MULTIPLE = 2 ** len(widths)
        """Both sides of an input must be a multiple of this many pixels, which are one of the coarsest stage."""
        reach = 4  # px, from a pixel of the result back: head and the light's resizing, then the way up, in whole cells
        for level, depth in enumerate(depths[:-1]):
            cell = 2 ** (level + 1)
            reach = (ceil(reach / cell) + depth) * cell
        reach = (ceil(reach / self.MULTIPLE) + depths[-1]) * self.MULTIPLE
        reach += 2 + sum(2 ** (level + 1) * depth for level, depth in enumerate(depths[:-1]))  # the way down, and stem
        self.HALO = ceil(reach / self.MULTIPLE) * self.MULTIPLE
        """Context in px that a tile needs on each side: the receptive radius rounded up to ``MULTIPLE``."""

    def mapped(self, thumbnail: Tensor, log_gain: Tensor, vector: Tensor) -> Context:
        """What the (B, 3, 64, 64) thumbnail of whole pictures tells about each, where the global net has told its
        part."""
        bright = exposed(thumbnail, log_gain[:, :, None, None].exp())
        return Context(log_gain, vector, self.scenes(thumbnail, bright, vector))

    def context(self, thumbnail: Tensor) -> Context:
        """What the local network is told about whole pictures, from their (B, 3, 64, 64) thumbnail.

        The mean of what the thumbnail and its three mirror images say: on scenes not trained on, its gain is nearer
        the truth than any one's.
        """
        ways = ((), (2,), (3,), (2, 3))
        seen = torch.cat([thumbnail.flip(way) for way in ways])
        log_gain, vector, scene = self.mapped(seen, *self.globals(seen))
        scene = torch.cat([part.flip(way) for part, way in zip(scene.chunk(4), ways, strict=True)])
        return Context(*(each.unflatten(0, (4, -1)).mean(dim=0) for each in (log_gain, vector, scene)))

    def within(self, context: Context, frame: Tensor, size: Sequence[int]) -> Context:
        """The same for the parts of these pictures in ``frame`` (B, 4), as ``sampled`` has it, that are ``size`` px."""
        return context._replace(scene=sampled(context.scene, frame, [side // self.MULTIPLE for side in size]))

    @staticmethod
    def gain(context: Context) -> Tensor:
        """How much the exposure turns up each channel, (B, 3, 1, 1)."""
        return context.log_gain[:, :, None, None].exp()

    def restore(self, image: Tensor, context: Context) -> Restored:
        """S, not clamped, and the light in it; the context is the part's own (``within``)."""
        gain = self.gain(context)
        bright = exposed(image, gain)
        residual, lift, light = self.locals(image, bright, context)
        return Restored((bright + residual) * (1 + lift), light.sigmoid(), gain)

    def forward(self, image: Tensor, context: Context) -> Retinex:
        restored = self.restore(image, context)
        enhanced = restored.enhanced.clamp(0, 1)
        relit = torch.maximum(restored.light, enhanced.amax(dim=1, keepdim=True))
        illumination = (relit / restored.gain.mean(dim=1, keepdim=True)).clamp(max=1.0)
        return Retinex(enhanced / relit, illumination, relit)
