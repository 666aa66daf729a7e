"""Synthesised low light: the light it leaves, the noise it adds, and that seeds decide everything."""

import pytest
import torch

from lowlight_cli.core.data import synthesis
from lowlight_cli.core.data.synthesis import Darkening
from lowlight_cli.core.pictures.colour import to_linear, to_srgb
from lowlight_cli.core.training import pairbank
from lowlight_cli.core.training.pairbank import PairBank, SynthesisBank


def by(
    light: float = 0.1,
    contrast: float = 1.0,
    vignette: float = 0.0,
    shot: float = 0.0,
    read: float = 0.0,
    shade: tuple[float, ...] = (0.0,) * 6,
    deepening: float = 0.0,
    grain: float = 0.0,
) -> Darkening:
    return Darkening(
        light=torch.full((1, 3), light),
        contrast=torch.tensor([contrast]),
        vignette=torch.tensor([vignette]),
        shot=torch.full((1, 3), shot),
        read=torch.full((1, 3), read),
        shade=torch.tensor([shade]),
        deepening=torch.tensor([deepening]),
        grain=torch.tensor([grain]),
    )


def test_srgb_curve() -> None:
    known = torch.tensor([0.0, 0.04045, 0.2, 0.5, 1.0], dtype=torch.float64)
    light = torch.tensor([0.0, 0.0031308, 0.0331048, 0.2140411, 1.0], dtype=torch.float64)  # by IEC 61966-2-1
    assert torch.allclose(to_linear(known), light, atol=1e-6)
    assert torch.allclose(to_srgb(to_linear(known)), known, atol=1e-6)


def test_no_change_at_full_light() -> None:
    high = torch.randint(256, (1, 3, 9, 7), generator=torch.Generator().manual_seed(0)) / 255
    assert torch.equal(synthesis.darken(high, by(light=1.0)), high)


def test_light_is_left_in_proportion() -> None:
    low = synthesis.darken(torch.full((1, 3, 8, 8), 0.8), by(light=0.05))
    wanted = to_srgb(0.05 * to_linear(torch.tensor(0.8)))
    assert (low - wanted).abs().max() <= 0.5 / 255


def test_noise_has_the_variance_asked_for() -> None:
    generator = torch.Generator().manual_seed(0)
    high = torch.full((1, 3, 400, 400), 0.8)
    noisy = to_linear(synthesis.darken(high, by(light=0.3, shot=2e-4, read=5e-3), generator))
    signal = 0.3 * float(to_linear(torch.tensor(0.8)))
    assert abs(float(noisy.mean()) / signal - 1) < 0.01
    assert abs(float(noisy.var()) / (2e-4 * signal + 5e-3**2) - 1) < 0.03


@pytest.mark.parametrize(("grain", "shared"), [(0.0, 0.0), (0.5, 0.2095), (1.0, 4 / 6)])
def test_grain_is_noise_that_neighbours_share(grain: float, shared: float) -> None:
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(2, 3, 200, 300, generator=generator)
    noise = synthesis.grained(white, torch.tensor([grain, 0.0]))
    assert torch.equal(noise[1], white[1])
    assert noise[0].var() == pytest.approx(1, abs=0.01)
    assert float((noise[0, :, :, 1:] * noise[0, :, :, :-1]).mean()) == pytest.approx(shared, abs=0.01)


def test_pixels_that_lie_apart_share_no_noise() -> None:
    gray, white = torch.full((1, 3, 24, 31), 0.5), by(light=0.5, shot=1e-3)
    coarse = white._replace(grain=torch.ones(1))

    def dark(parameters: synthesis.Darkening, *, apart: bool) -> torch.Tensor:
        return synthesis.darken(gray, parameters, torch.Generator().manual_seed(0), apart=apart)

    assert torch.equal(dark(coarse, apart=True), dark(white, apart=False))
    assert not torch.equal(dark(coarse, apart=False), dark(white, apart=False))


def test_vignette_darkens_corners_only() -> None:
    low = to_linear(synthesis.darken(torch.full((1, 3, 41, 61), 0.9), by(light=1.0, vignette=0.5)))
    full = to_linear(torch.tensor(0.9))
    assert torch.allclose(low[0, :, 20, 30], full, atol=5e-3)
    assert torch.allclose(low[0, :, 0, 0], full * 0.64, atol=5e-3)


@pytest.mark.parametrize(
    ("way", "lit", "dark"),
    [
        ((1.0, 50.0, 0.0, 0.0, 2.0, 0.0), (20, 5), (20, 55)),  # beyond the middle, to the right
        ((1.0, 50.0, 0.0, -3.0, 0.0, 0.0), (35, 30), (5, 30)),  # the upper half
        ((1.0, 50.0, 0.0, 0.5, 0.0, 1.0), (38, 30), (2, 30)),  # far from a lamp at the bottom
    ],
)
def test_shade_lies_beyond_an_edge_or_around_a_lamp(
    way: tuple[float, ...], lit: tuple[int, int], dark: tuple[int, int]
) -> None:
    low = to_linear(synthesis.darken(torch.full((1, 3, 41, 61), 0.9), by(light=1.0, shade=way)))
    full = to_linear(torch.tensor(0.9))
    assert torch.allclose(low[0, :, *lit], full, atol=5e-3)
    assert torch.allclose(low[0, :, *dark], full * torch.tensor(-1.0).exp(), atol=5e-3)


def test_deepened_shadows_keep_their_colour() -> None:
    colours = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.4
    scene = to_linear(colours)
    low = to_linear(synthesis.darken(colours, by(light=1.0, deepening=0.5)))
    share = low / scene
    torch.testing.assert_close(share, share.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1), rtol=0.03, atol=0)
    luminance = (scene * torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(dim=1, keepdim=True)
    torch.testing.assert_close(share.mean(dim=1, keepdim=True), luminance.sqrt(), rtol=0.03, atol=0)


@pytest.mark.parametrize("lamp", [0.0, 1.0])
def test_patch_is_vignetted_and_shaded_as_its_photograph(lamp: float) -> None:
    high = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    place = synthesis.places(16, 16, torch.tensor([3]), torch.tensor([40]), frame=(40, 60))
    how = by(vignette=0.5, shade=(1.5, 5.0, 0.1, 0.3, 0.4, lamp), deepening=0.4)
    whole = synthesis.darken(high, how)
    patch = synthesis.darken(high[..., 3:19, 40:56], how, place=place)
    assert torch.equal(patch, whole[..., 3:19, 40:56])
    assert not torch.equal(whole, synthesis.darken(high, by(vignette=0.5, deepening=0.4)))


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


def test_large_photographs_are_reduced() -> None:
    assert synthesis.reduced(torch.rand(3, 1000, 1600)).shape == (3, 500, 800)
    small = torch.rand(3, 30, 40)
    assert synthesis.reduced(small) is small
    stripes = (torch.arange(2000) % 2).float().expand(3, 500, 2000)
    assert (synthesis.reduced(stripes)[..., 2:-2] - 0.5).abs().max() < 0.2, "they blur and do not alias"


def test_counterpart_is_what_its_record_says() -> None:
    high = torch.full((3, 200, 300), 200, dtype=torch.uint8)
    low = synthesis.counterpart(high, seed=5)
    assert torch.equal(low, synthesis.counterpart(high, seed=5))
    record = synthesis.parameters(5)
    light, contrast = torch.tensor(record["light"]), record["contrast"]
    middle = to_linear(low[:, 95:105, 145:155].float() / 255).mean(dim=(1, 2))
    wanted = light * to_linear(torch.tensor(200 / 255)) ** contrast
    assert torch.allclose(middle, wanted, rtol=0.1)


# The bank of photographs


def bank(made: list[bool]) -> tuple[SynthesisBank, list[tuple[torch.Tensor, torch.Tensor]]]:
    generator = torch.Generator().manual_seed(3)
    pairs = []
    for number in range(len(made)):
        high = torch.randint(100, 256, (3, 40 + number, 50), generator=generator, dtype=torch.uint8)
        pairs.append((high // 2, high))
    return SynthesisBank(pairs, made), pairs


def test_bank_of_pairs_alone_is_a_pair_bank() -> None:
    synthesised, pairs = bank([False] * 4)
    plain = PairBank(pairs)
    for found, wanted in zip(
        synthesised.epoch(2, 16, torch.Generator().manual_seed(1)),
        plain.epoch(2, 16, torch.Generator().manual_seed(1)),
        strict=True,
    ):
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_bank_darkens_photographs_only_and_anew_each_time() -> None:
    synthesised, _ = bank([False, True])
    index = torch.tensor([0, 1, 0, 1])
    generator = torch.Generator().manual_seed(1)
    low, high = synthesised.patches(index, 16, generator)
    assert torch.equal((low[::2] * 255).round(), (high[::2] * 255).round() // 2)
    assert (low[1::2].mean(dim=(1, 2, 3)) < 0.6 * high[1::2].mean(dim=(1, 2, 3))).all()
    again, _ = synthesised.patches(index, 16, generator)
    assert not torch.equal(again[1], low[1])
    assert torch.equal(synthesised.patches(index, 16, torch.Generator().manual_seed(1))[0], low)


def test_synthesised_lows_are_as_dark_and_noisy_as_those_of_lol() -> None:
    """The fit, against what was measured on LOL: mean brightness 0.060, noise 1.5 steps of 8 bit."""
    generator = torch.Generator().manual_seed(0)
    high = torch.rand(300, 3, 4, 4, generator=generator).repeat_interleave(12, 2).repeat_interleave(12, 3) * 0.9
    low = synthesis.darken(high, synthesis.draw(300, generator), generator)
    assert 0.045 < float(low.mean()) < 0.075
    flat = low.unfold(2, 12, 12).unfold(3, 12, 12).flatten(4) * 255
    lit = flat.mean(dim=-1) > 4
    assert 1.2 < float(flat.std(dim=-1)[lit].mean()) < 1.9


def test_a_patch_of_a_photograph_may_lie_anywhere_in_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    places = synthesis.places
    monkeypatch.setattr(pairbank, "places", lambda *given, **how: seen.append(places(*given, **how)) or seen[-1])
    bank = SynthesisBank([(torch.full((3, 64, 64), 128, dtype=torch.uint8),) * 2], [True])
    bank.patches(torch.zeros(200, dtype=torch.long), 48, torch.Generator().manual_seed(0))
    (found,) = seen
    assert found.amin() < -0.5 and found[:, 0].amax() > 0.5 and found[:, 1].amax() > 0.7
