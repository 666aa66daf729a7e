"""Denoising of the reflectance: non-local means, the stronger the darker the place was.

The noise of a dark photograph ends up in the reflectance; dividing by a small illumination multiplies it, so the
paper denoises with a strength that follows 1 - I. It uses BM3D, whose licence is non-commercial; this is non-local
means (Buades, Coll, Morel, CVPR 2005), in floats and on any device.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

SEARCH, PATCH = 3, 1
"""Radius in px within which alike places are looked for, and radius of the patch that makes them alike."""
RADIUS = SEARCH + PATCH
STRENGTH = {"light": 0.06, "strong": 0.12}
"""Root mean square difference of patches, in reflectance, that still counts as noise where it is darkest."""


def smoothed(reflectance: Tensor, illumination: Tensor, level: Literal["light", "strong"]) -> Tensor:
    """The denoised reflectance of (B, 3, H, W) in [0, 1], given the (B, 1, H, W) illumination in [0, 1]."""
    return non_local_means(reflectance, STRENGTH[level] * (1 - illumination.clamp(0, 1)))


def non_local_means(image: Tensor, strength: Tensor) -> Tensor:
    """Each pixel of (B, C, H, W) as mean of those around it, weighted by how alike their surroundings are.

    ``strength``, (B, 1, H, W), is the root mean square difference of two patches at which the weight has fallen to 1/e.
    """
    height, width = image.shape[-2:]
    mode = "reflect" if min(height, width) > RADIUS else "replicate"
    wide = F.pad(image, (RADIUS,) * 4, mode=mode)
    scale = -1 / strength.square().clamp(min=1e-8)
    total, weights = torch.zeros_like(image), torch.zeros_like(strength)
    centre = shifted(wide, 0, 0, height + 2 * PATCH, width + 2 * PATCH)
    for down in range(-SEARCH, SEARCH + 1):
        for right in range(-SEARCH, SEARCH + 1):
            other = shifted(wide, down, right, height + 2 * PATCH, width + 2 * PATCH)
            difference = (other - centre).square().mean(1, keepdim=True)
            weight = (F.avg_pool2d(difference, 2 * PATCH + 1, stride=1) * scale).exp()
            total.addcmul_(weight, other[..., PATCH:-PATCH, PATCH:-PATCH])
            weights += weight
    return total / weights


def shifted(wide: Tensor, down: int, right: int, height: int, width: int) -> Tensor:
    """The ``height`` by ``width`` part of a padded picture that lies ``down`` and ``right`` of its middle."""
    top, left = (wide.shape[-2] - height) // 2 + down, (wide.shape[-1] - width) // 2 + right
    return wide[..., top : top + height, left : left + width]
