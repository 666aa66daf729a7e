"""What a network knows of whole pictures before it looks at a part of one: thumbnails, and how far to turn them up."""

import torch.nn.functional as F
from torch import Tensor

THUMBNAIL = 64
"""Side in px of the whole picture's thumbnail; it is squeezed to a square."""
LEAST_MEAN = 1 / 255
"""Pictures with a smaller mean are treated as if they had this one."""
KNEE = 0.6
"""Below this, exposed values are in proportion to the picture's; above, a shoulder leads the brightest to 1."""


def thumbnail(image: Tensor) -> Tensor:
    """(B, 3, H, W) of any size to (B, 3, 64, 64), by area averaging."""
    pooling = image.cpu() if image.device.type == "mps" else image  # MPS averages only what divides evenly
    return F.adaptive_avg_pool2d(pooling, THUMBNAIL).to(image.device)


def mean_of(thumbnail: Tensor) -> Tensor:
    """The mean of each picture, (B,), at least ``LEAST_MEAN``."""
    return thumbnail.mean(dim=(1, 2, 3)).clamp(min=LEAST_MEAN)


def exposed(image: Tensor, gain: Tensor) -> Tensor:
    """``image`` in [0, 1] times ``gain``, (B, 1 or 3, 1, 1), with a shoulder above ``KNEE`` that leads 1 to 1.

    Rational, with slope 1 at the knee; without a shoulder where the gain is at most 1.
    """
    scaled = image * gain
    reach = ((gain - KNEE) / (1 - KNEE)).clamp(min=1.0)
    over = ((scaled - KNEE) / (1 - KNEE)).clamp(min=0.0)
    return scaled.clamp(max=KNEE) + (1 - KNEE) * over / (1 + over * (1 - 1 / reach))
