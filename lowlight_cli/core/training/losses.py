"""The training objectives. Each returns its terms by name, already weighted; their sum is the loss.

RetinexNet's equations: Wei et al. 2018, section 3. Where the paper and the authors' code differ, these follow the code.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...settings import LossWeights
from .. import metrics
from ..networks import Decomposition, Restored

Terms = dict[str, Tensor]

LUMA = (0.2989, 0.5870, 0.1140)  # as tf.image.rgb_to_grayscale
EDGE = 10.0  # lambda_g: how strongly an edge in R permits an edge in I


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Absolute differences of (B, 1, H, W) along width and along height, same size.

    Each looks one pixel down and right, with zero beyond the border, as the authors' 2x2 kernels under "SAME".
    """
    x = F.pad(x, (0, 1, 0, 1))
    corner = x[..., 1:, 1:]
    return (corner - x[..., 1:, :-1]).abs(), (corner - x[..., :-1, 1:]).abs()


def smoothness(illumination: Tensor, reflectance: Tensor) -> Tensor:
    """L_is, eq. 5: illumination should be smooth except where reflectance has an edge. Scalar, unweighted."""
    red, green, blue = (weight * channel for weight, channel in zip(LUMA, reflectance.split(1, dim=1), strict=True))
    luma = red + green + blue  # with a tensor of the weights, a GPU would wait for its copy
    total = illumination.new_zeros(())
    for light, edge in zip(gradients(illumination), gradients(luma), strict=True):
        nearby = F.avg_pool2d(edge, 3, stride=1, padding=1, count_include_pad=False)
        total = total + (light * torch.exp(-EDGE * nearby)).mean()
    return total


def decomposition(low: Tensor, high: Tensor, of_low: Decomposition, of_high: Decomposition, by: LossWeights) -> Terms:
    """What Decom-Net minimises, eqs. 2 to 5, for images (B, 3, H, W) in [0, 1] and the maps of each."""
    return {
        "recon_low": by.recon * (of_low.reflectance * of_low.illumination - low).abs().mean(),
        "recon_high": by.recon * (of_high.reflectance * of_high.illumination - high).abs().mean(),
        "mutual_low": by.mutual * (of_high.reflectance * of_low.illumination - low).abs().mean(),
        "mutual_high": by.mutual * (of_low.reflectance * of_high.illumination - high).abs().mean(),
        "equal_R": by.equal_r * (of_low.reflectance - of_high.reflectance).abs().mean(),
        "smooth_low": by.smooth * smoothness(of_low.illumination, of_low.reflectance),
        "smooth_high": by.smooth * smoothness(of_high.illumination, of_high.reflectance),
    }


def relighting(high: Tensor, reflectance: Tensor, relit: Tensor | None, by: LossWeights) -> Terms:
    """What Enhance-Net minimises, eq. 6: R_low (B, 3, H, W) under I_hat (B, 1, H, W) should be the bright image.

    Without an Enhance-Net, ``relit`` None, I_hat is 1 and its smoothness no term: all that it could teach comes from
    the zeros beyond the picture, and is a bright edge of R along the bottom and the right.
    """
    enhanced = reflectance if relit is None else reflectance * relit
    terms = {"relight": (enhanced - high).abs().mean()}
    if relit is not None:
        terms["smooth_relit"] = by.smooth_relit * smoothness(relit, reflectance)
    if by.ssim:  # differs from the authors: a structural term
        terms["ssim"] = by.ssim * (1 - metrics.similarity(enhanced, high)).mean()
    return terms


def restoration(high: Tensor, restored: Restored, by: LossWeights) -> Terms:
    """What RetinexPlus minimises for patches: S should be ``high`` (B, 3, H, W), in pixels, structure and mean colour.

    The light should be smooth and just cover the brightest channel: to lie below costs thrice what lying above does.
    """
    enhanced, light, _ = restored
    above = light - high.amax(dim=1, keepdim=True)
    return {
        "pixel": (enhanced - high).abs().mean(),
        "ssim": by.ssim_restored * (1 - metrics.similarity(enhanced, high)).mean(),
        "colour": 0.3 * (enhanced.mean(dim=(2, 3)) - high.mean(dim=(2, 3))).abs().mean(),
        "light": 0.1 * (above.relu() + 3 * (-above).relu()).mean(),
        "smooth": 1.0 * smoothness(light, high),
    }


def exposure(exposed: Tensor, high: Tensor) -> Terms:
    """The exposure alone should already bring the thumbnails (B, 3, 64, 64) to the light of ``high``'s: their pixels,
    and, in logarithms, the mean of each channel."""
    ours, truth = (picture.mean(dim=(2, 3)).clamp(min=1 / 255).log() for picture in (exposed, high))
    return {"exposure": 0.1 * (exposed - high).abs().mean() + 0.5 * (ours - truth).abs().mean()}


def scene(maps: Tensor, high: Tensor) -> Terms:
    """The small pictures (B, 3, 32, 32) that a scene's maps begin with should be those of ``high`` (B, 3, 64, 64)."""
    return {"scene": 0.5 * (maps - F.avg_pool2d(high, 2)).abs().mean()}
