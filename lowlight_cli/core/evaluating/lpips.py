"""LPIPS, the learned perceptual distance of Zhang et al. 2018 (arXiv:1801.03924), AlexNet, v0.1; lower is better.

Computed by torchmetrics (the extra ``metrics``), whose trunk torchvision fetches on first use.
"""

import contextlib
import io
import math
import socket
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import LowlightError

Lpips = Callable[[Tensor, Tensor], Tensor]
"""Two (B, 3, H, W) in [0, 1] to the distance of each pair, (B,). Sides below 31 px give nan."""
TIMEOUT = 20.0
"""Seconds."""
SMALLEST = 31
"""Side in px below which nothing is left for AlexNet's last layers."""


def load(device: torch.device) -> Lpips:
    """Raises LowlightError, with the remedy, where the library or AlexNet's weights cannot be had."""
    try:
        from torchmetrics.image import LearnedPerceptualImagePatchSimilarity
    except ImportError as error:
        raise LowlightError("LPIPS left out: it needs the extra: pip install 'lowlight[metrics]'") from error
    patience = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(TIMEOUT)  # a download that gets no answer would wait for ever
        said = io.StringIO()  # torch.hub tells of itself, where figures may go
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            warnings.simplefilter("ignore")
            metric = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True).to(device)
    except OSError as error:
        raise LowlightError(
            f"LPIPS left out: AlexNet's weights (233 MB) cannot be fetched ({type(error).__name__}): "
            "run once with a network"
        ) from error
    except Exception as error:  # whatever a damaged file may raise
        place = Path(torch.hub.get_dir()) / "checkpoints"
        raise LowlightError(
            f"LPIPS left out: AlexNet's weights cannot be loaded ({type(error).__name__}): "
            f"delete them in {place}, and run once with a network"
        ) from error
    finally:
        socket.setdefaulttimeout(patience)

    def distance(prediction: Tensor, target: Tensor) -> Tensor:
        if min(target.shape[-2:]) < SMALLEST:
            return target.new_full((len(target),), math.nan)
        pairs = zip(prediction.float().split(1), target.float().split(1), strict=True)
        return torch.stack([metric(ours, theirs) for ours, theirs in pairs])

    return distance
