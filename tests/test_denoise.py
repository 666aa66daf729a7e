"""Non-local means, against scikit-image and on known noise."""

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_nl_means

from lowlight_cli.core import tiling
from lowlight_cli.core.enhancing import denoise


def scene(height: int = 40, width: int = 48) -> torch.Tensor:
    """Flat coloured fields with sharp edges."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    field = ((rows // 13 + columns // 16) % 3).float() / 3
    return torch.stack([field * 0.6 + 0.2, 0.8 - field * 0.5, field * 0 + 0.4])


def test_non_local_means_is_as_good_as_that_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    image = scene().numpy() + rng.normal(0, 0.05, scene().shape)
    strength = 0.06
    ours = denoise.non_local_means(torch.from_numpy(image)[None], torch.full((1, 1, 40, 48), strength).double())[0]
    size = 2 * denoise.PATCH + 1
    theirs = denoise_nl_means(image, size, denoise.SEARCH, strength, fast_mode=True, channel_axis=0)
    errors = [np.sqrt(((found - scene().numpy()) ** 2).mean()) for found in (image, theirs, ours.numpy())]
    assert errors[1] < 0.6 * errors[0]
    assert errors[2] < 1.03 * errors[1]


def test_non_local_means_by_hand() -> None:
    image = torch.rand(1, 3, 20, 21, generator=torch.Generator().manual_seed(0)).double()
    found = denoise.non_local_means(image, torch.full((1, 1, 20, 21), 0.3).double())[0]
    row, column, around = 9, 10, denoise.PATCH
    total, weights = torch.zeros(3).double(), 0.0

    def patch(row: int, column: int) -> torch.Tensor:
        return image[0, :, row - around : row + around + 1, column - around : column + around + 1]

    for down in range(-denoise.SEARCH, denoise.SEARCH + 1):
        for right in range(-denoise.SEARCH, denoise.SEARCH + 1):
            apart = (patch(row, column) - patch(row + down, column + right)).square().mean()
            weight = float(torch.exp(-apart / 0.3**2))
            total += weight * image[0, :, row + down, column + right]
            weights += weight
    torch.testing.assert_close(found[:, row, column], total / weights)


@pytest.mark.parametrize("level", ["light", "strong"])
def test_noise_goes_and_edges_stay(level: str) -> None:
    noisy = scene() + 0.06 * torch.randn(3, 40, 48, generator=torch.Generator().manual_seed(0))
    dark = torch.full((1, 1, 40, 48), 0.05)
    clean = denoise.smoothed(noisy[None].clamp(0, 1), dark, level)[0]
    before, after = (noisy - scene()).square().mean().sqrt(), (clean - scene()).square().mean().sqrt()
    assert after < 0.7 * before
    assert (clean[:, :, 18:30].mean((0, 2)) - scene()[:, :, 18:30].mean((0, 2))).abs().max() < 0.04


def test_where_it_was_bright_nothing_changes() -> None:
    noisy = (scene() + 0.06 * torch.randn(3, 40, 48, generator=torch.Generator().manual_seed(0))).clamp(0, 1)[None]
    light = torch.ones(1, 1, 40, 48)
    light[..., :24] = 0.05
    clean = denoise.smoothed(noisy, light, "strong")
    torch.testing.assert_close(clean[..., 24:], noisy[..., 24:], rtol=0, atol=1e-4)
    assert (clean[..., :24] - noisy[..., :24]).abs().mean() > 0.01


def test_a_tile_with_the_radius_as_halo_equals_the_whole() -> None:
    image = torch.rand(1, 3, 60, 70, generator=torch.Generator().manual_seed(0))
    strength = torch.full((1, 1, 60, 70), 0.2)
    whole = denoise.non_local_means(image, strength)
    box = tiling.Box(24, 24, 40, 48)
    seen = box.grown(denoise.RADIUS, 60, 70)
    part = denoise.non_local_means(seen.cut(image), seen.cut(strength))
    torch.testing.assert_close(box.cut(part, (seen.top, seen.left)), box.cut(whole), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (3, 30), (8, 8)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    found = denoise.smoothed(torch.rand(1, 3, *size), torch.full((1, 1, *size), 0.1), "light")
    assert found.shape == (1, 3, *size)
    assert found.isfinite().all()
