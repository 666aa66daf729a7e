"""Image quality of each picture, in the conventions of low-light papers. Higher is better for all.

Inputs are (B, C, H, W) in [0, 1]; the field measures what was saved, so quantise to 8 bit first (``evaluation`` does).
"""

import math

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
WINDOW, SIGMA = 11, 1.5


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture over all its channels, in dB; shape (B,). Equal pictures give inf."""
    error = (prediction.double() - target.double()).square().mean(dim=(1, 2, 3))
    return -10.0 * torch.log10(error)


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each picture, mean over channels and valid windows; shape (B,).

    11x11 Gaussian, sigma 1.5, as Wang et al. 2004 (doi:10.1109/TIP.2003.819861) and scikit-image with
    ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False`` compute it. Sides must be at least 11 px.
    """
    return similarity(prediction.double(), target.double())


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """``ssim`` in the precision of its arguments; single is enough for a loss."""
    mean_a, mean_b = blurred(a), blurred(b)
    variance_a = blurred(a * a) - mean_a.square()
    variance_b = blurred(b * b) - mean_b.square()
    covariance = blurred(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    similarity /= (mean_a.square() + mean_b.square() + c1) * (variance_a + variance_b + c2)
    return similarity.mean(dim=(1, 2, 3))


def gray(image: Tensor) -> Tensor:
    """(B, 3, H, W) to luma, (B, 1, H, W)."""
    return (image * image.new_tensor(LUMA).view(3, 1, 1)).sum(dim=1, keepdim=True)


def blurred(x: Tensor) -> Tensor:
    """Gaussian mean over each valid window: (B, C, H, W) to (B, C, H - 10, W - 10).

    Two passes of shifted sums: on a CPU in double precision ten times as fast as convolving each channel.
    """
    radius = WINDOW // 2
    weights = [math.exp(-(place**2) / (2 * SIGMA**2)) for place in range(-radius, radius + 1)]
    weights = [weight / sum(weights) for weight in weights]
    for axis in (-2, -1):
        size = x.shape[axis] - 2 * radius
        total = x.narrow(axis, radius, size) * weights[radius]
        for place in range(radius):
            mirrored = x.narrow(axis, place, size) + x.narrow(axis, 2 * radius - place, size)
            total = total.add(mirrored, alpha=weights[place])
        x = total
    return x
