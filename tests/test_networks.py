"""The networks: sizes, ranges, receptive field."""

import pytest
import torch
import torch.nn.functional as F

from lowlight_cli.core.networks import RetinexNet
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


@pytest.mark.parametrize("scale", [2, 8])
def test_a_small_enhance_net_sees_so_many_times_as_far(scale: int) -> None:
    torch.manual_seed(0)
    net = RetinexNet(width=4, light_scale=scale).double()
    image = torch.rand(1, 3, 64 * scale, 64 * scale, dtype=torch.double)
    place = 32 * scale
    with torch.no_grad():
        before = net(image).relit
        image[..., place, place] += 0.5
        changed = (before != net(image).relit)[0, 0].nonzero()
    assert 18 * scale <= int((changed - place).abs().max()) <= 30 * scale


def test_light_of_an_even_decomposition_does_not_depend_on_the_scale() -> None:
    """Far from the border, an Enhance-Net that sees one value everywhere says one value, at any resolution."""
    torch.manual_seed(0)
    full, small = (RetinexNet(width=4, light_scale=scale) for scale in (1, 4))
    small.load_state_dict(full.state_dict())
    maps = torch.full((1, 3, 512, 512), 0.6), torch.full((1, 1, 512, 512), 0.2)
    lights = [net.relight(*maps)[..., 224:288, 224:288] for net in (full, small)]
    torch.testing.assert_close(*lights)


def test_the_same_seed_gives_the_same_net() -> None:
    nets = []
    for _ in range(2):
        torch.manual_seed(5)
        nets.append(RetinexNet(width=4).state_dict())
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


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
