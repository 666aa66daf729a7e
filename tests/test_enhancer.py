"""The Enhancer against the bare network."""

import pytest
import torch

from lowlight_cli import Enhancer
from lowlight_cli.core import checkpoints
from lowlight_cli.core.errors import LowlightError
from lowlight_cli.core.networks import RetinexNet


@pytest.fixture(scope="module")
def net() -> RetinexNet:
    torch.manual_seed(0)
    return RetinexNet(width=4).eval()


@pytest.fixture(scope="module")
def enhancer(net: RetinexNet, tmp_path_factory: pytest.TempPathFactory) -> Enhancer:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    checkpoints.save(net, path)
    return Enhancer(str(path), "cpu")


@torch.inference_mode()
def test_enhance_is_the_network_clamped(enhancer: Enhancer, net: RetinexNet) -> None:
    pixels = 0.3 * torch.rand(3, 24, 40, generator=torch.Generator().manual_seed(0))
    expected = net(pixels[None]).enhanced[0].clamp(0, 1)
    torch.testing.assert_close(enhancer.enhance(pixels), expected, rtol=0, atol=1e-6)


def test_decompose_gives_maps_of_the_picture_size(enhancer: Enhancer) -> None:
    found = enhancer.decompose(torch.rand(3, 13, 29))
    assert [tuple(maps.shape) for maps in found] == [(3, 13, 29), (1, 13, 29), (1, 13, 29)]


def test_parameters_are_counted(enhancer: Enhancer, net: RetinexNet) -> None:
    assert enhancer.parameters == sum(parameter.numel() for parameter in net.parameters())


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(LowlightError, match="cuda:63"):
        Enhancer("retinexnet", "cuda:63")
