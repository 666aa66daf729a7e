"""From the maps of a network to the picture that people want: how strong, how clean, and what to leave alone."""

from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor

from ...settings import STRONGEST, Denoise
from ..networks import Retinex
from . import denoise

LIFT = 8.0
"""How many times as bright a shadow may become."""
ROOM, KNEE = 0.6, 0.75
"""How much of what is missing to white a protected pixel may gain, the rest keeping it below what was brighter; and the
share of that limit up to which it is as bright as without protection."""
BRIGHT = 0.5
"""Brightest channel from which on protected highlights gain still less, down to nothing at 1."""
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
        for name, value, most in (("strength", self.strength, STRONGEST), ("shadows", self.shadows, 1)):
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
    result = enhanced if look.strength == 1 else strengthened(low, enhanced.clamp(0, 1), look.strength)
    if look.shadows:  # S = R o I_hat: to divide by a power of I_hat evens out the light, and at 1 leaves R
        room = 1 / peak(result).clamp(1e-6, 1)  # to white: all channels alike, or colours would change
        result = result * torch.minimum(maps.relit.clamp(1 / LIFT, 1) ** -look.shadows, room)
    return protected(low, result.clamp(0, 1)) if look.protect_highlights else result


def protected(low: Tensor, result: Tensor) -> Tensor:
    """The result with nothing so bright that it could not be told from what was brighter in ``low``; both in [0, 1].
    White stays as it was, and of what the network makes white, what was brighter is brighter."""
    was, now = peak(low).clamp(0, 1), peak(result).clamp(min=1e-6)
    most = was + ROOM * (1 - was)
    knee = KNEE * most
    held = result * torch.where(now > knee, most - (most - knee) * torch.exp((knee - now) / (most - knee)), now) / now
    return torch.lerp(held, torch.minimum(result, low), ((was - BRIGHT) / (1 - BRIGHT)).clamp(min=0).square())


def peak(picture: Tensor) -> Tensor:
    """The brightest channel, (B, 1, H, W)."""
    return picture.amax(1, keepdim=True)


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
