"""Low-light pictures made from well-lit ones: less light in the scene, then what a camera does with little light.

The photograph is linearised (sRGB), dimmed, its white balance and contrast shifted and its corners vignetted, perhaps a
part of it put into the shade; the sensor adds shot noise (variance in proportion to the light) and read noise; the
camera encodes and rounds to 8 bit. The noise is the Poisson-Gaussian model of Foi et al. 2008 ("Practical
Poissonian-Gaussian noise modeling and fitting for single-image raw-data").
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..pictures.colour import to_linear, to_srgb
from ..pictures.picture import quantised

SIDE = 800
"""Photographs are reduced to this many px at most: that averages their own noise away, and leaves LOL's scale."""

# Fitted to LOL's aligned training pairs by experiments/fit_synthesis.py, save for VIGNETTE, which pairs cannot show.
EXPOSURE = -3.61, 0.80
"""Mean and deviation of the natural logarithm of the light that is left, in the green channel."""
RED = -0.07, 0.22
BLUE = -0.08, 0.22
"""The same of the red and the blue light against the green: the white balance."""
CONTRAST = 1.12, 0.20
"""Mean and deviation of the exponent on linear light, which stands for a camera's curve, steeper in the shadows than
sRGB. It acts on the scene, before the noise, as that was fitted to what is in the dark pictures."""
VIGNETTE = 0.0, 0.35
"""Range of the tangent of the half field of view; 0.35 leaves 79 % of the light in the corners."""
SHOT = 1.0e-4, 3.5e-5, 6.3e-5
READ = 5.0e-4, 2.0e-4, 2.8e-4
"""Noise of red, green and blue: variance a unit of linear light, and deviation in the dark. White balance has amplified
red and blue."""
NOISE = 0.05
QUIET = 0.1, -0.7
"""Deviation of the natural logarithm of a factor on all noise; and the share of pictures, taken at a lower sensitivity,
that have less, down to that logarithm."""
DARKEST, STEEPEST = -5.5, 1.9
"""Limits of the logarithm of light, and of the exponent and its inverse."""

# Uneven light, which LOL has not: chosen by eye.
SHADE = 0.0, 2.3
"""Range of the natural logarithm of the light that the shaded part of a picture lacks."""
EDGE, SHARPNESS = 0.3, (1.0, 4.0)
"""How far, in half diagonals, the edge of the shade may lie from where it is in the middle; range of the natural
logarithm of its sharpness, the inverse of its width."""
REACH = 0.4
"""Distance in half diagonals that a lamp reaches, in the middle."""
DEEPENING = 0.0, 0.9
"""Range of the exponent on luminance by which what is dark in a photograph gets darker still, as against the light."""
LUMINANCE = 0.2126, 0.7152, 0.0722

# Photographs from anywhere: how `draw_widely` goes beyond LOL.
UNTOUCHED = 0.15
"""Share of photographs that are not darkened at all: a well-lit picture should come back as it is."""
LIKE_LOL = 0.25
"""Share of photographs that are darkened as LOL's pictures are."""
UNEVEN = 0.3
"""Share of photographs whose light is uneven; the rest have even light of any strength."""
LIGHT = -3.7, -0.05
"""Range of the natural logarithm of the light that is left, from 1/40 to nearly all."""
UNEVEN_LIGHT = 0.4
"""Uneven light keeps more outside the shade: the usual draw to this power."""
BALANCE = 0.15
"""Standard deviation of the natural logarithms of red and of blue light against green."""
SENSITIVITY = -1.6, 2.0
"""Range of the natural logarithm of a factor on the noise. LOL's is that of a camera at a low sensitivity; at high
ones shot noise reaches 1e-2 (Brooks et al., CVPR 2019, arXiv:1811.11127)."""
GRAIN = 0.5
"""Share of photographs whose noise neighbouring pixels share."""


class Darkening(NamedTuple):
    """The parameters of B pictures."""

    light: Tensor  # (B, 3) share of the light that is left, by channel
    contrast: Tensor  # (B,) exponent on linear light
    vignette: Tensor  # (B,) tangent of the half field of view
    shot: Tensor  # (B, 3) noise variance at full linear light
    read: Tensor  # (B, 3) noise deviation in the dark
    shade: Tensor  # (B, 6): depth, sharpness, edge, down, right, and 1 for round: see ``shaded``; 0 for even light
    deepening: Tensor  # (B,) exponent on luminance, in all channels; 0 for even light
    grain: Tensor  # (B,) how much of its noise a pixel shares with its neighbours, 0 to 1: see ``grained``


def draw(count: int, generator: torch.Generator | None = None) -> Darkening:
    """Parameters for ``count`` pictures, on the generator's device."""
    device = generator.device if generator is not None else None
    normal = torch.randn(5, count, generator=generator, device=device)
    uniform = torch.rand(2, count, generator=generator, device=device)
    exposure, red, blue, contrast = (
        mean + deviation * normal[row] for row, (mean, deviation) in enumerate((EXPOSURE, RED, BLUE, CONTRAST))
    )
    share, quietest = QUIET
    quiet = quietest * (1 - uniform[0] / share).clamp(min=0)
    factor = (NOISE * normal[4] + quiet).exp()[:, None]
    return Darkening(
        light=torch.stack([exposure + red, exposure, exposure + blue], dim=1).clamp(DARKEST, 0).exp(),
        contrast=contrast.clamp(1 / STEEPEST, STEEPEST),
        vignette=VIGNETTE[0] + (VIGNETTE[1] - VIGNETTE[0]) * uniform[1],
        shot=factor.new_tensor(SHOT) * factor.square(),
        read=factor.new_tensor(READ) * factor,
        shade=factor.new_zeros(count, 6),
        deepening=factor.new_zeros(count),
        grain=factor.new_zeros(count),
    )


def unevenly(by: Darkening, generator: torch.Generator | None = None) -> Darkening:
    """The same pictures partly in the shade, and their own shadows deepened."""
    device = by.light.device
    depth, sharpness, edge, down, right, deepening = torch.rand(6, len(by.light), generator=generator, device=device)
    lamp = torch.randint(2, depth.shape, generator=generator, device=device)
    shade = [
        SHADE[0] + (SHADE[1] - SHADE[0]) * depth,
        (SHARPNESS[0] + (SHARPNESS[1] - SHARPNESS[0]) * sharpness).exp(),
        EDGE * (2 * edge - 1),
        1.4 * down - 0.7,
        1.4 * right - 0.7,
        lamp.to(depth),
    ]
    deeper = DEEPENING[0] + (DEEPENING[1] - DEEPENING[0]) * deepening
    return by._replace(shade=torch.stack(shade, dim=1), deepening=deeper)


def noisier(by: Darkening, factor: Tensor, grain: Tensor) -> Darkening:
    """The same pictures with ``factor`` times the noise, (B,), of that grain, (B,)."""
    deviation = factor[:, None]
    return by._replace(shot=by.shot * deviation.square(), read=by.read * deviation, grain=grain)


def shaded(shade: Tensor, place: Tensor) -> Tensor:
    """The share of the light, (B, 1, H, W), that the shade (B, 6) leaves at each place, (B, 2, H, W) as of ``places``.

    It lies beyond a straight edge, in the direction down, right; or around a lamp at down, right.
    """
    depth, sharpness, edge, down, right, lamp = shade[:, :, None, None].unbind(1)
    y, x = place.unbind(1)
    across = (down * y + right * x) / torch.hypot(down, right).clamp(min=1e-6)
    around = torch.hypot(y - down, x - right) - REACH
    beyond = torch.where(lamp > 0, around, across) - edge
    return (-depth * (sharpness * beyond).sigmoid()).exp()[:, None]


def grained(noise: Tensor, grain: Tensor) -> Tensor:
    """White noise (B, C, H, W) blurred by ``grain`` (B,), as demosaicing, scaling and a camera's own denoising do it.
    Its variance stays what it was."""
    share = grain[:, None, None, None]
    down, right = (noise.new_tensor([1, 2, 1]).view(shape) / 4 for shape in ((3, 1), (1, 3)))
    kernel = (down * right).expand(noise.shape[1], 1, 3, 3)
    blurred = F.conv2d(F.pad(noise, (1, 1, 1, 1), mode="circular"), kernel, groups=noise.shape[1])
    # the sum of the squares of what each pixel gets of itself and of its eight neighbours
    variance = (1 - 0.75 * share).square() + 0.078125 * share.square()
    return ((1 - share) * noise + share * blurred) / variance.sqrt()


def draw_widely(count: int, generator: torch.Generator | None = None) -> Darkening:
    """Parameters for ``count`` pictures from untouched to very dark."""
    like_lol = draw(count, generator)
    kind, light, noise, grain = torch.rand(4, count, generator=generator, device=like_lol.light.device)
    balance = BALANCE * torch.randn(count, 3, generator=generator, device=light.device)
    balance[:, 1] = 0  # green is the reference
    exposure = (LIGHT[0] + (LIGHT[1] - LIGHT[0]) * light)[:, None]
    level = (SENSITIVITY[0] + (SENSITIVITY[1] - SENSITIVITY[0]) * noise).exp()
    wide = noisier(like_lol, level, (1 - (1 - grain) / GRAIN).clamp(min=0))
    wide = wide._replace(light=(exposure + balance).clamp(DARKEST, 0).exp())
    partly = wide._replace(light=(UNEVEN_LIGHT * exposure + balance).clamp(DARKEST, 0).exp())
    untouched = Darkening(*(torch.zeros_like(values) for values in like_lol))
    untouched = untouched._replace(light=torch.ones_like(like_lol.light), contrast=torch.ones_like(like_lol.contrast))
    shares = kind.new_tensor([UNTOUCHED, LIKE_LOL, UNEVEN]).cumsum(0)
    kinds = zip(untouched, like_lol, unevenly(partly, generator), wide, strict=True)
    which = torch.bucketize(kind, shares, right=True), torch.arange(count, device=kind.device)
    return Darkening(*(torch.stack(values)[which] for values in kinds))


def picked(by: Darkening, which: Tensor | slice) -> Darkening:
    """The parameters of some of the pictures."""
    return Darkening(*(values[which] for values in by))


def darken(
    high: Tensor,
    by: Darkening,
    generator: torch.Generator | None = None,
    place: Tensor | None = None,
    *,
    apart: bool = False,
) -> Tensor:
    """The low-light counterpart of well-lit pictures (B, 3, H, W) in [0, 1], in 8-bit steps.

    ``place`` (B, 2, H, W) says where in its photograph each pixel lies, as ``places`` does; without it the pictures are
    whole photographs. Pixels that lie ``apart`` share no noise, whatever its grain.
    """
    height, width = high.shape[-2:]
    if place is None:
        corner = torch.zeros(len(high), device=high.device)
        place = places(height, width, corner, corner, frame=(height, width))
    light, shot, read = (values[:, :, None, None] for values in (by.light, by.shot, by.read))
    contrast, vignette, deepening = (values[:, None, None, None] for values in (by.contrast, by.vignette, by.deepening))
    falloff = (1 + (vignette.square() * place.square().sum(dim=1, keepdim=True))).pow(-2)  # the cos^4 law of lenses
    scene = to_linear(high)
    luminance = (scene * scene.new_tensor(LUMINANCE)[:, None, None]).sum(dim=1, keepdim=True)
    uneven = shaded(by.shade, place) * luminance.pow(deepening)
    signal = light * falloff * uneven * scene.pow(contrast)
    noise = torch.randn(high.shape, generator=generator, device=high.device)
    noise = noise if apart else grained(noise, by.grain)
    captured = signal + (shot * signal + read.square()).sqrt() * noise
    return (to_srgb(captured.clamp(0, 1)) * 255).round() / 255


def places(height: int, width: int, top: Tensor, left: Tensor, *, frame: tuple[int, int]) -> Tensor:
    """Where each pixel of patches at ``top``, ``left`` (B,) of a frame lies, down and right of its middle, in half
    diagonals, so that its corners are at a distance of 1: (B, 2, H, W)."""
    y = torch.arange(height, device=top.device) + 0.5 + top[:, None] - frame[0] / 2
    x = torch.arange(width, device=top.device) + 0.5 + left[:, None] - frame[1] / 2
    y, x = torch.broadcast_tensors(y[:, :, None], x[:, None, :])
    return torch.stack([y, x], dim=1) / ((frame[0] ** 2 + frame[1] ** 2) ** 0.5 / 2)


def reduced(photograph: Tensor) -> Tensor:
    """A photograph (3, H, W) in [0, 1] whose longer side has ``SIDE`` px at most."""
    longer = max(photograph.shape[-2:])
    if longer <= SIDE:
        return photograph
    size = [max(round(side * SIDE / longer), 1) for side in photograph.shape[-2:]]
    return F.interpolate(photograph[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def counterpart(high: Tensor, seed: int) -> Tensor:
    """One low-light picture of a well-lit one, both (3, H, W) uint8."""
    generator = torch.Generator().manual_seed(seed)
    return quantised(darken(high[None].float() / 255, draw(1, generator), generator)[0])


def parameters(seed: int) -> dict[str, list[float] | float]:
    """The parameters of ``counterpart(high, seed)``, as plain data."""
    by = draw(1, torch.Generator().manual_seed(seed))
    return {name: values[0].tolist() for name, values in by._asdict().items()}
