"""Classical ways to brighten a picture, without learning: what a model has to beat.

Each takes and returns (3, H, W) in [0, 1], of 8-bit origin where histograms are concerned.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..pictures.colour import to_linear, to_srgb
from ..tiling import extended

LEVELS = 256


def untouched(low: Tensor) -> Tensor:
    """The input itself."""
    return low


def gamma(low: Tensor) -> Tensor:
    """Every value to the power 1 / 2.2."""
    return low ** (1 / 2.2)


def histogram_equalised(low: Tensor) -> Tensor:
    """Equalise the histogram of V, the brightest channel, keeping hue and saturation."""
    value = to_levels(low.amax(dim=0))
    counts = value.flatten().bincount(minlength=LEVELS).cumsum(0)
    darkest = counts[counts > 0][0]
    if darkest == counts[-1]:  # one level has nothing to be spread over
        return low
    table = ((counts - darkest) / (counts[-1] - darkest)).clamp(min=0)
    return relit(low, value / (LEVELS - 1), (table * (LEVELS - 1)).round()[value] / (LEVELS - 1))


def clahe(low: Tensor, clip: float = 2.0, tiles: int = 8) -> Tensor:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of L in CIELAB, on 8x8 tiles, clip limit 2.

    Padding, clipping, spreading of the excess and interpolation between tiles follow OpenCV's, so that figures compare.
    """
    lab = to_lab(low)
    light = to_levels(lab[0] / 100)
    height, width = light.shape
    divided = height % tiles == width % tiles == 0
    down, right = (0, 0) if divided else (tiles - height % tiles, tiles - width % tiles)  # even where one side divides
    grown = extended(light[None, None].float(), down, right)
    rows, columns = (side // tiles for side in grown.shape[-2:])
    blocks = grown[0, 0].long().unfold(0, rows, rows).unfold(1, columns, columns).reshape(tiles * tiles, -1)
    offset = torch.arange(tiles * tiles, device=low.device)[:, None] * LEVELS
    counts = (blocks + offset).flatten().bincount(minlength=tiles * tiles * LEVELS).view(-1, LEVELS)
    limit = max(int(clip * blocks.shape[1] / LEVELS), 1)
    excess = (counts - limit).clamp(min=0).sum(dim=1, keepdim=True)
    rest = excess % LEVELS
    place = torch.arange(LEVELS, device=low.device)
    step = (LEVELS // rest.clamp(min=1)).clamp(min=1)
    counts = counts.clamp(max=limit) + excess // LEVELS + ((place % step == 0) & (place // step < rest))
    table = (counts.cumsum(dim=1) * ((LEVELS - 1) / blocks.shape[1])).round().view(tiles, tiles, LEVELS)
    above, below, down_share = neighbours(height, rows, tiles, low.device)
    before, after, right_share = neighbours(width, columns, tiles, low.device)
    top, bottom = (
        torch.lerp(table[row[:, None], before, light], table[row[:, None], after, light], right_share)
        for row in (above, below)
    )
    light = torch.lerp(top, bottom, down_share[:, None]).round() * (100 / (LEVELS - 1))
    return from_lab(torch.cat([light[None], lab[1:]]))


def lime(low: Tensor, radius: int = 15, smoothing: float = 1e-3, strength: float = 0.8) -> Tensor:
    """Divide by the illumination to the power 0.8, as LIME (Guo, Li, Ling 2017, doi:10.1109/TIP.2016.2639450).

    The illumination is the brightest channel; a guided filter (He, Sun, Tang 2013) stands in for LIME's solver.
    """
    light = low.amax(dim=0)
    mean = box_mean(light, radius)
    variance = box_mean(light.square(), radius) - mean.square()
    slope = variance / (variance + smoothing)
    illumination = box_mean(slope, radius) * light + box_mean((1 - slope) * mean, radius)
    return (low / illumination.clamp(min=1 / (LEVELS - 1)) ** strength).clamp(0, 1)


BASELINES: dict[str, Callable[[Tensor], Tensor]] = {
    "input": untouched,
    "gamma": gamma,
    "histeq": histogram_equalised,
    "clahe": clahe,
    "lime": lime,
}


def to_levels(x: Tensor) -> Tensor:
    """[0, 1] to whole levels 0 to 255."""
    return (x * (LEVELS - 1)).round().long().clamp(0, LEVELS - 1)


def relit(picture: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Scale every pixel as its light (H, W) changes; a black pixel becomes gray."""
    gain = after / before.clamp(min=1e-6)
    return torch.where(before > 0, picture * gain, after).clamp(0, 1)


def box_mean(x: Tensor, radius: int) -> Tensor:
    """Mean of (H, W) over what lies in the picture of the square of 2 ``radius`` + 1 px around each pixel."""
    mean = x.double()
    for axis in (0, 1):
        size = x.shape[axis]
        sums = F.pad(mean.cumsum(axis), (0, 0, 1, 0) if axis == 0 else (1, 0))
        place = torch.arange(size, device=x.device)
        first, last = (place - radius).clamp(min=0), (place + radius + 1).clamp(max=size)
        count = (last - first)[:, None] if axis == 0 else last - first
        mean = (sums.index_select(axis, last) - sums.index_select(axis, first)) / count
    return mean.to(x.dtype)


def neighbours(size: int, tile: int, tiles: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel along a side: the tiles whose centres lie around it, and the share of the second."""
    place = torch.arange(size, device=device) / tile - 0.5
    first = place.floor()
    return first.long().clamp(0, tiles - 1), (first.long() + 1).clamp(0, tiles - 1), place - first


RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)  # sRGB primaries, ITU-R BT.709
WHITE = (0.950456, 1.0, 1.088754)  # D65


def to_lab(rgb: Tensor) -> Tensor:
    """sRGB (3, H, W) to CIELAB: L in [0, 100]."""
    xyz = torch.einsum("ij,jhw->ihw", rgb.new_tensor(RGB_TO_XYZ), to_linear(rgb)) / rgb.new_tensor(WHITE).view(3, 1, 1)
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp(min=0.008856) ** (1 / 3), 7.787 * xyz + 16 / 116)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def from_lab(lab: Tensor) -> Tensor:
    """CIELAB to sRGB (3, H, W) in [0, 1]."""
    y = (lab[0] + 16) / 116
    xyz = torch.stack([y + lab[1] / 500, y, y - lab[2] / 200])
    xyz = torch.where(xyz > 0.206893, xyz**3, (xyz - 16 / 116) / 7.787) * lab.new_tensor(WHITE).view(3, 1, 1)
    return to_srgb(torch.einsum("ij,jhw->ihw", lab.new_tensor(RGB_TO_XYZ).inverse(), xyz).clamp(0, 1))
