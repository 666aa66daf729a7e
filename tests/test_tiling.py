"""Tiling must be invisible: the tiled pass equals the pass over the whole picture."""

import pytest
import torch

from lowlight_cli.core import tiling
from lowlight_cli.core.networks import Retinex, RetinexNet, thumbnail


def noise(height: int, width: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.rand(1, 3, height, width, dtype=dtype, generator=torch.Generator().manual_seed(height * width))


def small_net() -> RetinexNet:
    torch.manual_seed(0)
    return RetinexNet(width=4).eval()


class WholeNumbers(RetinexNet):
    """RetinexNet on whole numbers, without the sigmoid: float64 adds them exactly, in whatever order."""

    def __init__(self) -> None:
        super().__init__(width=4)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            values = torch.randint(-1, 2, parameter.shape, generator=generator)
            parameter.data = (values * (torch.rand(parameter.shape, generator=generator) < 0.3)).double()

    def forward(self, image: torch.Tensor) -> Retinex:
        brightest = image.amax(dim=1, keepdim=True)
        maps = self.decom.head(self.decom.body(self.decom.stem(torch.cat([brightest, image], dim=1))))
        relit = self.enhance(maps[:, :3], maps[:, 3:])
        assert relit.abs().max() < 2**53
        return Retinex(maps[:, :3], maps[:, 3:], relit)


SIZES = [(96, 136, 48), (130, 61, 64), (203, 157, 80)]


@pytest.mark.parametrize(("height", "width", "tile"), SIZES)
@torch.inference_mode()
def test_tiled_equals_whole_bit_for_bit(height: int, width: int, tile: int) -> None:
    net, image = WholeNumbers().eval(), (noise(height, width, torch.float64) * 255).round()
    whole = tiling.run(net, image, tile=None)
    assert whole.relit.unique().numel() > 1000
    for ours, truth in zip(tiling.run(net, image, tile=tile), whole, strict=True):
        assert torch.equal(ours, truth)


@pytest.mark.parametrize(("height", "width", "tile"), SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-15), (torch.float32, 1e-6)])
@torch.inference_mode()
def test_tiled_equals_whole(height: int, width: int, tile: int, dtype: torch.dtype, tolerance: float) -> None:
    net, image = small_net().to(dtype), noise(height, width, dtype)
    whole = tiling.run(net, image, tile=None)
    for ours, truth in zip(tiling.run(net, image, tile=tile), whole, strict=True):
        torch.testing.assert_close(ours, truth, rtol=0, atol=tolerance)


@torch.inference_mode()
def test_tiled_equals_whole_where_pictures_are_exposed_first() -> None:
    torch.manual_seed(0)
    net = RetinexNet(width=4, exposure=0.9).double().eval()
    image = noise(203, 157, torch.float64) ** 2
    image[..., :50] /= 20  # so that tiles differ in brightness
    whole = net(tiling.padded(image, net.MULTIPLE), net.gain(thumbnail(image)))
    for ours, truth in zip(tiling.run(net, image, tile=48), whole, strict=True):
        torch.testing.assert_close(ours, truth[..., :203, :157], rtol=0, atol=1e-14)


@torch.inference_mode()
def test_a_smaller_halo_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    net, image = WholeNumbers().eval(), (noise(96, 136, torch.float64) * 255).round()
    whole = tiling.run(net, image, tile=None)
    monkeypatch.setattr(net, "HALO", 24)
    assert not torch.equal(tiling.run(net, image, tile=48).relit, whole.relit)


@torch.inference_mode()
def test_sides_that_are_no_multiple_are_padded_by_reflection() -> None:
    net, image = small_net(), noise(21, 30, torch.float32)
    by_hand = torch.cat([image, image[..., :, -3:-1].flip(-1)], dim=-1)
    by_hand = torch.cat([by_hand, by_hand[..., -4:-1, :].flip(-2)], dim=-2)
    expected = net(by_hand)
    found = tiling.run(net, image)
    for ours, truth in zip(found, expected, strict=True):
        assert ours.shape[-2:] == (21, 30)
        torch.testing.assert_close(ours, truth[..., :21, :30], rtol=0, atol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (3, 9), (4, 12), (12, 4)])
@torch.inference_mode()
def test_pictures_too_small_to_reflect_are_padded_by_their_edge(height: int, width: int) -> None:
    image = noise(height, width, torch.float32)
    grown = tiling.padded(image, 8)
    assert grown.shape[-2] % 8 == grown.shape[-1] % 8 == 0
    assert torch.equal(grown[..., :height, :width], image)
    assert torch.equal(grown[..., -1, -1], image[..., -1, -1])
    assert tiling.run(small_net(), image).enhanced.shape == image.shape


def test_boxes_cover_every_pixel_once() -> None:
    count = torch.zeros(50, 70)
    for box in tiling.boxes(50, 70, 16):
        box.cut(count).add_(1)
    assert (count == 1).all()


@pytest.mark.parametrize(("height", "width"), [(3000, 4000), (400, 600), (20000, 300), (90, 12000), (1, 1), (5, 7000)])
@pytest.mark.parametrize("pixels", [150_000, 40_000, 20_000])
def test_tiles_fit_and_waste_little(height: int, width: int, pixels: int) -> None:
    tall, wide = tiling.fitting(height, width, pixels, halo=40, multiple=8)
    assert tall % 8 == wide % 8 == 0
    seen = [box.grown(40, height, width) for box in tiling.boxes(height, width, (tall, wide))]
    areas = [(box.bottom - box.top) * (box.right - box.left) for box in seen]
    assert max(areas) <= pixels
    square = int(pixels**0.5) // 8 * 8 - 80
    plain = [box.grown(40, height, width) for box in tiling.boxes(height, width, square)]
    assert sum(areas) <= sum((box.bottom - box.top) * (box.right - box.left) for box in plain)


def test_memory_too_small_for_any_tile_still_gives_the_smallest() -> None:
    assert tiling.fitting(3000, 4000, 100, halo=40, multiple=8) == (8, 8)
