"""Whether pictures show the same thing, and how they lie against each other. Pictures are uint8, (3, H, W)."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..pictures.picture import luma

THUMBNAIL = 32, 48
SAME_SCENE = 0.95
"""Two pictures whose mean-removed gray thumbnails correlate above this show the same scene."""
ALIKE = 0.2
"""Correlation above which two pictures show one thing: LOL's pairs have 0.32 and more, four strangers in five less."""
ROWS = 512
"""Pictures that are compared with all others at once: of all, 20,000 photographs would fill 5 GB."""
CONTENT = 0.05
"""A picture whose thumbnail deviates less, in the logarithm of light, has nothing in it to recognise."""
LEGIBLE = 32
"""Pictures with a side of fewer px are too small to measure a shift in."""


def shift(low: Tensor, high: Tensor) -> tuple[int, int]:
    """By how many px, down and right, the low picture of a pair lies off the high one; 2 px steps.

    Phase correlation (Kuglin and Hines 1975) of the logarithms, which turn a change of light into a constant. A shift
    that does not make the pictures alike is none: where there is little to see, noise draws the peak anywhere.
    """
    if min(high.shape[-2:]) < LEGIBLE:
        return 0, 0
    low, high = (log_light(F.avg_pool2d(side.float(), 2)) for side in (low, high))
    height, width = low.shape
    window = torch.hann_window(height, periodic=False)[:, None] * torch.hann_window(width, periodic=False)
    spectra = [torch.fft.rfft2((light - light.mean()) * window) for light in (low, high)]
    cross = spectra[0] * spectra[1].conj()
    across, along = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    lowpass = torch.exp(-(across.square() + along.square()) / (2 * 0.12**2))  # noise sits in the high frequencies
    peak = torch.fft.irfft2(cross / (cross.abs() + 1e-9) * lowpass, s=(height, width)).argmax()
    down, right = divmod(int(peak), width)
    down, right = down - height * (down > height // 2), right - width * (right > width // 2)
    if correlation(low, high, down, right) <= max(correlation(low, high), ALIKE):
        return 0, 0
    return 2 * down, 2 * right


def log_light(pixels: Tensor) -> Tensor:
    """The logarithm of the brightness of (3, H, W) in [0, 255], (H, W); black is kept from reaching far down."""
    return torch.log(luma(pixels[None])[0, 0] / 255 + 0.02)


def correlation(low: Tensor, high: Tensor, down: int = 0, right: int = 0) -> float:
    """Correlation of two (H, W) where they overlap when ``low`` lies ``down`` and ``right`` of ``high``."""
    height, width = low.shape
    a = low[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)].flatten()
    b = high[max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)].flatten()
    return float(F.cosine_similarity(a - a.mean(), b - b.mean(), dim=0))


def strangers(low: Tensor, high: Tensor) -> bool:
    """Whether both pictures of a pair show something, and not the same."""
    low, high = (log_light(F.adaptive_avg_pool2d(side.float(), THUMBNAIL)) for side in (low, high))
    return min(float(low.std()), float(high.std())) > CONTENT and correlation(low, high) < ALIKE


def scenes(highs: Iterable[Tensor]) -> list[int]:
    """A scene number for each well-lit picture (3, H, W) uint8: those that look alike share it, through any chain."""
    thumbnails = [F.adaptive_avg_pool2d(luma(high[None].float()), THUMBNAIL).flatten() for high in highs]
    if not thumbnails:
        return []
    flat = torch.stack(thumbnails)
    flat = F.normalize(flat - flat.mean(dim=1, keepdim=True))
    label = torch.arange(len(flat))
    while True:  # every picture takes the smallest label among its likes, until nothing changes
        alike = (rows @ flat.T > SAME_SCENE for rows in flat.split(ROWS))
        smallest = torch.cat([torch.where(each, label, len(flat)).amin(dim=1) for each in alike]).minimum(label)
        if torch.equal(smallest, label):
            return [int(number) for number in label]
        label = smallest
