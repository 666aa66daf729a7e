"""Strength, highlights and well-exposed pictures."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from test_colour import ADOBE, gamma, profile

from lowlight_cli import Enhancer
from lowlight_cli.core.enhancing.look import Look, cleaned, rendered, smoothstep
from lowlight_cli.core.networks import Retinex
from lowlight_cli.core.pictures.colour import Profile
from lowlight_cli.core.pictures.metadata import Origin
from lowlight_cli.core.pictures.picture import Picture, brightness, converted, log_average


def maps(low: torch.Tensor, gain: float = 4.0) -> Retinex:
    """An ideal decomposition of ``low``, to be relit ``gain`` times as bright."""
    illumination = low.amax(1, keepdim=True).clamp(min=1e-3)
    return Retinex(low / illumination, illumination, illumination * gain)


def gradient() -> torch.Tensor:
    return torch.linspace(0, 1, 100).view(1, 1, 1, 100).expand(1, 3, 4, 100).contiguous()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_strength_zero_is_the_picture_bit_for_bit(tiny_model: object, dtype: type) -> None:
    enhancer = Enhancer(str(tiny_model), "cpu")
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    given = (np.random.default_rng(0).uniform(0, 0.2, (30, 41, 3)) * top).astype(dtype)
    np.testing.assert_array_equal(enhancer.enhance(given, strength=0), given)
    assert (enhancer.enhance(given, strength=0.5) != given).any()


def test_strength_grows_steadily_from_the_picture_over_the_answer_of_the_network() -> None:
    low = gradient() * 0.4
    steps = [rendered(low, maps(low), Look(strength)).clamp(0, 1) for strength in (1e-6, 0.5, 1, 1.25, 1.5)]
    torch.testing.assert_close(steps[0], low, rtol=0, atol=1e-5)
    torch.testing.assert_close(steps[2], maps(low).enhanced.clamp(0, 1))
    for weaker, stronger in pairwise(steps):
        assert (stronger >= weaker - 1e-6).all()
    assert steps[4].mean() > steps[2].mean() + 0.03
    fresh = steps[2] < 1
    assert (steps[4][fresh] < 1).all(), "more strength clips nothing that was not clipped before"


@pytest.mark.parametrize("look", [Look(), Look(1.5), Look(0.7), Look(shadows=1), Look(1.3, shadows=0.5)])
def test_protected_highlights_keep_their_order_while_dark_places_do_not_change_their_answer(look: Look) -> None:
    low = gradient()
    plain = rendered(low, maps(low), look).clamp(0, 1)
    protected = rendered(low, maps(low), replace(look, protect_highlights=True))
    dark, lamp, light = plain[0, 0, 0] < 0.45, low[0, 0, 0] > 0.92, low[0, 0, 0] > 0.3
    torch.testing.assert_close(protected[..., dark], plain[..., dark])
    torch.testing.assert_close(protected[..., lamp], low[..., lamp], rtol=0, atol=0.02)
    if look.strength >= 1:
        assert (plain[..., light] == 1).all(), "all of which blows out without protection"
    assert (protected.diff() > -1e-6).all() and (protected[..., light].diff() > 0).all(), (
        "what was brighter is brighter"
    )


def test_shadows_are_lifted_without_changing_colour() -> None:
    low = torch.tensor([0.12, 0.09, 0.06]).view(1, 3, 1, 1)
    found = Retinex(low / 0.12, torch.full((1, 1, 1, 1), 0.12), torch.full((1, 1, 1, 1), 0.5))
    lifted = rendered(low, found._replace(reflectance=1.5 * found.reflectance), Look(shadows=1.0))
    torch.testing.assert_close(lifted, low / 0.12)


def test_lifting_all_shadows_leaves_the_reflectance() -> None:
    low = gradient() * 0.25
    found = maps(low, gain=4.0)
    steps = [rendered(low, found, Look(shadows=shadows)) for shadows in (0.0, 0.3, 0.7, 1.0)]
    torch.testing.assert_close(steps[0], found.enhanced)
    for less, more in pairwise(steps):
        assert (more >= less - 1e-6).all()
        assert more.mean() > less.mean() + 0.02
    lit = (found.relit > 1 / 8).expand_as(low)
    torch.testing.assert_close(steps[3][lit], found.reflectance[lit])
    torch.testing.assert_close(steps[3][~lit], 8 * found.enhanced[~lit])  # no shadow is lifted farther than that


def test_shadows_are_lifted_in_well_exposed_pictures_too() -> None:
    enhancer = Enhancer("retinex-plus", "cpu")
    against_the_light = np.full((64, 96, 3), 240, dtype=np.uint8)
    against_the_light[40:] = 90
    np.testing.assert_array_equal(enhancer.enhance(against_the_light), against_the_light)
    lifted = enhancer.enhance(against_the_light, shadows=0.5)
    assert lifted[48:].mean() > 95
    assert np.abs(lifted[:32].astype(int) - 240).mean() < 10


def test_well_exposed_pictures_come_back_as_they_are(tiny_model: object) -> None:
    enhancer = Enhancer(str(tiny_model), "cpu")
    values = np.random.default_rng(0)
    bright = values.integers(40, 220, (30, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(enhancer.enhance(bright), bright)
    dark = values.integers(0, 60, (30, 40, 3), dtype=np.uint8)
    assert (enhancer.enhance(dark) != dark).any()
    assert Look().suited(0.1).strength == 1
    assert 0 < Look().suited(0.27).strength < 1
    assert Look(1.5).suited(0.4).strength == 0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_what_is_transparent_does_not_make_a_picture_dark(dtype: torch.dtype) -> None:
    samples = torch.full((3, 40, 60), 130, dtype=torch.uint8)
    alone = Picture(samples)
    both = torch.cat([samples, torch.full_like(samples[:1], 255)])
    samples, alpha = torch.nn.functional.pad(both, (50, 50, 50, 50)).split([3, 1])
    samples, alpha, none = (converted(x, dtype) for x in (samples, alpha, alpha * 0))
    for of in (log_average, brightness):
        assert of(Picture(samples, alpha)) == pytest.approx(of(alone))
        assert of(Picture(samples)) < 0.5 * of(alone)
        assert of(Picture(samples, none)) == pytest.approx(of(Picture(samples)))  # nothing to be seen


def test_how_dark_a_picture_is_does_not_depend_on_its_profile() -> None:
    srgb = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.1
    linear = profile(ADOBE, gamma(1.0))
    stored = Profile.of(linear).from_srgb(srgb)
    for of in (log_average, brightness):
        assert of(Picture(stored, origin=Origin(icc=linear))) == pytest.approx(of(Picture(srgb)), rel=2e-3)
        assert of(Picture(stored)) < 0.6 * of(Picture(srgb))


def test_smoothstep() -> None:
    found = smoothstep(torch.tensor([0.0, 0.2, 0.3, 0.4, 1.0]), 0.2, 0.4)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0]))


def test_without_denoising_the_maps_are_untouched() -> None:
    found = maps(gradient())
    assert cleaned(found, Look()) is found


def test_strength_blends_with_what_can_be_shown() -> None:
    low, light = torch.full((1, 3, 2, 2), 0.4), torch.ones(1, 1, 2, 2)
    found = rendered(low, Retinex(low, light, 4 * light), Look(0.5))
    torch.testing.assert_close(found, torch.full_like(low, 0.7))  # and not 0.4 + 0.5 * 1.2


def test_a_coloured_lamp_keeps_its_colour_where_highlights_are_protected() -> None:
    low = torch.tensor([1.0, 0.3, 0.1]).view(1, 3, 1, 1)
    found = Retinex(torch.tensor([1.0, 0.8, 0.6]).view(1, 3, 1, 1), torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1))
    torch.testing.assert_close(rendered(low, found, Look(protect_highlights=True)), low)
