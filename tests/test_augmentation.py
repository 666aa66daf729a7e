"""Variety for pairs: what it keeps, what it changes, and that all pictures of a pair change alike."""

import pytest
import torch

from lowlight_cli.core.augmentation import augmented, blended, tinted, varied
from lowlight_cli.core.picture import luma


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 6, size: int = 8, seed: int = 1) -> torch.Tensor:
    return 0.2 + 0.4 * torch.rand(count, 3, size, size, generator=drawn(seed))


def test_a_blend_is_of_the_same_two_pairs_in_the_same_parts_everywhere() -> None:
    colours = torch.rand(64, 3, 1, 1, generator=drawn())
    low, high = (colours * light for light in (0.1, 0.9))
    dark, bright = blended([low.expand(-1, -1, 4, 4), high.expand(-1, -1, 9, 9)], 0.5, drawn(3))
    torch.testing.assert_close(bright[..., :4, :4], 9 * dark)
    changed = (dark[:, :, 0, 0] - low[:, :, 0, 0]).abs().amax(dim=1) > 1e-6
    assert 0.3 < changed.float().mean() < 0.7
    for mixed, own in zip(dark[changed, :, 0, 0], low[changed, :, 0, 0], strict=True):
        others = low[:, :, 0, 0] - own
        along = mixed - own
        part = (others @ along / others.square().sum(dim=1).clamp(min=1e-9))[:, None]
        distance = (part * others - along).norm(dim=1)
        assert distance.min() < 1e-6 and 0 < part[distance.argmin()] <= 0.5


def test_a_tint_keeps_gray_gray_but_for_the_gains_and_is_the_same_for_dark_and_bright() -> None:
    high = pictures(200)
    low = 0.1 * high
    dark, bright = tinted([low, high], 0.1, drawn())
    inside = (bright < 1).all(dim=1, keepdim=True).expand_as(bright)
    torch.testing.assert_close(bright[inside], 10 * dark[inside])
    flat = torch.full((200, 3, 2, 2), 0.5)
    (coloured,) = tinted([flat], 0.1, drawn())
    gains = 2 * coloured[:, :, 0, 0]
    torch.testing.assert_close(gains.mean(dim=1), torch.ones(200))
    assert gains.std(dim=0).mean() == pytest.approx(0.1 * (2 / 3) ** 0.5, rel=0.15)


def test_saturation_is_scaled_about_the_luma() -> None:
    given = pictures(50)
    (changed,) = tinted([given], 0.0, drawn())
    torch.testing.assert_close(luma(changed), luma(given))
    ratio = ((changed - luma(changed)).flatten(1).norm(dim=1)) / ((given - luma(given)).flatten(1).norm(dim=1))
    assert 0.6 <= ratio.min() < 0.75 and 1.15 < ratio.max() <= 1.3


def test_nothing_asked_nothing_drawn() -> None:
    generator = drawn()
    before = generator.get_state()
    given = [pictures()]
    assert varied(given, 0.0, 0.0, generator) is given
    assert torch.equal(generator.get_state(), before)


def test_batches_keep_their_shapes_with_and_without_further_thumbnails() -> None:
    patches, thumbnails, more = pictures(4), pictures(4, 16), pictures(12, 16).unflatten(0, (4, 3))
    frame = torch.rand(4, 4)
    short, long = (patches, patches), (patches, patches, thumbnails, thumbnails, frame, more, more)
    for batch in (short, long):
        (found,) = augmented([batch], 1.0, 0.2, drawn())
        assert [part.shape for part in found] == [part.shape for part in batch]
        if batch is long:
            assert found[4] is frame
            found = (*found[:4], *found[5:])
        for low, high in zip(found[::2], found[1::2], strict=True):  # equal pairs stay equal: both change alike
            assert torch.equal(low, high)
        assert not torch.equal(found[0], batch[0])
