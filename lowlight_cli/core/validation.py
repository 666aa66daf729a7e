"""How good a network is on held-out pairs while it learns: figures, and maps to look at."""

from typing import Any

import torch
from torch import Tensor

from ..settings import LossWeights
from . import metrics, tiling
from .events import Phase
from .networks import Network, RetinexPlus, thumbnail
from .objective import objective
from .pairbank import PairBank
from .picture import quantised

WHOLE = 1024
"""Side in px of the middle of a picture on which the loss is computed: at once, since it has no tiles."""


@torch.inference_mode()
def figures(net: Network, phase: Phase, bank: PairBank, weights: LossWeights) -> dict[str, float]:
    """Mean figures over held-out pictures, in fp32: the loss of ``phase``, of large pictures that of their middle; in
    every phase but "decom", PSNR in dB and SSIM (RGB) of the whole enhanced picture in 8 bit, and the mean of I_hat."""
    computed = objective(net, phase, weights)
    rows: list[dict[str, float]] = []
    for index in range(len(bank)):
        low, high = bank.pair(index)
        box = middle(*low.shape[-2:])
        seen = [tiling.padded(box.cut(picture), net.MULTIPLE) for picture in (low, high)]
        if isinstance(net, RetinexPlus) or net.exposure:
            sides = (*low.shape[-2:], *low.shape[-2:])
            frame = [edge / side for edge, side in zip(box.padded(net.MULTIPLE), sides, strict=True)]
            seen += [*(thumbnail(picture) for picture in (low, high)), low.new_tensor([frame])]
        row = {"loss": sum(value.item() for value in computed(*seen).values())}
        if phase != "decom":
            found = tiling.run(net, low)
            enhanced = quantised(found.enhanced) / 255
            row |= {
                "psnr": metrics.psnr(enhanced, high).item(),
                "ssim": metrics.ssim(enhanced, high).item(),
                "relit_mean": found.relit.mean().item(),
            }
        rows.append(row)
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def middle(height: int, width: int) -> tiling.Box:
    """The middle of a picture, at most ``WHOLE`` px a side."""
    top, left = (max(side - WHOLE, 0) // 2 for side in (height, width))
    return tiling.Box(top, left, min(top + WHOLE, height), min(left + WHOLE, width))


@torch.inference_mode()
def pictures(net: Network, bank: PairBank, names: list[str]) -> dict[str, dict[str, Tensor]]:
    """The maps of the first pairs of ``bank``, by name of pair and of map, for people to look at."""
    rows = {}
    for index, name in enumerate(names):
        low, high = bank.pair(index)
        found = tiling.run(net, low)
        maps: dict[str, Any] = {"low": low, "R": found.reflectance, "I": found.illumination, "I_hat": found.relit}
        maps |= {"enhanced": found.enhanced, "high": high}
        rows[name] = {label: pixels[0].clamp(0, 1).cpu() for label, pixels in maps.items()}
    return rows
