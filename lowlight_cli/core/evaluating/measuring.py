"""Figures of what systems make of pictures: the enhanced picture in 8 bit, against the truth where there is one."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from .. import metrics
from ..device import choose
from ..errors import PictureError
from ..networks import Retinex
from ..pictures.picture import luma, quantised, scaled
from . import systems
from .lpips import Lpips
from .niqe import Pristine, niqe
from .results import TONES, Row
from .systems import System
from .testset import Pixels, Sample, decode_or_fault

BATCH = 8
"""Pictures decoded at once."""
PIXELS = 4_000_000
"""How many pixels are measured at once where sizes agree; a larger picture alone."""
CONSISTENCY = 192
"""Side in px of the central square, as a picture of its own, whose low and high reflectances are compared."""


class Measured(NamedTuple):
    """What one system made of one picture, uint8 (3, H, W)."""

    system: System
    pixels: Pixels
    enhanced: Tensor
    row: Row


@torch.inference_mode()
def measure(
    found: Sequence[Sample], by: Sequence[System], pristine: Pristine, lpips: Lpips | None, device_name: str
) -> Iterator[Measured | PictureError]:
    """Every system on every picture, batch by batch; after the systems of a batch, its references: the input where
    there is no truth, and the truth. Of a picture without truth that cannot be read, what is wrong with it."""
    device = metric_device(device_name)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(found), BATCH):
            read = list(pool.map(decode_or_fault, found[start : start + BATCH]))
            yield from (fault for fault in read if isinstance(fault, PictureError))
            decoded = [pixels for pixels in read if isinstance(pixels, Pixels)]
            for _, group in groupby(decoded, key=lambda pixels: (pixels.low.shape, pixels.high is None)):
                alike = list(group)
                at_once = max(PIXELS // alike[0].low[0].numel(), 1)
                for batch in (alike[first : first + at_once] for first in range(0, len(alike), at_once)):
                    for system in [*by, *systems.references(batch, by)]:
                        yield from measured(system, batch, pristine, lpips, device)


def metric_device(name: str) -> torch.device:
    """Where to compute figures: where the networks run, unless it lacks double precision, as Apple's MPS does."""
    device = choose(name)
    return torch.device("cpu") if device.type == "mps" else device


def measured(
    system: System, batch: Sequence[Pixels], pristine: Pristine, lpips: Lpips | None, device: torch.device
) -> Iterator[Measured]:
    """One system on pictures of one size."""
    made, seconds = [], []
    for pixels in batch:
        began = time.perf_counter()
        enhanced = system.enhance(pixels)
        seconds.append(time.perf_counter() - began)
        made.append(quantised(scaled(enhanced)))
    stacked = torch.stack(made).to(device).double() / 255
    gray = luma(stacked)
    columns = {"niqe": niqe(gray, pristine), "brightness": gray.mean(dim=(1, 2, 3))}
    if batch[0].high is not None and system.kind != "reference":
        truth = torch.stack([pixels.high for pixels in batch if pixels.high is not None]).to(device).double() / 255
        columns |= against(stacked, truth) | ({} if lpips is None else {"lpips": lpips(stacked, truth)})
    values = {key: column.tolist() for key, column in columns.items()}
    for index, pixels in enumerate(batch):
        figures = {key: column[index] for key, column in values.items()}
        if system.kind in ("model", "baseline"):
            figures["ms"] = 1000 * seconds[index]
            figures["megapixels_per_second"] = pixels.low[0].numel() / 1e6 / seconds[index]
        if system.decompose is not None and pixels.high is not None:
            figures |= decomposition(system.decompose, pixels)
        there = {key: value for key, value in figures.items() if not math.isnan(value)}
        yield Measured(system, pixels, made[index], Row(pixels.sample.name, there, pixels.sample.scene))


def against(prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """The full-reference figures of (B, 3, H, W) in [0, 1], plainly and under GT mean; each (B,)."""
    columns = {}
    for suffix, ours in (("", prediction), ("_gt_mean", metrics.gt_mean(prediction, truth))):
        columns["psnr" + suffix] = metrics.psnr(ours, truth)
        columns["ssim" + suffix] = metrics.ssim(ours, truth)
        columns["ssim_gray" + suffix] = metrics.ssim(luma(ours), luma(truth))
    return columns


def decomposition(decompose: Callable[[Tensor], Retinex], pixels: Pixels) -> dict[str, float]:
    """How well the maps serve: |R_low - R_high| in the middle, and against true maps, where they are known, LMSE."""
    assert pixels.high is not None
    height, width = (min(side, CONSISTENCY) for side in pixels.low.shape[-2:])
    top, left = ((side - part) // 2 for side, part in zip(pixels.low.shape[-2:], (height, width), strict=True))
    low, high = (
        decompose(scaled(side[:, top : top + height, left : left + width])).reflectance
        for side in (pixels.low, pixels.high)
    )
    figures = {"reflectance_consistency": float((low - high).abs().mean())}
    if pixels.maps and min(pixels.low.shape[-2:]) >= metrics.LMSE_WINDOW:
        found = decompose(scaled(pixels.low))._asdict()
        figures |= {f"lmse_{name}": metrics.lmse(found[name], truth) for name, truth in pixels.maps.items()}
    return figures


def tones(now: Measured) -> Tensor:
    """For each level of the input's gray, (2, TONES): the sum of the output's gray, and the number of pixels."""
    pictures = (scaled(picture)[None].double() for picture in (now.pixels.low, now.enhanced))
    before, after = (luma(picture).flatten() for picture in pictures)
    level = (before * TONES).long().clamp(max=TONES - 1)
    return torch.stack([level.bincount(after, TONES), level.bincount(minlength=TONES).double()])
