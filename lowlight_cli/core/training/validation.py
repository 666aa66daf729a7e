"""How good a network is on held-out pairs while it learns: figures, and maps to look at."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ...settings import LossWeights
from .. import metrics, tiling
from ..networks import Network, RetinexPlus, thumbnail
from ..pictures.picture import quantised
from .events import Phase
from .objective import objective
from .pairbank import PairBank
from .ranks import Ranks

WHOLE = 1024
"""Side in px of the middle of a picture on which the loss is computed: at once, since it has no tiles."""


@torch.inference_mode()
def figures(net: Network, phase: Phase, bank: PairBank, weights: LossWeights, ranks: Ranks) -> dict[str, float]:
    """Mean figures over held-out pictures, of which each process measures its part, in fp32: the loss of ``phase``, of
    large pictures that of their middle; in every phase but "decom", PSNR in dB and SSIM (RGB) of the whole enhanced
    picture in 8 bit, and the mean of I_hat."""
    computed = objective(net, phase, weights)
    names = ("loss",) if phase == "decom" else ("loss", "psnr", "ssim", "relit_mean")
    table = torch.zeros(len(bank), len(names), dtype=torch.double)
    for index in range(ranks.rank, len(bank), ranks.count):
        low, high = bank.pair(index)
        box = middle(*low.shape[-2:])
        seen = [tiling.padded(box.cut(picture), net.MULTIPLE) for picture in (low, high)]
        if isinstance(net, RetinexPlus) or net.exposure:
            sides = (*low.shape[-2:], *low.shape[-2:])
            frame = [edge / side for edge, side in zip(box.padded(net.MULTIPLE), sides, strict=True)]
            seen += [*(thumbnail(picture) for picture in (low, high)), low.new_tensor([frame])]
        row = [sum(value.item() for value in computed(*seen).values())]
        if phase != "decom":
            found = tiling.run(net, low)
            enhanced = quantised(found.enhanced) / 255
            row += [metrics.psnr(enhanced, high).item(), metrics.ssim(enhanced, high).item(), found.relit.mean().item()]
        table[index] = torch.tensor(row)
    return dict(zip(names, ranks.total(table).mean(dim=0).tolist(), strict=True))


def middle(height: int, width: int) -> tiling.Box:
    """The middle of a picture, at most ``WHOLE`` px a side."""
    top, left = (max(side - WHOLE, 0) // 2 for side in (height, width))
    return tiling.Box(top, left, min(top + WHOLE, height), min(left + WHOLE, width))


@torch.inference_mode()
def pictures(net: Network, phase: Phase, bank: PairBank, named: Mapping[str, int]) -> dict[str, dict[str, Tensor]]:
    """The maps of the ``named`` pairs of ``bank``, by name of pair and of map, for people to look at; in phase "decom"
    without those of Enhance-Net."""
    rows = {}
    for name, index in named.items():
        low, high = bank.pair(index)
        found = tiling.run(net, low)
        relit = {} if phase == "decom" else {"I_hat": found.relit, "enhanced": found.enhanced}
        maps = {"low": low, "R": found.reflectance, "I": found.illumination, **relit, "high": high}
        rows[name] = {label: pixels[0].clamp(0, 1).cpu() for label, pixels in maps.items()}
    return rows
