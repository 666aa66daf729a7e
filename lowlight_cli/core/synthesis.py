"""Low-light pictures made from well-lit ones: less light in the scene, then what a camera does with little light.

The photograph is linearised (sRGB), dimmed, its white balance and contrast shifted and its corners vignetted; the
sensor adds shot noise (variance in proportion to the light) and read noise; the camera encodes and rounds to 8 bit. The
noise is the Poisson-Gaussian model of Foi et al. 2008 ("Practical Poissonian-Gaussian noise modeling and fitting for
single-image raw-data").
"""

from typing import NamedTuple

import torch
from torch import Tensor

EXPOSURE = -3.87, 0.88
"""Mean and deviation of the natural logarithm of how much light is left."""
RED = 0.0, 0.25
BLUE = -0.06, 0.20
"""The same of the red and the blue share of the light against the green."""
CONTRAST = 1.10, 0.14
"""Mean and deviation of the exponent on linear light: a camera's curve is steeper in the shadows than sRGB."""
VIGNETTE = 0.0, 0.5
"""Range of the tangent of the half field of view; 0.5 leaves 64 % of the light in the corners."""
SHOT = (1.4e-4, 3.9e-5, 7.5e-5)
READ = (5e-4, 2.6e-4, 3.5e-4)
"""Shot noise (variance at full linear light) and read noise (deviation), red, green, blue. White balance amplifies red
and blue."""
NOISE = 0.0, 0.3
"""Mean and deviation of the natural logarithm of a factor on both noise deviations."""


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
        light=torch.stack([exposure + red, exposure, exposure + blue], dim=1).exp().clamp(max=1),
        contrast=contrast.clamp(min=0.8),
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
