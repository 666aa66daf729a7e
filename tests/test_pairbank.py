"""Patches by one gather against brute force."""

import pytest
import torch

from lowlight_cli.core.training.pairbank import PairBank

SIZES = [(9, 14), (12, 8), (10, 10)]


def pictures() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pairs of several sizes, every value of low distinct, high = 255 - low."""
    made = []
    for number, (height, width) in enumerate(SIZES):
        low = torch.randperm(256, generator=torch.Generator().manual_seed(number))
        low = low.repeat(3 * height * width // 256 + 1)[: 3 * height * width].view(3, height, width).to(torch.uint8)
        made.append((low, 255 - low))
    return made


def crops(picture: torch.Tensor, size: int) -> list[list[torch.Tensor]]:
    """For each of the 8 symmetries, every crop."""
    found: list[list[torch.Tensor]] = [[] for _ in range(8)]
    for top in range(picture.shape[1] - size + 1):
        for left in range(picture.shape[2] - size + 1):
            patch = picture[:, top : top + size, left : left + size]
            for quarter in range(4):
                turned = patch.rot90(quarter, dims=(1, 2))
                found[quarter].append(turned)
                found[4 + quarter].append(turned.flip(1))
    return found


def test_every_patch_is_a_turned_crop_of_its_picture_and_low_and_high_agree() -> None:
    pairs = pictures()
    bank = PairBank(pairs)
    generator = torch.Generator().manual_seed(0)
    index = torch.arange(3).repeat(60)
    low, high = bank.patches(index, 5, generator)
    assert low.shape == (180, 3, 5, 5)
    assert torch.equal((low * 255).round() + (high * 255).round(), torch.full_like(low, 255))
    ways: set[int] = set()
    for picture, patch in zip(index.tolist(), (low * 255).round().to(torch.uint8), strict=True):
        matching = [way for way, of in enumerate(crops(pairs[picture][0], 5)) if any(torch.equal(patch, c) for c in of)]
        assert len(matching) == 1
        ways |= set(matching)
    assert ways == set(range(8))


def test_of_a_photograph_one_picture_is_kept() -> None:
    pairs = pictures()
    bank = PairBank(pairs, [False, True, False])
    assert len(bank.pixels) == sum(3 * h * w * (1 if number == 1 else 2) for number, (h, w) in enumerate(SIZES))
    for number, (low, high) in enumerate(pairs):
        found = [(picture[0] * 255).round().to(torch.uint8) for picture in bank.pair(number)]
        assert torch.equal(found[0], high if number == 1 else low)
        assert torch.equal(found[1], high)
        patches = bank.patches(torch.full((20,), number), 5, torch.Generator().manual_seed(number))
        assert torch.equal((patches[0] + patches[1]).round(), torch.ones_like(patches[0])) == (number != 1)
        assert torch.equal(*patches) == (number == 1)


def test_every_place_is_reached() -> None:
    low = torch.arange(36, dtype=torch.uint8).view(1, 6, 6).expand(3, 6, 6)
    bank = PairBank([(low, low)])
    found, _ = bank.patches(torch.zeros(400, dtype=torch.long), 4, torch.Generator().manual_seed(0))
    smallest = (found * 255).round().amin(dim=(1, 2, 3)).unique().tolist()
    assert smallest == [6 * top + left for top in range(3) for left in range(3)]


def test_an_epoch_shows_every_picture_once_in_another_order_each_time() -> None:
    pairs = [(torch.full((3, 8, 8), number, dtype=torch.uint8),) * 2 for number in range(12)]
    bank = PairBank(pairs)
    generator = torch.Generator().manual_seed(0)
    orders = [
        [round(255 * patch.mean().item()) for low, _ in bank.epoch(4, 8, generator) for patch in low] for _ in range(2)
    ]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(12))
    assert orders[0] != orders[1] and list(range(12)) not in orders


@pytest.mark.parametrize(("captured", "photographs", "shown"), [(4, 10, 4), (4, 3, 3), (0, 10, 10)])
def test_an_epoch_shows_as_many_photographs_as_pairs_and_others_each_time(
    captured: int, photographs: int, shown: int
) -> None:
    count = captured + photographs
    pairs = [(torch.full((3, 8, 8), number, dtype=torch.uint8),) * 2 for number in range(count)]
    bank = PairBank(pairs, [number >= captured for number in range(count)])
    generator = torch.Generator().manual_seed(0)
    seen = [[round(255 * low.mean().item()) for low, _ in bank.epoch(1, 8, generator)] for _ in range(20)]
    assert all(len(set(epoch)) == len(epoch) == bank.epoch_size == captured + shown for epoch in seen)
    assert all(set(range(captured)) <= set(epoch) for epoch in seen)
    assert set().union(*seen) == set(range(count))


def test_a_small_set_still_fills_a_batch() -> None:
    batches = list(PairBank(pictures()).epoch(8, 8, torch.Generator().manual_seed(0)))
    assert [len(low) for low, _ in batches] == [8]


def test_whole_pairs_come_back() -> None:
    pairs = pictures()
    bank = PairBank(pairs)
    for index, (low, high) in enumerate(pairs):
        found = bank.pair(index)
        assert torch.equal(found[0][0], low.float() / 255)
        assert torch.equal(found[1][0], high.float() / 255)
