"""The Enhancer against the bare network, and as a library."""

import itertools
import threading
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image
from test_colour import CASES

from lowlight_cli import Enhancer
from lowlight_cli.core import checkpoints
from lowlight_cli.core.data import datasets
from lowlight_cli.core.enhancing.enhancer import finish
from lowlight_cli.core.errors import LowlightError, PictureError
from lowlight_cli.core.networks import Network, RetinexNet, RetinexPlus, thumbnail
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.metadata import Origin
from lowlight_cli.core.pictures.picture import Picture, quantised, visible

SMALL = {
    RetinexNet: {"width": 4},
    RetinexPlus: {"widths": (4, 6), "depths": (1, 1), "context": 4, "scene_widths": (4, 6), "scene_depths": (1, 1)},
}


@pytest.fixture(scope="module")
def net() -> RetinexNet:
    torch.manual_seed(0)
    net = RetinexNet(width=4).eval()
    torch.nn.init.constant_(net.enhance.head.bias, 0.6)  # so that pictures come out visibly brighter
    return net


@pytest.fixture(scope="module")
def model(net: RetinexNet, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    checkpoints.save(net, path)
    return str(path)


@pytest.fixture(scope="module")
def enhancer(model: str) -> Enhancer:
    return Enhancer(model, "cpu", precision="fp32")


def exposing(net: RetinexNet, exposure: float, folder: Path) -> Path:
    """A file of the same net with an exposure."""
    other, path = RetinexNet(width=4, exposure=exposure), folder / "exposing.safetensors"
    other.load_state_dict(net.state_dict())
    checkpoints.save(other, path)
    return path


def dark(height: int = 24, width: int = 40) -> torch.Tensor:
    return 0.3 * torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_enhance_is_the_network_clamped(enhancer: Enhancer, net: RetinexNet) -> None:
    expected = net(dark()[None]).enhanced[0].clamp(0, 1)
    torch.testing.assert_close(enhancer.enhance(dark()), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("exposure", [0.0, 0.25])
@pytest.mark.parametrize("tile", [64, "auto"])
def test_tiling_does_not_show(
    net: RetinexNet, tile: int | str, exposure: float, ensemble: bool, tmp_path: Path
) -> None:
    model = str(exposing(net, exposure, tmp_path))
    tiled = Enhancer(model, "cpu", tile=tile, precision="fp32", ensemble=ensemble)
    whole = Enhancer(model, "cpu", tile="off", precision="fp32", ensemble=ensemble)
    pixels = dark(150, 203)
    torch.testing.assert_close(tiled.enhance(pixels), whole.enhance(pixels), rtol=0, atol=1e-6)
    for ours, truth in zip(tiled.decompose(pixels), whole.decompose(pixels), strict=True):
        torch.testing.assert_close(ours, truth, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_a_picture_is_exposed_as_a_whole(net: RetinexNet, tmp_path: Path) -> None:
    path = exposing(net, 0.25, tmp_path)
    pixels = dark(152, 200)
    pixels[..., 100:] /= 10  # so that tiles differ in brightness
    found = Enhancer(path, "cpu", tile=64, precision="fp32").decompose(pixels)
    brighter = checkpoints.load(str(path))[0]
    expected = brighter(pixels[None], brighter.gain(thumbnail(pixels[None])))
    for ours, truth in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, truth[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("network", [RetinexNet, RetinexPlus])
def test_an_ensemble_is_the_mean_over_the_turned_and_mirrored_copies(network: type[Network], tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, path = network(**SMALL[network]), tmp_path / "net.safetensors"
    for parameter in net.parameters():  # as drawn, RetinexPlus changes nothing
        torch.nn.init.normal_(parameter, std=0.2)
    checkpoints.save(net, path)
    alone, ensemble = (Enhancer(str(path), "cpu", precision="fp32", ensemble=which) for which in (False, True))
    pixels = dark(32, 48).movedim(0, -1).numpy()  # sides that need no padding, which lies right and below
    answers = []
    for turns, mirrored in itertools.product(range(4), (False, True)):
        copy = np.rot90(pixels, turns)[:, :: -1 if mirrored else 1]
        maps = [part.movedim(0, -1).numpy() for part in alone.decompose(np.ascontiguousarray(copy))]
        answers.append([np.rot90(part[:, :: -1 if mirrored else 1], -turns) for part in maps])
    for number, part in enumerate(ensemble.decompose(pixels)):
        found = part.movedim(0, -1).numpy()
        np.testing.assert_allclose(found, np.mean([maps[number] for maps in answers], axis=0), rtol=0, atol=1e-6)
        assert np.abs(found - answers[0][number]).max() > 1e-4


def test_a_picture_that_was_opened_but_is_damaged(enhancer: Enhancer, tmp_path: Path) -> None:
    Image.fromarray(quantised(dark(200, 300)).permute(1, 2, 0).numpy()).save(tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-900])
    with Image.open(tmp_path / "half.jpg") as image, pytest.raises(PictureError, match="damaged or unreadable"):
        enhancer.enhance(image)


def test_a_device_may_be_that_of_torch(model: str, enhancer: Enhancer) -> None:
    for device in (enhancer.device, torch.device("cpu", 0)):
        assert Enhancer(model, device).device == torch.device("cpu")


def test_little_memory_means_small_tiles(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    enhancer = Enhancer(model, "cpu")
    assert min(enhancer._tile_size(3000, 4000, 1, 40, bf16=False)) >= 256
    monkeypatch.setattr("lowlight_cli.core.enhancing.enhancer.free_memory", lambda _: 100 << 20)
    tall, wide = enhancer._tile_size(3000, 4000, 1, 40, bf16=False)
    assert (tall + 80) * (wide + 80) * 1100 <= 50 << 20
    assert tall % 8 == wide % 8 == 0
    monkeypatch.setattr("lowlight_cli.core.enhancing.enhancer.free_memory", lambda _: 10 << 20)
    tall, wide = enhancer._tile_size(3000, 4000, 1, 96, bf16=False)
    assert (tall + 192) * (wide + 192) < 7 * tall * wide, "so small a tile would be nearly all halo"


def test_pictures_computed_together_share_the_memory(enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    forward = enhancer.net.forward
    monkeypatch.setattr(enhancer.net, "forward", lambda *given: seen.append(given[0][:, 0].numel()) or forward(*given))
    monkeypatch.setattr("lowlight_cli.core.enhancing.enhancer.free_memory", lambda _: 200 << 20)
    finish(enhancer.enhanced([Picture(dark(240, 480))] * 2))
    assert max(seen) * 1100 <= 100 << 20


def test_pictures_enhanced_together_keep_their_own_light_and_profile(enhancer: Enhancer) -> None:
    low = quantised(dark())
    pictures = [Picture(low), Picture(low + 150), Picture(low, origin=Origin(icc=CASES["Adobe RGB"]))]
    for picture, found in zip(pictures, finish(enhancer.enhanced(pictures)), strict=True):
        (alone,) = finish(enhancer.enhanced([picture]))
        assert (found.samples.int() - alone.samples.int()).abs().max() <= 1


def test_maps_are_of_the_picture_size(enhancer: Enhancer) -> None:
    found = enhancer.decompose(dark(13, 29))
    assert [tuple(maps.shape) for maps in found] == [(3, 13, 29), (1, 13, 29), (1, 13, 29)]
    assert all(maps.dtype == torch.float32 for maps in found)


def test_every_kind_of_picture_comes_back_as_it_was_given(enhancer: Enhancer, tmp_path: Path) -> None:
    bytes_ = quantised(dark()).permute(1, 2, 0).numpy()
    Image.fromarray(bytes_).save(tmp_path / "a.png")
    from_array = enhancer.enhance(bytes_)
    assert from_array.dtype == np.uint8
    from_path, from_pillow = enhancer.enhance(tmp_path / "a.png"), enhancer.enhance(Image.fromarray(bytes_))
    assert isinstance(from_path, Image.Image)
    for other in (from_path, from_pillow, enhancer.enhance(str(tmp_path / "a.png"))):
        np.testing.assert_array_equal(np.asarray(other), from_array)
    tensor = enhancer.enhance(torch.from_numpy(bytes_).permute(2, 0, 1))
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), from_array)
    for dtype, tolerance in ((np.float32, 0.51 / 255), (np.float64, 0.51 / 255), (np.float16, 1.5 / 255)):
        floats = enhancer.enhance((bytes_ / 255).astype(dtype))
        assert floats.dtype == dtype
        assert np.abs(floats - from_array / 255).max() < tolerance
    wide = enhancer.enhance(bytes_.astype(np.uint16) * 257)
    assert wide.dtype == np.uint16
    assert np.abs(wide / 257 - from_array).max() < 0.51


@pytest.mark.parametrize("shape", [(24, 40), (24, 40, 1), (24, 40, 2), (24, 40, 4)])
def test_gray_and_alpha_keep_their_shape(enhancer: Enhancer, shape: tuple[int, ...]) -> None:
    given = np.random.default_rng(0).integers(0, 60, shape, dtype=np.uint8)
    found = enhancer.enhance(given)
    assert found.shape == shape
    if shape[-1] in (2, 4):
        np.testing.assert_array_equal(found[..., -1], given[..., -1])
        assert (found[..., 0] != given[..., 0]).any()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "F"])
def test_pillow_images_of_any_mode(enhancer: Enhancer, mode: str) -> None:
    image = Image.fromarray(quantised(dark()).permute(1, 2, 0).numpy())
    if mode in ("I;16", "F"):
        values = np.asarray(image.convert("L"))
        image = Image.fromarray(values.astype(np.uint16) * 257 if mode == "I;16" else values.astype(np.float32) / 255)
    else:
        image = image.convert(mode)
    before = image.tobytes()
    found = enhancer.enhance(image)
    assert found.size == image.size
    assert found.mode == {"1": "L", "F": "I;16"}.get(mode, mode if mode in ("L", "LA", "RGBA", "I;16") else "RGB")
    assert image.tobytes() == before, "the given image is left alone"


@pytest.mark.parametrize(
    "given",
    [
        np.zeros((3, 4, 5, 6), np.uint8),
        np.zeros((4, 5, 7), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 5, 3), np.int64),
        torch.zeros(4, 5),
        torch.zeros(5, 4, 5),
    ],
)
def test_what_is_no_picture_is_refused(enhancer: Enhancer, given: np.ndarray | torch.Tensor) -> None:
    with pytest.raises(PictureError, match=r"give|is not a picture"):
        enhancer.enhance(given)


def test_an_array_is_refused_as_it_was_given(enhancer: Enhancer) -> None:
    with pytest.raises(PictureError, match=r"array of shape \(3, 20, 30\): give \(H, W, C\)"):
        enhancer.enhance(np.zeros((3, 20, 30)))


def test_pixels_a_little_below_black_are_black(enhancer: Enhancer) -> None:
    dark = np.full((20, 30, 3), 0.05, np.float32)
    dark[0, 0] = -0.03
    assert np.isfinite(enhancer.enhance(dark)).all()


def test_an_array_that_must_not_be_written_to_is_fine(enhancer: Enhancer) -> None:
    given = np.zeros((20, 30, 3), dtype=np.uint8)
    given.flags.writeable = False
    assert enhancer.enhance(given).shape == given.shape


def test_every_few_pixels_of_a_large_picture_tell_its_context(monkeypatch: pytest.MonkeyPatch) -> None:
    plus = Enhancer("retinex-plus", "cpu")
    coarse = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 0.2
    picture = torch.nn.functional.interpolate(coarse, (256, 320), mode="bicubic").clamp(0, 1)[0]
    whole = plus.enhance(picture)
    monkeypatch.setattr("lowlight_cli.core.enhancing.enhancer.SAMPLED", 64)
    sampled = plus.enhance(picture)
    assert not torch.equal(sampled, whole)
    torch.testing.assert_close(sampled, whole, rtol=0, atol=0.02)


def test_results_are_ordinary_tensors(enhancer: Enhancer) -> None:
    result = enhancer.enhance(dark())
    result += 1  # an inference tensor would refuse
    assert not result.requires_grad


def test_several_threads_get_what_one_gets_and_take_turns(enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [dark(60 + 8 * number, 90) for number in range(6)]
    expected = [enhancer.enhance(pixels) for pixels in pictures]
    found: dict[int, torch.Tensor] = {}
    inside: list[int] = []
    together: list[int] = []
    forward = enhancer.net.forward

    def watched(*given: Any) -> Any:
        inside.append(0)
        time.sleep(0.01)
        together.append(len(inside))
        inside.pop()
        return forward(*given)

    monkeypatch.setattr(enhancer.net, "forward", watched)

    def work(number: int) -> None:
        found[number] = enhancer.enhance(pictures[number], strength=1.0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, pixels in enumerate(expected):
        torch.testing.assert_close(found[number], pixels, rtol=0, atol=1e-6)
    assert together == [1] * 6


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."),
    ],
)
@pytest.mark.parametrize("where", ["forward", "context"])
def test_memory_that_runs_out_is_one_line(where: str, error: RuntimeError, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise error

    enhancer = Enhancer("retinex-plus", "cpu")
    monkeypatch.setattr(enhancer.net, where, full)
    with pytest.raises(LowlightError, match=r"not enough memory for 24x40 px: use --tile 128"):
        enhancer.enhance(dark())


@pytest.mark.parametrize("tile", ["auto", 64])
@pytest.mark.parametrize("error", [RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()])
def test_memory_that_runs_out_beside_the_network_is_one_line_too(
    tile: int | Literal["auto"], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("lowlight_cli.core.enhancing.enhancer.cleaned", full)
    enhancer = Enhancer("retinex-plus", "cpu", tile=tile)
    remedy = "use --tile 128" if tile == "auto" else "reduce it first"
    with pytest.raises(LowlightError, match=f"not enough memory for 24x40 px: {remedy}"):
        enhancer.enhance(dark(), denoise="light")
    with pytest.raises(LowlightError, match="not enough memory"):
        enhancer.decompose(dark())


@pytest.mark.parametrize("size", [(40, 9000), (9000, 40)])
def test_long_pictures_are_thinned_out_along_their_length(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        "lowlight_cli.core.enhancing.enhancer.thumbnail", lambda small: seen.append(small) or thumbnail(small)
    )
    picture = dark().mean() + torch.zeros(3, *size)
    Enhancer("retinex-plus", "cpu").enhance(picture)
    assert max(seen[0].shape) < 2048
    assert len(visible(Picture(picture))) < 40 * 1024


def test_bf16_is_close_and_never_fails_on_a_processor(enhancer: Enhancer, model: str) -> None:
    rough = Enhancer(model, "cpu", precision="bf16").enhance(dark())
    assert rough.dtype == torch.float32
    assert 0 < (rough - enhancer.enhance(dark())).abs().max() < 0.02


def test_auto_computes_sixteen_bits_exactly(enhancer: Enhancer, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowlight_cli.core.enhancing.enhancer.fast_bf16", lambda _: True)
    wide = quantised(dark(), torch.uint16)
    assert torch.equal(Enhancer(model, "cpu").enhance(wide).int(), enhancer.enhance(wide).int())


def test_a_callers_autocast_changes_nothing() -> None:
    enhancer = Enhancer("retinex-plus", "cpu", precision="fp32")
    alone = enhancer.enhance(dark())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(enhancer.enhance(dark()), alone)


def test_bf16_does_not_show_in_8_bit() -> None:
    low = images.read(datasets.SAMPLES / "photos" / "astronaut.jpg").pixels[:, :160, :160].contiguous()
    whole, rough = (Enhancer("retinex-plus", "cpu", precision=how).enhance(low) for how in ("fp32", "bf16"))
    error = (whole - rough).abs() * 255
    assert error.mean() < 0.25
    assert (error < 1).float().mean() > 0.995


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA"])
def test_what_has_no_colour_gets_none(enhancer: Enhancer, tmp_path: Path, mode: str) -> None:
    gray = Image.fromarray((dark()[0] * 255).byte().numpy())
    gray.convert(mode).save(tmp_path / "gray.png")
    picture = enhancer.enhance(tmp_path / "gray.png")
    assert picture.mode == {"P": "RGB"}.get(mode, mode)
    colours = np.asarray(picture.convert("RGB"), int)
    assert np.ptp(colours, axis=2).max() == 0
    assert colours.mean() > 2 * np.asarray(gray).mean()


def test_maps_of_what_has_no_colour_have_none(enhancer: Enhancer) -> None:
    gray = dark()[:1]
    for given in (gray, gray.expand(3, -1, -1)):
        maps = enhancer.decompose(given)
        assert maps.reflectance.shape == (3, *gray.shape[1:])
        assert (maps.reflectance.amax(0) - maps.reflectance.amin(0)).max() == 0
        torch.testing.assert_close(maps.enhanced, enhancer.enhance(gray).expand(3, -1, -1), rtol=0, atol=1e-5)


def test_gray_that_lossy_webp_rounds_off_is_gray(enhancer: Enhancer, tmp_path: Path) -> None:
    gray = np.linspace(0, 90, 64 * 64).reshape(64, 64).astype(np.uint8)
    Image.fromarray(gray).convert("RGB").save(tmp_path / "gray.webp", quality=70)
    assert np.ptp(np.asarray(Image.open(tmp_path / "gray.webp"), int), axis=2).max() == 1, "or it tells nothing"
    assert np.ptp(np.asarray(enhancer.enhance(tmp_path / "gray.webp"), int), axis=2).max() == 0


def test_a_level_apart_is_a_colour_save_in_webp() -> None:
    samples = torch.tensor([10, 11, 10], dtype=torch.uint8).view(3, 1, 1).expand(3, 4, 4)
    assert [Picture(samples, origin=Origin(kind=kind)).gray for kind in ("PNG", "WEBP")] == [False, True]


def test_maps_are_of_the_colours_that_the_profile_says(enhancer: Enhancer) -> None:
    wide = Picture(dark(), origin=Origin(icc=CASES["Adobe RGB"]))
    found, expected = (finish(enhancer.decomposed(each, dtype=torch.float32)) for each in (wide, Picture(wide.pixels)))
    for name, part in expected.items():
        torch.testing.assert_close(found[name], part, rtol=0, atol=1e-4)


def test_a_little_strength_is_a_little_change_whatever_the_profile(enhancer: Enhancer, tmp_path: Path) -> None:
    colours = Image.new("RGB", (40, 24), (0, 60, 0))  # of Display P3: a green that sRGB does not have
    colours.save(tmp_path / "wide.png", icc_profile=CASES["Display P3"])
    picture = np.asarray(enhancer.enhance(tmp_path / "wide.png", strength=0.001), int)
    assert np.abs(picture - np.asarray(colours, int)).max() <= 1


def test_parameters_are_counted(enhancer: Enhancer, net: RetinexNet) -> None:
    assert enhancer.parameters == sum(parameter.numel() for parameter in net.parameters())


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(LowlightError, match="cuda:63"):
        Enhancer("retinexnet", "cuda:63")
    with pytest.raises(LowlightError, match="device xpu: give auto, cpu, cuda"):
        Enhancer("retinexnet", "xpu")


def test_a_model_may_be_given_as_a_path(tiny_model: Path) -> None:
    assert Enhancer(tiny_model, "cpu").about == Enhancer(str(tiny_model), "cpu").about
    assert Enhancer(Path("retinexnet"), "cpu").about == Enhancer("retinexnet", "cpu").about


def test_arrays_and_tensors_of_any_make(enhancer: Enhancer) -> None:
    values = dark().numpy()
    expected = enhancer.enhance(values.transpose(1, 2, 0))
    big = enhancer.enhance(values.transpose(1, 2, 0).astype(">f4"))
    np.testing.assert_array_equal(big, expected)
    learned = enhancer.enhance(torch.tensor(values, requires_grad=True))
    np.testing.assert_array_equal(learned.permute(1, 2, 0), expected)


@pytest.mark.parametrize(
    ("value", "fault"),
    [(-1.0, "floats from -1"), (255.0, "divide them by what white is"), (np.nan, "no numbers"), (np.inf, "no numbers")],
)
def test_floats_that_cannot_be_meant_are_refused(enhancer: Enhancer, value: float, fault: str) -> None:
    with pytest.raises(PictureError, match=fault):
        enhancer.enhance(np.full((20, 30, 3), value, np.float32))


@pytest.mark.parametrize(
    "how", [{"strength": float("nan")}, {"strength": 5}, {"strength": -1}, {"shadows": 3}, {"denoise": "Light"}]
)
def test_values_beyond_what_is_promised_are_refused(how: dict[str, Any], tiny_model: Path) -> None:
    with pytest.raises(ValueError, match=next(iter(how))):
        Enhancer(str(tiny_model), "cpu").enhance(torch.zeros(3, 20, 30), **how)


@pytest.mark.parametrize("how", [{"precision": "x"}, {"tile": 0}, {"tile": "large"}])
def test_ways_of_computing_that_there_are_not_are_refused(how: dict[str, Any], tiny_model: Path) -> None:
    with pytest.raises(ValueError, match=next(iter(how))):
        Enhancer(str(tiny_model), "cpu", **how)
