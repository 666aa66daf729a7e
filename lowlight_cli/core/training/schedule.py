"""How learning rates fall over a run, and how an average follows the weights."""

import copy
import math
from typing import Any

import torch

from ...settings import TrainSettings
from ..networks import Network


def rate_factor(settings: TrainSettings, epoch: int) -> float:
    """What the learning rate of an epoch, counted from 0 in each phase, is of the first one's."""
    if settings.scheduler == "cosine":
        start = max(again for again in (0, *settings.restarts) if again <= epoch)
        end = min(again for again in (*settings.restarts, settings.epochs) if again > epoch)
        return (1 + math.cos(math.pi * (epoch - start) / (end - start))) / 2
    return settings.decay ** sum(epoch >= start for start in settings.decay_epochs)


class MovingAverage:
    """An exponential moving average of a network's weights.

    The decay grows as (1 + n) / (10 + n), where n steps have been seen before, up to ``decay``, so that a short run is
    not held to its first weights
    (https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage, ``num_updates``).
    """

    def __init__(self, net: Network, decay: float) -> None:
        self.net = copy.deepcopy(net).requires_grad_(False)
        self.decay, self.steps = decay, 0  # counted here: to read it from a GPU, the step would have to wait

    @torch.no_grad()
    def update(self, net: Network) -> None:
        """Follow the weights of ``net`` by one step; after the first step, the average is those weights."""
        if self.steps:
            averages, current = tuple(self.net.parameters()), tuple(net.parameters())
            change = torch._foreach_sub(current, averages)  # none, to the last bit, of weights that do not learn
            torch._foreach_mul_(change, 1 - min((1 + self.steps) / (10 + self.steps), self.decay))
            torch._foreach_add_(averages, change)
        else:
            self.net.load_state_dict(net.state_dict())
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.steps = state["steps"]
