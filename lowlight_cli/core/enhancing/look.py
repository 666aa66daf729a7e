"""From the maps of a network to the picture that people want: how strong, how clean, and what to leave alone."""

from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor

from ...settings import Denoise
from ..networks import Retinex
from . import denoise

LIFT = 8.0
"""How many times as bright a shadow may become."""
BRIGHT = (0.5, 0.9)
"""Light, or brightest channel, from which on highlights are protected, and from which on they are left alone."""
WELL_EXPOSED = (0.20, 0.33)
"""Log-average brightness of a picture from which on it needs less light, and from which on it needs none.

All dark pictures of LOL but one lie below, and three quarters of its well-lit ones above."""


@dataclass(frozen=True)
class Look:
    """What to make of a network's answer."""

    strength: float = 1.0
    denoise: Denoise = "off"
    protect_highlights: bool = False
    shadows: float = 0.0

    def __post_init__(self) -> None:
        for name, value, most in (("strength", self.strength, 1.5), ("shadows", self.shadows, 1)):
            if not 0 <= value <= most:
                raise ValueError(f"{name} {value}: give 0 to {most}")
        if self.denoise not in get_args(Denoise):
            raise ValueError(f"denoise {self.denoise}: give {', '.join(get_args(Denoise))}")

    @property
    def halo(self) -> int:
        """Context in px that this needs around a tile."""
        return 0 if self.denoise == "off" else denoise.RADIUS

    def suited(self, log_average: float) -> "Look":
        """This look for a picture of that log-average brightness: full strength if it is dark, none if well exposed."""
        return replace(self, strength=self.strength * (1 - smoothstep(torch.tensor(log_average), *WELL_EXPOSED).item()))

    @property
    def idle(self) -> bool:
        """Whether it leaves every picture as it is."""
        return self.strength == 0 and self.shadows == 0


PLAIN = Look()


def cleaned(maps: Retinex, look: Look) -> Retinex:
    """The maps with the reflectance denoised, if the look asks for it."""
    if look.denoise == "off":
        return maps
    return maps._replace(reflectance=denoise.smoothed(maps.reflectance, maps.illumination, look.denoise))


def rendered(low: Tensor, maps: Retinex, look: Look) -> Tensor:
    """The enhanced picture of ``low``, (B, 3, H, W) in [0, 1]; not clamped."""
    enhanced = maps.enhanced
    if look.protect_highlights:
        bright = smoothstep(torch.maximum(maps.illumination, low.amax(1, keepdim=True)), *BRIGHT)
        enhanced = torch.lerp(enhanced, torch.minimum(enhanced, low), bright)
    result = enhanced if look.strength == 1 else strengthened(low, enhanced.clamp(0, 1), look.strength)
    if look.shadows:  # S = R o I_hat: to divide by a power of I_hat evens out the light, and at 1 leaves R
        result = result * maps.relit.clamp(1 / LIFT, 1) ** -look.shadows
    return result


def strengthened(low: Tensor, enhanced: Tensor, strength: float) -> Tensor:
    """From the picture as it was, at 0, over the network's answer, at 1, on towards white or black."""
    change = enhanced - low
    if strength < 1:
        return low + strength * change
    room = torch.where(change > 0, 1 - enhanced, enhanced)  # the nearer to the end the less, so that nothing clips
    return enhanced + (strength - 1) * change * room


def smoothstep(values: Tensor, start: float, end: float) -> Tensor:
    """0 up to ``start``, 1 from ``end``, smooth between."""
    part = ((values - start) / (end - start)).clamp(0, 1)
    return part * part * (3 - 2 * part)
