"""Image quality of each picture against the truth, in the conventions of low-light papers.

Inputs are (B, C, H, W) in [0, 1]; the field measures what was saved, so quantise to 8 bit first (``measuring`` does).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .pictures.picture import luma

WINDOW, SIGMA = 11, 1.5
LMSE_WINDOW = 20


def in_double(picture: Tensor) -> Tensor:
    """The picture in double precision: on its device, or on the CPU if that has none, as Apple's MPS."""
    return (picture.cpu() if picture.device.type == "mps" else picture).double()


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture over all its channels, in dB; shape (B,). Equal pictures give inf."""
    error = (in_double(prediction) - in_double(target)).square().mean(dim=(1, 2, 3))
    return -10.0 * torch.log10(error)


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each picture, mean over channels and valid windows; shape (B,).

    11x11 Gaussian, sigma 1.5, as Wang et al. 2004 (doi:10.1109/TIP.2003.819861) and scikit-image with
    ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False`` compute it. Sides must be at least 11 px.
    """
    planes = len(prediction) * prediction.shape[1]
    at_once = 1 if prediction.device.type == "cpu" else planes  # one plane fits a processor's cache
    ours, theirs = (in_double(picture).flatten(0, 1)[:, None].split(at_once) for picture in (prediction, target))
    found = torch.cat([similarity(a, b).mean(dim=(1, 2, 3)) for a, b in zip(ours, theirs, strict=True)])
    return found.view(len(prediction), -1).mean(dim=1)


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """SSIM of each valid window: two (B, C, H, W) to (B, C, H - 10, W - 10)."""
    mean_a, mean_b = blurred(a), blurred(b)
    variance_a = blurred(a * a) - mean_a.square()
    variance_b = blurred(b * b) - mean_b.square()
    covariance = blurred(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1)
    return luminance * (2 * covariance + c2) / (variance_a + variance_b + c2)


def gt_mean(prediction: Tensor, target: Tensor) -> Tensor:
    """``prediction`` (B, 3, H, W) scaled to the mean gray of ``target``, then clamped: it borrows from the answer.

    Worth 2 to 5 dB, so figures measured on it are never to be mixed with others. A black picture stays black.
    """
    ours, truth = (luma(picture).mean(dim=(1, 2, 3), keepdim=True) for picture in (prediction, target))
    return torch.where(ours > 0, prediction * (truth / ours), prediction).clamp(0, 1)


def lmse(estimate: Tensor, truth: Tensor) -> float:
    """Local mean squared error, 0 to 1, of a map (C, H, W) that is known up to a factor; lower is better.

    In each of the half-overlapping windows the estimate is scaled to fit best; the squared errors that remain are
    summed over windows and divided by those of an estimate of zero; nan if the truth is black. Grosse et al. 2009,
    "Ground truth dataset and baseline evaluations for intrinsic image algorithms" (doi:10.1109/ICCV.2009.5459428).
    Sides must be at least ``LMSE_WINDOW``.
    """
    ours, theirs = (F.unfold(x[None].double(), LMSE_WINDOW, stride=LMSE_WINDOW // 2)[0] for x in (estimate, truth))
    energy, product = ours.square().sum(dim=0), (ours * theirs).sum(dim=0)
    total = theirs.square().sum(dim=0)
    explained = torch.where(energy > 1e-5, product.square() / energy.clamp(min=1e-5), 0.0)
    return float((total - explained).sum() / total.sum())


def blurred(x: Tensor, window: int = WINDOW, sigma: float = SIGMA) -> Tensor:
    """Gaussian mean over each valid window: (B, C, H, W) to (B, C, H - window + 1, W - window + 1).

    Two passes of shifted sums: on a CPU in double precision ten times as fast as convolving each channel.
    """
    radius = window // 2
    weights = [math.exp(-(place**2) / (2 * sigma**2)) for place in range(-radius, radius + 1)]
    weights = [weight / sum(weights) for weight in weights]
    for axis in (-2, -1):
        size = x.shape[axis] - 2 * radius
        total = x.narrow(axis, radius, size) * weights[radius]
        for place in range(radius):
            mirrored = x.narrow(axis, place, size) + x.narrow(axis, 2 * radius - place, size)
            total = total.add(mirrored, alpha=weights[place])
        x = total
    return x
