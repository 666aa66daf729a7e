"""NIQE: how far a picture's local statistics lie from those of undistorted photographs. No reference; lower is better.

Mittal, Soundararajan, Bovik, "Making a Completely Blind Image Quality Analyzer", IEEE Signal Processing Letters 20(3),
2013 (doi:10.1109/LSP.2012.2227726). Brightness, once divided by its local contrast, follows nearly Gaussian
distributions in clean photographs; their shapes in 96x96 patches at two scales make 36 features a patch, and NIQE is
the distance between the picture's and the photographs' multivariate Gaussians of these features. Equal to the authors'
program in features and distance, but for a border of 2 px at the second scale, where MATLAB's resizing mirrors the
picture (some 0.03 of NIQE); the photographs' Gaussian that comes with us is our own fit (experiments/fit_niqe.py).
"""

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import LowlightError
from ..metrics import blurred

PATCH = 96
"""Side of a patch in px at full scale; half as much at half scale."""
WINDOW, SIGMA = 7, 7 / 6


class Pristine(NamedTuple):
    """What undistorted photographs look like to NIQE: mean (36,) and covariance (36, 36) of the features."""

    mean: Tensor
    covariance: Tensor
    name: str


OWN_FIT = Path(__file__).with_name("niqe.npz")


@cache
def load(path: Path = OWN_FIT) -> Pristine:
    """The Gaussian in an ``.npz`` file: the first array of 36 numbers is the mean, the one of 36x36 the covariance."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [torch.from_numpy(np.asarray(file[name], dtype=np.float64)).squeeze() for name in file.files]
        mean = next(array for array in arrays if array.shape == (36,))
        covariance = next(array for array in arrays if array.shape == (36, 36))
    except (OSError, EOFError, ValueError, TypeError, AttributeError, StopIteration, BadZipFile) as error:
        raise LowlightError(
            f"{path}: no NIQE parameters in it: give an .npz file with a mean (36) and a covariance (36x36)"
        ) from error
    return Pristine(mean, covariance, "own fit" if path == OWN_FIT else path.stem)


def niqe(luma: Tensor, model: Pristine) -> Tensor:
    """NIQE of each picture (B, 1, H, W) of luma in [0, 1], of 8-bit origin; shape (B,). Sides below 96 px
    and pictures that are flat give nan."""
    if min(luma.shape[-2:]) < PATCH:
        return luma.new_full((len(luma),), math.nan, dtype=torch.float64)
    at_once = 1 if luma.device.type == "cpu" else len(luma)  # one picture fits a processor's cache
    found = torch.cat([features(some)[0] for some in luma.split(at_once)])
    mean, covariance = model.mean.to(luma.device), model.covariance.to(luma.device)
    distances = []
    for patches in found:
        whole = patches[~patches.isnan().any(dim=1)]  # flat patches have no scale; what they have counts in the mean
        if not len(whole):
            distances.append(mean.new_tensor(math.nan))
            continue
        away = patches.nanmean(dim=0) - mean
        spread = torch.cov(whole.T) if len(whole) > 1 else torch.zeros_like(covariance)
        distances.append((away @ torch.linalg.pinv((covariance + spread) / 2, hermitian=True) @ away).sqrt())
    return torch.stack(distances)


def features(luma: Tensor) -> tuple[Tensor, Tensor]:
    """Of each picture (B, 1, H, W): 36 features of every whole patch, (B, N, 36), and its sharpness, (B, N)."""
    rows, columns = (side // PATCH * PATCH for side in luma.shape[-2:])
    image = (luma[..., :rows, :columns].double() * 255).round()
    found = []
    for size in (PATCH, PATCH // 2):
        if size < PATCH:
            image = F.interpolate(image, scale_factor=0.5, mode="bicubic", antialias=True)
        normalised, contrast = normalise(image)
        found.append(shapes(patches(normalised, size)))
        if size == PATCH:
            sharpness = patches(contrast, size).mean(dim=(-2, -1))
    return torch.cat(found, dim=-1), sharpness


def normalise(image: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 1, H, W) of levels 0 to 255, less its local mean and divided by its local contrast; and that contrast."""
    around = F.pad(image, [WINDOW // 2] * 4, mode="replicate")
    mean = blurred(around, WINDOW, SIGMA)
    contrast = (blurred(around.square(), WINDOW, SIGMA) - mean.square()).abs().sqrt()
    return (image - mean) / (contrast + 1), contrast


def patches(image: Tensor, size: int) -> Tensor:
    """(B, 1, H, W) cut into its squares, row by row: (B, N, size, size)."""
    return image[:, 0].unfold(1, size, size).unfold(2, size, size).flatten(1, 2)


def shapes(x: Tensor) -> Tensor:
    """18 parameters of the distributions in each patch (..., P, P): of its values and of products of neighbours."""
    alpha, left, right = asymmetric_gaussian(x)
    found = [alpha, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        alpha, left, right = asymmetric_gaussian(x * x.roll(shift, dims=(-2, -1)))
        mean = (right - left) * (torch.lgamma(2 / alpha) - torch.lgamma(1 / alpha)).exp()
        found += [alpha, mean, left, right]
    return torch.stack(found, dim=-1)


def asymmetric_gaussian(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape alpha and left and right scale of the asymmetric generalised Gaussian with the moments of (..., P, P).

    Moment matching as in Lasmar, Stitou, Berthoumieu 2009; alpha lies in 0.2 to 10, in steps of 0.001. Of values that
    all lie on one side it is 0.2, and a scale is nan, as in the authors' program.
    """
    squares, below, above = x.square(), x < 0, x > 0
    left = ((squares * below).sum((-2, -1)) / below.sum((-2, -1))).sqrt()
    right = ((squares * above).sum((-2, -1)) / above.sum((-2, -1))).sqrt()
    skew = left / right
    ratio = x.abs().mean((-2, -1)).square() / squares.mean((-2, -1))
    ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew.square() + 1).square()
    candidates = torch.arange(200, 10001, dtype=x.dtype, device=x.device) / 1000
    expected = (2 * torch.lgamma(2 / candidates) - torch.lgamma(1 / candidates) - torch.lgamma(3 / candidates)).exp()
    after = torch.searchsorted(expected, ratio.contiguous()).clamp(1, len(candidates) - 1)
    nearer = (ratio - expected[after - 1]) < (expected[after] - ratio)
    alpha = torch.where(ratio.isnan(), candidates[0], candidates[torch.where(nearer, after - 1, after)])
    scale = ((torch.lgamma(1 / alpha) - torch.lgamma(3 / alpha)) / 2).exp()
    return alpha, left * scale, right * scale
