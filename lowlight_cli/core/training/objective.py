"""What a phase of training minimises, as a module: a batch in, weighted loss terms out.

Phase "decom" trains Decom-Net; "enhance" trains Enhance-Net with Decom-Net frozen, as the authors do; "joint" trains
both at once through the sum of both objectives; "plus" trains the three nets of retinex-plus.
"""

import torch
from torch import Tensor, nn

from ...settings import LossWeights
from ..networks import Context, Decomposition, Network, Restored, RetinexNet, RetinexPlus, exposed, turned_up
from . import losses
from .events import Phase
from .losses import Terms


class Objective(nn.Module):
    """The loss terms of ``net`` in ``phase``. Networks run in bf16 if asked; losses never do."""

    def __init__(self, net: RetinexNet, phase: Phase, weights: LossWeights, *, bf16: bool = False) -> None:
        super().__init__()
        self.net, self.phase, self.weights, self.bf16 = net, phase, weights, bf16

    def forward(self, low: Tensor, high: Tensor, *thumbnails: Tensor) -> Terms:
        """Terms by name for a batch of pairs, (B, 3, H, W) in [0, 1]; their sum is the loss. A net with an exposure
        needs the thumbnails of their pictures, low and high, (B, 3, 64, 64): what a ContextBank has first."""
        truth = high
        if self.net.exposure:
            small_low, small_high, *_ = thumbnails
            low = low * turned_up(low, self.net.gain(small_low))
            high = high * turned_up(high, self.net.gain(small_high))
        with torch.autocast(low.device.type, torch.bfloat16, enabled=self.bf16):
            if self.phase == "enhance":
                with torch.no_grad():
                    of_low = of_high = self.net.decom(low)
            else:
                maps = self.net.decom(torch.cat([low, high]))
                of_low, of_high = (Decomposition(*halves) for halves in zip(*(m.chunk(2) for m in maps), strict=True))
            relit = self.net.relight(*of_low) if self.phase != "decom" else None
        of_low, of_high = (Decomposition(*(m.float() for m in maps)) for maps in (of_low, of_high))
        terms: Terms = {}
        if self.phase != "enhance":
            terms |= losses.decomposition(low, high, of_low, of_high, self.weights)
        if relit is not None:
            light = None if self.net.enhance is None else relit.float()
            terms |= losses.relighting(truth, of_low.reflectance, light, self.weights)
        return terms


class PlusObjective(nn.Module):
    """The loss terms of RetinexPlus."""

    def __init__(self, net: RetinexPlus, weights: LossWeights, *, bf16: bool = False) -> None:
        super().__init__()
        self.net, self.weights, self.bf16 = net, weights, bf16

    def forward(
        self, low: Tensor, high: Tensor, low_thumbnail: Tensor, high_thumbnail: Tensor, frame: Tensor, *more: Tensor
    ) -> Terms:
        """Terms by name for a batch of patches (B, 3, H, W), the thumbnails of their pictures (B, 3, 64, 64) and where
        in these they lie (B, 4), as ``RetinexPlus.within`` has it; and perhaps thumbnails of more pictures, low and
        high, (B, M, 3, 64, 64)."""
        low = low.contiguous(memory_format=torch.channels_last)
        dark, bright = low_thumbnail, high_thumbnail
        if more:
            dark, bright = (
                torch.cat([own, others.flatten(0, 1)]) for own, others in zip((dark, bright), more, strict=True)
            )
        told = self.net.globals(dark)  # each by itself: averaging is for use. In fp32: bf16 has 8 bits for the light
        with torch.autocast(low.device.type, torch.bfloat16, enabled=self.bf16):
            context = self.net.mapped(dark, *told)
            own = Context(*(part[: len(low)] for part in context))
            restored = self.net.restore(low, self.net.within(own, frame, low.shape[-2:]))
        restored = Restored(*(maps.float() for maps in restored))
        terms = losses.restoration(high, restored, self.weights)
        terms |= losses.exposure(exposed(dark, self.net.gain(context)), bright)
        return terms | losses.scene(context.scene[:, :3], bright)


def objective(net: Network, phase: Phase, weights: LossWeights, *, bf16: bool = False) -> Objective | PlusObjective:
    """The objective of ``net`` in ``phase``."""
    if isinstance(net, RetinexPlus):
        return PlusObjective(net, weights, bf16=bf16)
    return Objective(net, phase, weights, bf16=bf16)
