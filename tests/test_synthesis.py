"""Synthesised low light: the light it leaves, the noise it adds, and that seeds decide everything."""

import torch

from lowlight_cli.core import synthesis
from lowlight_cli.core.synthesis import Darkening


def by(
    light: float = 0.1, contrast: float = 1.0, vignette: float = 0.0, shot: float = 0.0, read: float = 0.0
) -> Darkening:
    return Darkening(
        light=torch.full((1, 3), light),
        contrast=torch.tensor([contrast]),
        vignette=torch.tensor([vignette]),
        shot=torch.full((1, 3), shot),
        read=torch.full((1, 3), read),
    )


def test_srgb_curve() -> None:
    known = torch.tensor([0.0, 0.04045, 0.2, 0.5, 1.0], dtype=torch.float64)
    light = torch.tensor([0.0, 0.0031308, 0.0331048, 0.2140411, 1.0], dtype=torch.float64)  # by IEC 61966-2-1
    assert torch.allclose(synthesis.linear(known), light, atol=1e-6)
    assert torch.allclose(synthesis.encoded(synthesis.linear(known)), known, atol=1e-6)


def test_no_change_at_full_light() -> None:
    high = torch.randint(256, (1, 3, 9, 7), generator=torch.Generator().manual_seed(0)) / 255
    assert torch.equal(synthesis.darken(high, by(light=1.0)), high)


def test_light_is_left_in_proportion() -> None:
    low = synthesis.darken(torch.full((1, 3, 8, 8), 0.8), by(light=0.05))
    wanted = synthesis.encoded(0.05 * synthesis.linear(torch.tensor(0.8)))
    assert (low - wanted).abs().max() <= 0.5 / 255


def test_noise_has_the_variance_asked_for() -> None:
    generator = torch.Generator().manual_seed(0)
    high = torch.full((1, 3, 400, 400), 0.8)
    noisy = synthesis.linear(synthesis.darken(high, by(light=0.3, shot=2e-4, read=5e-3), generator))
    signal = 0.3 * float(synthesis.linear(torch.tensor(0.8)))
    assert abs(float(noisy.mean()) / signal - 1) < 0.01
    assert abs(float(noisy.var()) / (2e-4 * signal + 5e-3**2) - 1) < 0.03


def test_vignette_darkens_corners_only() -> None:
    low = synthesis.linear(synthesis.darken(torch.full((1, 3, 41, 61), 0.9), by(light=1.0, vignette=0.5)))
    full = synthesis.linear(torch.tensor(0.9))
    assert torch.allclose(low[0, :, 20, 30], full, atol=5e-3)
    assert torch.allclose(low[0, :, 0, 0], full * 0.64, atol=5e-3)


def test_patch_is_vignetted_as_its_photograph() -> None:
    high = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    radius = synthesis.radii(16, 16, torch.tensor([3]), torch.tensor([40]), frame=(40, 60))
    whole = synthesis.darken(high, by(vignette=0.5))
    patch = synthesis.darken(high[..., 3:19, 40:56], by(vignette=0.5), radius=radius)
    assert torch.equal(patch, whole[..., 3:19, 40:56])


def test_seed_decides() -> None:
    high = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))

    def made(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return synthesis.darken(high, synthesis.draw(4, generator), generator)

    assert torch.equal(made(7), made(7))
    assert not torch.equal(made(7), made(8))


def test_drawn_pictures_are_dark_and_in_range() -> None:
    generator = torch.Generator().manual_seed(0)
    high = torch.rand(64, 3, 8, 8, generator=generator)
    low = synthesis.darken(high, synthesis.draw(64, generator), generator)
    assert low.min() >= 0 and low.max() <= 1
    assert (low.mean(dim=(1, 2, 3)) < high.mean(dim=(1, 2, 3))).all()
    assert torch.equal((low * 255).round() / 255, low)
