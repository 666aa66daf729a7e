"""The authors' TensorFlow names and layouts, as PyTorch's. Used by the parity tests and to write their golden file."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

LAYERS = {
    "decom.stem": "DecomNet/shallow_feature_extraction",
    **{f"decom.body.{2 * number}": f"DecomNet/activated_layer_{number}" for number in range(5)},
    "decom.head": "DecomNet/recon_layer",
    "enhance.stem": "RelightNet/conv2d",
    **{f"enhance.down.{number}": f"RelightNet/conv2d_{number + 1}" for number in range(3)},
    **{f"enhance.up.{number}": f"RelightNet/conv2d_{number + 4}" for number in range(3)},
    "enhance.fuse": "RelightNet/conv2d_7",
    "enhance.head": "RelightNet/conv2d_8",
}

TERMS = {  # our weighted term: theirs, unweighted, and the weight
    "recon_low": ("recon_low", 1.0),
    "recon_high": ("recon_high", 1.0),
    "mutual_low": ("mutual_low", 0.001),
    "mutual_high": ("mutual_high", 0.001),
    "equal_R": ("equal_R", 0.01),
    "smooth_low": ("smooth_low", 0.1),
    "smooth_high": ("smooth_high", 0.1),
    "relight": ("relight", 1.0),
    "smooth_relit": ("smooth_delta", 3.0),
}


def image(values: np.ndarray) -> Tensor:
    """(B, H, W, C) to (B, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


def parameters(reference: Mapping[str, np.ndarray], prefix: str) -> dict[str, Tensor]:
    """Weights, or anything else of their shapes, by our names."""
    found = {}
    for ours, theirs in LAYERS.items():
        kernel = reference[f"{prefix}{theirs}/kernel:0"]  # height, width, in, out
        found[f"{ours}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
        found[f"{ours}.bias"] = torch.from_numpy(reference[f"{prefix}{theirs}/bias:0"])
    return found
