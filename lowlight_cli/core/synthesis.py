"""Low-light pictures made from well-lit ones: less light in the scene, then what a camera does with little light.

The photograph is linearised (sRGB), dimmed, its white balance and contrast shifted and its corners vignetted; the
sensor adds shot noise (variance in proportion to the light) and read noise; the camera encodes and rounds to 8 bit. The
noise is the Poisson-Gaussian model of Foi et al. 2008 ("Practical Poissonian-Gaussian noise modeling and fitting for
single-image raw-data").
"""

from typing import NamedTuple

import torch
from torch import Tensor

# Fitted to LOL's 484 aligned training pairs by experiments/fit_synthesis.py, save for VIGNETTE, which pairs cannot show.
EXPOSURE = -3.61, 0.80
"""Mean and deviation of the natural logarithm of the light that is left, in the green channel."""
RED = -0.07, 0.22
BLUE = -0.08, 0.22
"""The same of the red and the blue light against the green: the white balance."""
CONTRAST = 1.12, 0.20
"""Mean and deviation of the exponent on linear light: a camera's curve is steeper in the shadows than sRGB."""
VIGNETTE = 0.0, 0.35
"""Range of the tangent of the half field of view; 0.35 leaves 79 % of the light in the corners."""
SHOT = 1.0e-4, 3.5e-5, 6.3e-5
READ = 5.0e-4, 2.0e-4, 2.8e-4
"""Noise of red, green and blue: variance a unit of linear light, and deviation in the dark. White balance has amplified
red and blue."""
NOISE = 0.0, 0.20
"""Mean and deviation of the natural logarithm of a factor on the deviation of all noise."""
DARKEST, STEEPEST = -5.5, 1.9
"""Limits of the logarithm of light, and of the exponent and its inverse."""


class Darkening(NamedTuple):
    """The parameters of B pictures."""

    light: Tensor  # (B, 3) share of the light that is left, by channel
    contrast: Tensor  # (B,) exponent on linear light
    vignette: Tensor  # (B,) tangent of the half field of view
    shot: Tensor  # (B, 3) noise variance at full linear light
    read: Tensor  # (B, 3) noise deviation in the dark


def draw(count: int, generator: torch.Generator | None = None) -> Darkening:
    """Parameters for ``count`` pictures, on the generator's device."""
    device = generator.device if generator is not None else None
    normal = torch.randn(count, 5, generator=generator, device=device)
    exposure, red, blue, contrast, noise = (
        mean + deviation * normal[:, column]
        for column, (mean, deviation) in enumerate((EXPOSURE, RED, BLUE, CONTRAST, NOISE))
    )
    uniform = torch.rand(count, generator=generator, device=device)
    factor = noise.exp()[:, None]
    return Darkening(
        light=torch.stack([exposure + red, exposure, exposure + blue], dim=1).clamp(DARKEST, 0).exp(),
        contrast=contrast.clamp(1 / STEEPEST, STEEPEST),
        vignette=VIGNETTE[0] + (VIGNETTE[1] - VIGNETTE[0]) * uniform,
        shot=factor.new_tensor(SHOT) * factor.square(),
        read=factor.new_tensor(READ) * factor,
    )


def darken(
    high: Tensor, by: Darkening, generator: torch.Generator | None = None, radius: Tensor | None = None
) -> Tensor:
    """The low-light counterpart of well-lit pictures (B, 3, H, W) in [0, 1], in 8-bit steps.

    ``radius`` (B, 1, H, W) says how far each pixel lies from the middle of its photograph, 1 in the corners; without it
    the pictures are whole photographs.
    """
    if radius is None:
        radius = radii(*high.shape[-2:]).to(high)
    column = (slice(None), slice(None), None, None)
    falloff = (1 + (radius * by.vignette[:, None][column]).square()).pow(-2)  # the cos^4 law of lenses
    signal = by.light[column] * falloff * linear(high).pow(by.contrast[:, None][column])
    deviation = (by.shot[column] * signal + by.read[column].square()).sqrt()
    noise = torch.randn(high.shape, generator=generator, device=high.device)
    return (encoded((signal + deviation * noise).clamp(0, 1)) * 255).round() / 255


def radii(height: int, width: int) -> Tensor:
    """Distance of each pixel of a photograph from its middle, (H, W), 1 in the corners."""
    y = torch.linspace(-1, 1, height) * height
    x = torch.linspace(-1, 1, width) * width
    return (y[:, None].square() + x.square()).sqrt() / (height**2 + width**2) ** 0.5


def linear(encoded: Tensor) -> Tensor:
    """sRGB values in [0, 1] to linear light (IEC 61966-2-1)."""
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055).pow(2.4))


def encoded(light: Tensor) -> Tensor:
    """Linear light in [0, 1] to sRGB values (IEC 61966-2-1)."""
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=1e-8).pow(1 / 2.4) - 0.055)
