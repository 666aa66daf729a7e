"""Colour profiles: from a file's own colour space to sRGB, which the networks know, and back without loss.

Cameras and editors use matrix profiles (Adobe RGB, Display P3, ProPhoto): three tone curves and a matrix, ICC.1:2022,
8.3. They are computed here in floats, because Pillow's colour management is 8 bit, and rounding a dark picture to
8 bit shows as bands once it is bright. Profiles of any other kind are left to Pillow (``decoding``).
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Self

import torch
from torch import Tensor

COLORANTS = torch.tensor(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]],
    dtype=torch.float64,
)
"""sRGB's primaries as XYZ columns relative to D50, which is how profiles state theirs."""
SAMPLES = 4096
"""Points by which a tone curve is known; straight lines between them."""


class Profile(NamedTuple):
    """A matrix profile."""

    curves: Tensor  # (3, SAMPLES), the linear light of evenly spaced values, never falling
    matrix: Tensor  # (3, 3), linear light to linear sRGB

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, icc: bytes | None) -> Self | None:
        """The profile in ``icc``; None if there is nothing to convert: no profile, sRGB, or none of matrix kind."""
        if (found := understood(icc or b"")) is None:
            return None
        curves, colorants = found
        srgb = to_linear(torch.linspace(0, 1, SAMPLES, dtype=torch.float64))
        if (curves - srgb).abs().max() < 5e-3 and (colorants - COLORANTS).abs().max() < 3e-3:
            return None
        return cls(curves.float(), (COLORANTS.inverse() @ colorants).float())

    def to_srgb(self, values: Tensor) -> Tensor:
        """(..., 3, H, W) of this profile in [0, 1] as sRGB; colours that sRGB lacks lie beyond [0, 1]."""

        def light(curve: Tensor, value: Tensor) -> Tensor:
            place = value.clamp(0, 1) * (SAMPLES - 1)
            below = place.long().clamp(max=SAMPLES - 2)
            return torch.lerp(curve[below], curve[below + 1], place - below)

        return to_srgb(mixed(self.matrix, each(light, self.curves, values)))

    def from_srgb(self, values: Tensor) -> Tensor:
        """(..., 3, H, W) of sRGB as values of this profile, in [0, 1]: the inverse of ``to_srgb``."""

        def value(curve: Tensor, light: Tensor) -> Tensor:
            above = torch.searchsorted(curve, light.contiguous()).clamp(1, SAMPLES - 1)
            low, high = curve[above - 1], curve[above]
            part = (light - low) / (high - low).clamp(min=1e-12)
            return (above - 1 + part.clamp(0, 1)) / (SAMPLES - 1)

        return each(value, self.curves, mixed(self.matrix.inverse(), to_linear(values)).clamp(0, 1))


def is_matrix(icc: bytes) -> bool:
    """Whether ``Profile`` understands this profile, be it to find that it is sRGB."""
    return understood(icc) is not None


def each(of: Callable[[Tensor, Tensor], Tensor], curves: Tensor, values: Tensor) -> Tensor:
    """``of(curve, values)`` for each of the three channels."""
    curves = curves.to(values)
    return torch.stack([of(curves[c], values[..., c, :, :]) for c in range(3)], dim=-3)


def mixed(matrix: Tensor, light: Tensor) -> Tensor:
    return torch.einsum("oc,...chw->...ohw", matrix.to(light), light)


def to_srgb(linear: Tensor) -> Tensor:
    """Linear light as sRGB values, IEC 61966-2-1; odd, so that out-of-gamut colours survive."""
    size = linear.abs()
    return torch.where(size <= 0.0031308, size * 12.92, 1.055 * size ** (1 / 2.4) - 0.055).copysign(linear)


def to_linear(values: Tensor) -> Tensor:
    """sRGB values as linear light: the inverse of ``to_srgb``."""
    size = values.abs()
    return torch.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4).copysign(values)


def understood(icc: bytes) -> tuple[Tensor, Tensor] | None:
    """What is ``parsed``; None of any other kind and of what is damaged."""
    try:
        return parsed(icc)
    except (struct.error, KeyError, ValueError, RuntimeError, ArithmeticError):
        return None


def parsed(icc: bytes) -> tuple[Tensor, Tensor]:
    """Tone curves (3, SAMPLES) and colorants (3, 3) of a matrix profile. Raises on any other kind and on damage."""
    if icc[16:24] != b"RGB XYZ ":
        raise ValueError("not a matrix profile")
    (count,) = struct.unpack_from(">I", icc, 128)
    tags = {}
    for index in range(min(count, 100)):
        name, offset, size = struct.unpack_from(">4sII", icc, 132 + 12 * index)
        tags[name] = icc[offset : offset + size]
    colorants = [[n / 65536 for n in struct.unpack_from(">3i", tags[name], 8)] for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    curves = torch.stack([tone_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")])
    matrix = torch.tensor(colorants, dtype=torch.float64).T
    if not curves.isfinite().all() or (curves[:, -1] - curves[:, 0] < 0.5).any() or matrix.det().abs() < 1e-3:
        raise ValueError("damaged profile")
    return curves.clamp(0, 1).cummax(dim=1).values, matrix


def tone_curve(tag: bytes) -> Tensor:
    """A ``curv`` or ``para`` tag at SAMPLES even places. ICC.1:2022, 10.6 and 10.18."""
    axis = torch.linspace(0, 1, SAMPLES, dtype=torch.float64)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count <= 1:
            return axis ** (struct.unpack_from(">H", tag, 12)[0] / 256 if count else 1.0)
        table = torch.tensor(struct.unpack_from(f">{count}H", tag, 12), dtype=torch.float64) / 65535
        place = axis * (count - 1)
        below = place.long().clamp(max=count - 2)
        return torch.lerp(table[below], table[below + 1], place - below)
    (kind,) = struct.unpack_from(">H", tag, 8)
    if tag[:4] != b"para" or kind > 4:
        raise ValueError("unknown tone curve")
    given = [n / 65536 for n in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    gamma, a, b = given[:3] if kind else (given[0], 1.0, 0.0)
    power = (a * axis + b).clamp(min=0) ** gamma
    match kind:
        case 1 | 2:
            offset = given[3] if kind == 2 else 0.0
            return torch.where(axis >= -b / a, power, 0.0) + offset
        case 3 | 4:
            c, d = given[3:5]
            above, under = given[5:7] if kind == 4 else (0.0, 0.0)
            return torch.where(axis >= d, power + above, c * axis + under)
    return power
