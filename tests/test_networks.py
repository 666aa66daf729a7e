"""The networks: sizes, ranges, receptive field."""

import pytest
import torch
import torch.nn.functional as F

from lowlight_cli.core.networks import RetinexNet, thumbnail, turned_up
from lowlight_cli.core.networks.retinexnet import EnhanceNet, Upsampling


def count(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_parameter_counts_are_the_authors() -> None:
    net = RetinexNet()
    assert (count(net.decom), count(net.enhance), count(net)) == (207_748, 236_865, 444_613)


def test_maps_have_the_picture_s_size_and_their_ranges() -> None:
    found = RetinexNet(width=4)(torch.rand(2, 3, 16, 24))
    assert found.reflectance.shape == (2, 3, 16, 24)
    assert found.illumination.shape == found.relit.shape == (2, 1, 16, 24)
    for maps in (found.reflectance, found.illumination):
        assert 0 < maps.min() < maps.max() < 1
    assert torch.equal(found.enhanced, found.reflectance * found.relit)


def test_relit_illumination_is_unbounded() -> None:
    net = RetinexNet(width=4)
    torch.nn.init.constant_(net.enhance.head.bias, 3.0)
    assert net(torch.rand(1, 3, 8, 8)).relit.max() > 1


@pytest.mark.parametrize("upsampling", ["resize", "transposed"])
def test_halo_covers_the_receptive_field(upsampling: Upsampling) -> None:
    """A change of one pixel is felt up to 33 px away, which the halo must cover, and no farther than the halo."""
    torch.manual_seed(0)
    net = RetinexNet(width=4, upsampling=upsampling).double()
    image = torch.rand(1, 3, 160, 160, dtype=torch.double)
    with torch.no_grad():
        before = net(image)
        image[..., 80, 80] += 0.5
        after = net(image)
    changed = (before.relit != after.relit)[0, 0].nonzero()
    reach = int((changed - 80).abs().max())
    assert 28 <= reach <= net.HALO
    assert net.HALO % net.MULTIPLE == 0


@torch.inference_mode()
def test_half_the_light_is_half_of_i_and_nothing_else_where_pictures_are_exposed_first() -> None:
    """What Retinex theory says of reflectance: it does not depend on the light."""
    torch.manual_seed(0)
    net = RetinexNet(width=4, exposure=0.3)
    image = 0.2 * torch.rand(1, 3, 64, 64)
    full, half = (net(seen, net.gain(thumbnail(seen))) for seen in (image, image / 2))
    torch.testing.assert_close(half.reflectance, full.reflectance)
    torch.testing.assert_close(half.relit, full.relit)
    torch.testing.assert_close(half.illumination, full.illumination / 2)


@torch.inference_mode()
def test_exposed_pictures_stay_within_0_and_1_and_keep_their_colours() -> None:
    torch.manual_seed(0)
    net = RetinexNet(width=4, exposure=0.3)
    image = torch.rand(1, 3, 64, 64) ** 6
    image[..., 0, 0] = torch.tensor([1, 0.5, 0])
    image[..., 0, 1] = 0
    factor = turned_up(image, net.gain(thumbnail(image)))
    assert factor.min() == 1 < factor.max()
    assert (image * factor).max() == 1
    maps, plain = net(image, net.gain(thumbnail(image))), net(image * factor)
    assert torch.equal(maps.reflectance, plain.reflectance) and torch.equal(maps.relit, plain.relit)
    torch.testing.assert_close(maps.illumination, plain.illumination / factor)


def test_what_is_bright_enough_is_not_exposed() -> None:
    net = RetinexNet(width=4, exposure=0.25)
    assert net.gain(torch.full((1, 3, 64, 64), 0.3)) == 1
    assert net.gain(torch.full((1, 3, 64, 64), 0.05)) == pytest.approx(5)
    assert net.gain(torch.zeros(1, 3, 64, 64)) == pytest.approx(0.25 * 255)


def test_transposed_convolutions_have_as_many_weights() -> None:
    assert count(RetinexNet(upsampling="transposed")) == 444_613
    assert RetinexNet(4, "transposed")(torch.rand(1, 3, 16, 24)).relit.shape == (1, 1, 16, 24)


def test_without_enhance_net_the_picture_is_its_reflectance() -> None:
    net = RetinexNet(ignore_enhance_net=True)
    assert count(net) == 207_748
    found = net(torch.rand(1, 3, 8, 8))
    assert torch.equal(found.relit, torch.ones(1, 1, 8, 8))
    assert torch.equal(found.enhanced, found.reflectance)


@pytest.mark.parametrize("net", [RetinexNet(4), RetinexNet(7, "transposed"), RetinexNet(4, ignore_enhance_net=True)])
def test_config_rebuilds_the_net(net: RetinexNet) -> None:
    RetinexNet(**net.config).load_state_dict(net.state_dict())


def test_fusing_by_scale_equals_fusing_the_resized_scales() -> None:
    torch.manual_seed(0)
    net = EnhanceNet(8).double()
    torch.nn.init.normal_(net.fuse.bias)
    scales = [torch.randn(2, 8, 24 // side, 32 // side, dtype=torch.float64) for side in (4, 2, 1)]
    resized = [F.interpolate(scale, (24, 32), mode="nearest") for scale in scales]
    expected = net.head(net.fuse(torch.cat(resized, dim=1)))
    torch.testing.assert_close(net.fused(*scales), expected)
