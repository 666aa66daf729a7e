"""How learning rates fall over a run, and how an average follows the weights."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...settings import TrainSettings

Tensors = tuple[Tensor, ...] | list[Tensor]


def fall(settings: TrainSettings, epoch: int) -> float:
    """What the learning rate of an epoch, counted from 0 in each phase, is of the first one's."""
    if settings.scheduler == "cosine":
        start = max(again for again in (0, *settings.restarts) if again <= epoch)
        end = min(again for again in (*settings.restarts, settings.epochs) if again > epoch)
        return (1 + math.cos(math.pi * (epoch - start) / (end - start))) / 2
    return settings.decay ** sum(epoch >= start for start in settings.decay_epochs)


def moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """The update of an exponential moving average of weights that has seen n steps before this one.

    The decay grows as (1 + n) / (10 + n) up to ``decay``, so that a short run is not held to its first weights
    (https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage, ``num_updates``).
    """

    @torch.no_grad()
    def update(averages: Tensors, current: Tensors, seen: Tensor | int) -> None:
        kept = torch.as_tensor((1 + seen) / (10 + seen)).clamp(max=decay)  # a tensor: reading it would make a GPU wait
        change = torch._foreach_sub(current, averages)  # none, to the last bit, of weights that do not learn
        torch._foreach_mul_(change, 1 - kept)
        torch._foreach_add_(averages, change)

    return update
