"""The loss terms against a naive reading of their definitions, in NumPy loops."""

import numpy as np
import pytest
import torch

from lowlight_cli.core.networks import Decomposition
from lowlight_cli.core.training import losses
from lowlight_cli.settings import LossWeights


def naive_smoothness(illumination: np.ndarray, reflectance: np.ndarray) -> float:
    """For one picture: illumination (H, W), reflectance (3, H, W)."""
    height, width = illumination.shape
    luma = 0.2989 * reflectance[0] + 0.5870 * reflectance[1] + 0.1140 * reflectance[2]

    def slope(x: np.ndarray, down: int, right: int) -> np.ndarray:
        """What the authors' kernels [[0, 0], [-1, 1]] and its transpose give under "SAME": zeros beyond the border."""
        grown = np.zeros((height + 1, width + 1))
        grown[:height, :width] = x
        result = np.zeros((height, width))
        for row in range(height):
            for column in range(width):
                here = grown[row + 1, column + 1]
                result[row, column] = abs(here - grown[row + 1 - down, column + 1 - right])
        return result

    total = 0.0
    for down, right in ((0, 1), (1, 0)):
        light, edge = slope(illumination, down, right), slope(luma, down, right)
        for row in range(height):
            for column in range(width):
                nearby = edge[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].mean()
                total += light[row, column] * np.exp(-10 * nearby) / (height * width)
    return total


def test_smoothness_against_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    illumination = torch.rand(1, 1, 7, 9, generator=generator, dtype=torch.double)
    reflectance = torch.rand(1, 3, 7, 9, generator=generator, dtype=torch.double)
    expected = naive_smoothness(illumination[0, 0].numpy(), reflectance[0].numpy())
    assert losses.smoothness(illumination, reflectance).item() == pytest.approx(expected, rel=1e-12)


def test_an_edge_in_reflectance_permits_an_edge_in_light() -> None:
    light = torch.zeros(1, 1, 16, 16)
    light[..., 8:] = 1
    flat, edged = torch.full((1, 3, 16, 16), 0.5), light.expand(1, 3, 16, 16).contiguous()
    assert losses.smoothness(light, edged) < 0.5 * losses.smoothness(light, flat)


def test_terms_are_weighted_means_of_absolute_errors() -> None:
    ones = torch.ones(1, 3, 8, 8)
    low, high = 0.25 * ones, 0.75 * ones
    of_low = Decomposition(0.5 * ones, 0.4 * ones[:, :1])
    of_high = Decomposition(0.8 * ones, 0.9 * ones[:, :1])
    found = losses.decomposition(low, high, of_low, of_high, LossWeights(recon=0.1, mutual=0.5, equal_r=2, smooth=0))
    assert {name: round(value.item(), 6) for name, value in found.items()} == {
        "recon_low": 0.005,
        "recon_high": 0.003,
        "mutual_low": 0.035,
        "mutual_high": 0.15,
        "equal_R": 0.6,
        "smooth_low": 0,
        "smooth_high": 0,
    }
    relight = losses.relighting(high, of_low.reflectance, 1.2 * ones[:, :1], LossWeights(smooth_relit=0))
    assert relight["relight"].item() == pytest.approx(0.15)


def test_without_an_enhance_net_the_borders_are_nothing_special() -> None:
    """I_hat = 1 has no smoothness; that of a map of ones would have an edge where the zeros beyond it begin."""
    high, reflectance = torch.full((1, 3, 9, 9), 0.7), torch.full((1, 3, 9, 9), 0.4, requires_grad=True)
    terms = losses.relighting(high, reflectance, None, LossWeights())
    assert terms.keys() == {"relight"}
    assert terms["relight"].item() == pytest.approx(0.3)
    terms["relight"].backward()
    assert reflectance.grad is not None
    assert len(reflectance.grad.unique()) == 1


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    maps = [torch.rand(1, n, 5, 6, generator=generator, dtype=torch.double, requires_grad=True) for n in (1, 3)]
    assert torch.autograd.gradcheck(losses.smoothness, maps)


def test_the_structural_term_is_least_for_the_truth() -> None:
    high = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    light, by = torch.ones(1, 1, 16, 16), LossWeights(ssim=0.5)
    best, worse = (losses.relighting(high, each, light, by)["ssim"].item() for each in (high, high.flip(-1)))
    assert best == pytest.approx(0, abs=1e-6)
    assert worse > 0.1


def test_a_black_channel_is_no_more_than_a_level_off() -> None:
    high = torch.full((1, 3, 64, 64), 1 / 255)
    assert losses.exposure(torch.zeros_like(high), high)["exposure"].item() < 0.01
