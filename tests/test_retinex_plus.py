"""RetinexPlus: what it promises of its maps, its context, and the banks and losses that it learns from."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lowlight_cli import Enhancer
from lowlight_cli.core import checkpoints, tiling
from lowlight_cli.core.data import datasets, synthesis
from lowlight_cli.core.errors import TrainingError
from lowlight_cli.core.networks import Context, Restored, RetinexNet, RetinexPlus, exposed, retinex_plus, thumbnail
from lowlight_cli.core.networks.retinex_plus import sampled
from lowlight_cli.core.pictures import images
from lowlight_cli.core.training import contextbank, engine, losses
from lowlight_cli.core.training.events import Saved, Started, Step, Validated
from lowlight_cli.core.training.objective import PlusObjective
from lowlight_cli.core.training.pairbank import Share, SynthesisBank, symmetries
from lowlight_cli.core.training.ranks import Ranks
from lowlight_cli.settings import MODELS, LossWeights, TrainSettings

GOLDEN = Path(__file__).parent / "golden" / "retinex_plus.npz"
PACKAGED = [model for model in MODELS if model.startswith("retinex-plus")]


def pooled_maps(model: str) -> dict[str, np.ndarray]:
    """The maps of a part of a sample, 160x160 px, pooled to 8x8."""
    low = images.read(datasets.SAMPLES / "photos" / "astronaut.jpg").pixels[:, 40:200, 60:220].contiguous()
    maps = Enhancer(model, "cpu", precision="fp32").decompose(low)
    return {name: F.adaptive_avg_pool2d(part, 8).numpy() for name, part in maps._asdict().items()}


@pytest.mark.parametrize("model", PACKAGED)
def test_the_packaged_models_compute_what_they_did(model: str) -> None:
    with np.load(GOLDEN) as golden:
        for name, part in pooled_maps(model).items():
            np.testing.assert_allclose(part, golden[f"{model}/{name}"], rtol=0, atol=1e-4, err_msg=name)


def small_net(seed: int = 4, depths: Sequence[int] = (2, 2, 2, 2)) -> RetinexPlus:
    """A net that does something: as drawn, its blocks are the identity."""
    torch.manual_seed(seed)
    widths = [4] * len(depths)
    net = RetinexPlus(widths, depths, context=6, scene_widths=(4, 6), scene_depths=(1, 1), scene_maps=2)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    torch.nn.init.normal_(net.scenes.head.weight, std=0.02)
    return net.eval()


def told(net: RetinexPlus, image: torch.Tensor) -> Context:
    return tiling.spread(net, net.context(thumbnail(image)), *image.shape[-2:])


def noise(height: int, width: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(1, 3, height, width, dtype=dtype, generator=torch.Generator().manual_seed(height * width)) * 0.3


def test_what_lies_beyond_a_picture_is_its_edge() -> None:
    maps = torch.rand(2, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    frame = torch.tensor([[-0.5, -0.2, 1.3, 1.6], [0.1, 0.2, 0.9, 0.7]])
    axes = [
        start + (end - start) * (torch.arange(8) + 0.5)[:, None] / 8
        for start, end in zip(frame.T[:2], frame.T[2:], strict=True)
    ]
    grid = torch.stack(torch.broadcast_tensors(2 * axes[1].T[:, None, :] - 1, 2 * axes[0].T[:, :, None] - 1), dim=3)
    truth = F.grid_sample(maps, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(sampled(maps, frame, (8, 8)), truth)


def test_it_is_small() -> None:
    assert sum(parameter.numel() for parameter in RetinexPlus().parameters()) <= 500_000


@pytest.mark.parametrize(("height", "width", "tile"), [(320, 336, 160), (290, 333, 144), (16, 610, 176)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
@torch.inference_mode()
def test_tiled_equals_whole(height: int, width: int, tile: int, dtype: torch.dtype, tolerance: float) -> None:
    net, image = small_net().to(dtype), noise(height, width, dtype)
    image[..., : height // 2, : width // 2] *= 0.1  # tiles of other statistics than the whole
    whole = tiling.run(net, image, tile=None)
    assert whole.enhanced.std() > 0.01
    for ours, truth in zip(tiling.run(net, image, tile=tile), whole, strict=True):
        torch.testing.assert_close(ours, truth, rtol=0, atol=tolerance)


@pytest.mark.parametrize("depths", [(2, 2, 2, 2), (1, 1, 1, 1), (2, 1, 1, 1), (1, 2, 3)])
@torch.inference_mode()
def test_the_halo_is_needed_and_enough(depths: Sequence[int]) -> None:
    """What changes at an output pixel reaches as far as the halo, counted from tiles that start on a multiple."""
    net, image = small_net(depths=depths).double(), noise(48, 400, torch.float64)
    context = told(net, image)
    before = net.restore(image, context).enhanced
    start = 208

    def felt(distance: int) -> bool:
        changed = image.clone()
        changed[..., start - distance] += 0.5
        return not torch.equal(net.restore(changed, context).enhanced[..., start:], before[..., start:])

    assert any(felt(distance) for distance in range(net.HALO - 20, net.HALO - 15))
    assert not any(felt(distance) for distance in range(net.HALO + 1, net.HALO + 20, 3))
    assert net.HALO % net.MULTIPLE == 0


@torch.inference_mode()
def test_maps_are_a_retinex_model_of_the_enhanced_picture() -> None:
    net, image = small_net(), noise(48, 64)
    context = told(net, image)
    found, restored = net(image, context), net.restore(image, context)
    assert found.reflectance.shape == image.shape
    assert found.illumination.shape == found.relit.shape == (1, 1, 48, 64)
    torch.testing.assert_close(found.enhanced, restored.enhanced.clamp(0, 1))
    for maps in found:
        assert 0 <= maps.min() <= maps.max() <= 1
    assert (found.relit >= found.enhanced.amax(dim=1, keepdim=True) - 1e-6).all()


@torch.inference_mode()
def test_as_drawn_it_turns_a_dark_picture_up_to_a_mean_of_two_fifths() -> None:
    torch.manual_seed(0)
    image = 0.04 + noise(64, 64) * 0.05
    found = tiling.run(RetinexPlus().eval(), image)
    assert found.enhanced.mean() == pytest.approx(0.4, abs=0.01)
    torch.testing.assert_close(found.reflectance * found.illumination, image, rtol=0, atol=2e-3)


@torch.inference_mode()
def test_a_mirrored_picture_is_told_the_same() -> None:
    net, image = small_net(), noise(64, 64)
    context = net.context(thumbnail(image))
    seen = thumbnail(image)
    for alone, mean in zip(net.mapped(seen, *net.globals(seen)), context, strict=True):
        assert not torch.allclose(alone, mean, rtol=0.01)
    for dims in ((2,), (3,), (2, 3)):
        found = net.context(thumbnail(image.flip(dims)))
        torch.testing.assert_close(found._replace(scene=found.scene.flip(dims)), context)


@torch.inference_mode()
def test_black_and_white_pictures_give_finite_maps() -> None:
    for value in (0.0, 1.0):
        for maps in tiling.run(small_net(), torch.full((1, 3, 20, 33), value)):
            assert maps.isfinite().all()


def test_the_exposure_s_shoulder_keeps_order_and_leads_the_brightest_to_one() -> None:
    values = torch.linspace(0, 1, 1001).expand(1, 3, 1, -1)
    for gain in (0.5, 1.0, 1.01, 4.0, 20.0):
        bright = exposed(values, torch.full((1, 3, 1, 1), gain))
        assert (bright.diff(dim=-1) > 0).all()
        assert bright.max() == pytest.approx(min(gain, 1.0), abs=1e-5)
        dark = values * gain < 0.6
        torch.testing.assert_close(bright[dark], (values * gain)[dark])


def test_checkpoints_hold_it(tmp_path: Path) -> None:
    net = small_net()
    checkpoints.save(net, tmp_path / "plus.safetensors")
    loaded, _ = checkpoints.load(str(tmp_path / "plus.safetensors"))
    image = noise(32, 32)
    with torch.inference_mode():
        assert torch.equal(tiling.run(loaded, image).relit, tiling.run(net, image).relit)


def test_the_enhancer_hands_every_tile_the_whole_picture_s_context(tmp_path: Path) -> None:
    net = small_net()
    checkpoints.save(net, tmp_path / "plus.safetensors")
    picture = noise(170, 300)[0]
    picture[:, :, :150] *= 0.1
    with torch.inference_mode():
        expected = tiling.run(net, picture[None], tile=None)
    for tile in (80, "off"):
        found = Enhancer(str(tmp_path / "plus.safetensors"), "cpu", tile=tile).decompose(picture)
        for ours, truth in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, truth[0], rtol=0, atol=1e-4)


def test_a_scene_is_spread_over_its_picture_and_what_pads_it() -> None:
    ramp = torch.linspace(0, 1, 32).expand(1, 5, 32, 32)
    found = tiling.spread(small_net(), Context(torch.zeros(1, 3), torch.zeros(1, 6), ramp), 64, 72).scene
    assert found.shape[-2:] == (4, 5)
    places = (torch.arange(5) + 0.5) * 16 / 72
    torch.testing.assert_close(found[0, 0, 0], ((places * 32 - 0.5) / 31).clamp(0, 1))


def photographs(count: int = 6) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for number in range(count):
        coarse = torch.rand(1, 3, 5, 6, generator=generator) * 0.8 + 0.2
        high = (torch.nn.functional.interpolate(coarse, (80 + number, 96), mode="bilinear")[0] * 255).byte()
        made.append((high // 8, high))
    return made


def test_patches_come_with_the_thumbnails_of_their_pictures_turned_alike() -> None:
    bank = contextbank.ContextBank(photographs(), [False] * 6)
    size = int(bank.height.minimum(bank.width).min())
    pairs = [(low[..., :size, :size].contiguous(), high[..., :size, :size].contiguous()) for low, high in photographs()]
    bank = contextbank.ContextBank(pairs, [False] * 6)  # the only patch of a square is the whole picture
    low, high, low_thumbnail, high_thumbnail, *_ = bank.patches(torch.arange(6), size, torch.Generator().manual_seed(1))
    torch.testing.assert_close(low_thumbnail, thumbnail(low))
    torch.testing.assert_close(high_thumbnail, thumbnail(high))


def test_a_patch_s_frame_is_where_it_lies_in_its_turned_thumbnail() -> None:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(8, 3, 7, 9, generator=generator)
    highs = (torch.nn.functional.interpolate(coarse, (160, 240), mode="bicubic").clamp(0, 1) * 255).byte()
    bank = contextbank.ContextBank([(high // 8, high) for high in highs], [False] * 8)
    ways = set()
    for _ in range(8):
        index = torch.randperm(8, generator=generator)
        before = generator.get_state()
        _, high, _, high_thumbnail, frame, *_ = bank.patches(index, 80, generator)
        generator.set_state(before)
        ways |= set(bank.crops(index, 80, generator).way.tolist())
        found = sampled(high_thumbnail, frame, (20, 20))
        torch.testing.assert_close(found, torch.nn.functional.avg_pool2d(high, 4), rtol=0, atol=0.08)
    assert ways == set(range(8))


def test_bf16_does_not_shift_the_maps() -> None:
    """A ramp tells where each value was taken: bf16 would be 0.04 of a cell off."""
    ramp = torch.arange(32.0).expand(1, 1, 32, 32)
    frame = torch.tensor([[0.3, 0.31, 0.62, 0.77]])
    exact = sampled(ramp, frame, (24, 24))
    with torch.autocast("cpu", torch.bfloat16):
        found = sampled(ramp.bfloat16(), frame, (24, 24))
    torch.testing.assert_close(found, exact, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_a_frame_s_part_of_the_maps() -> None:
    """Against a naive reading: linear between the centres of cells, the edge repeated beyond them."""
    maps = torch.rand(1, 2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    top, left, bottom, right = 0.1, 0.3, 0.9, 1.2
    found = sampled(maps, torch.tensor([[top, left, bottom, right]], dtype=torch.float64), (4, 3))
    for row in range(4):
        for column in range(3):
            y = (top + (bottom - top) * (row + 0.5) / 4) * 6 - 0.5
            x = (left + (right - left) * (column + 0.5) / 3) * 5 - 0.5
            y, x = min(max(y, 0.0), 5.0), min(max(x, 0.0), 4.0)
            above, before = min(int(y), 4), min(int(x), 3)
            down, across = y - above, x - before
            corners = maps[0, :, above : above + 2, before : before + 2]
            weights = torch.tensor([[1 - down], [down]]) * torch.tensor([[1 - across, across]])
            torch.testing.assert_close(found[0, :, row, column], (corners * weights).sum(dim=(1, 2)))


def test_more_thumbnails_show_other_pictures_or_parts_of_them() -> None:
    bank = contextbank.ContextBank(photographs(), [False] * 6)
    *_, low, high = bank.patches(torch.arange(4), 16, torch.Generator().manual_seed(1))
    assert low.shape == high.shape == (4, contextbank.MORE, 3, 64, 64)
    means, whole = bank.high_thumbnails.mean(dim=(2, 3)), 0
    for dark, bright in zip(low.flatten(0, 1), high.flatten(0, 1), strict=True):
        torch.testing.assert_close(dark, bright / 8, rtol=0, atol=0.01)  # the same part, turned alike
        whole += int(torch.isclose(means, bright.mean(dim=(1, 2)), atol=1e-5).all(dim=1).any())
    assert 0.2 < whole / (4 * contextbank.MORE) < 0.8


def test_parts_lie_within_the_picture() -> None:
    shown = contextbank.parts(500, torch.Generator().manual_seed(0), torch.device("cpu"))
    top, left, bottom, right = shown.unbind(1)
    assert shown.min() >= 0 and shown.max() <= 1 + 1e-6
    torch.testing.assert_close(bottom - top, right - left)
    assert (bottom - top).min() == pytest.approx(0.5, abs=0.02)
    assert (bottom - top > 0.999).float().mean() == pytest.approx(0.5, abs=0.06)
    assert top.max() > 0.4 and left.max() > 0.4


def test_no_darkness_creeps_into_a_part_from_beyond_the_border() -> None:
    bank = contextbank.ContextBank(photographs(), [False] * 6)
    bank.low_thumbnails = bank.high_thumbnails = torch.ones(6, 3, 64, 64)
    *_, low, _ = bank.patches(torch.arange(6).repeat(20), 16, torch.Generator().manual_seed(0))
    torch.testing.assert_close(low, torch.ones_like(low))


def test_more_thumbnails_show_photographs_as_often_as_patches_do() -> None:
    bank = contextbank.ContextBank(photographs(12), [False] * 2 + [True] * 10)
    bank.high_thumbnails = bank.made[:, None, None, None].float().expand(-1, 3, 64, 64)
    *_, high = bank.patches(torch.zeros(60, dtype=torch.long), 16, torch.Generator().manual_seed(0))
    assert high.mean().item() == pytest.approx(0.5, abs=0.08)


def test_exposure_and_scene_are_learned_from_all_thumbnails() -> None:
    net = RetinexPlus()
    low, thumbnails, more = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 64, 64), torch.rand(2, 5, 3, 64, 64)
    frame = torch.tensor([[0.1, 0.2, 0.5, 0.6], [0.0, 0.5, 0.4, 0.9]])
    computed = PlusObjective(net, LossWeights())
    alone = computed(low, low, thumbnails, thumbnails, frame)
    together = computed(low, low, thumbnails, thumbnails, frame, more * 0.1, more)
    assert {name for name in alone if alone[name] != together[name]} == {"exposure", "scene"}


def test_a_made_thumbnail_is_in_the_light_of_its_patch() -> None:
    pairs = [(low[..., :80, :80].contiguous(), high[..., :80, :80].contiguous()) for low, high in photographs()]
    bank = contextbank.ContextBank(pairs, [True] * 6)
    generator = torch.Generator().manual_seed(1)
    lights = []
    for _ in range(20):
        low, high, low_thumbnail, high_thumbnail, *_ = bank.patches(torch.arange(6), 80, generator)
        torch.testing.assert_close(low_thumbnail.mean(dim=(2, 3)), low.mean(dim=(2, 3)), rtol=0.1, atol=0.02)
        torch.testing.assert_close(high_thumbnail, thumbnail(high))
        lights += (low.mean(dim=(1, 2, 3)) / high.mean(dim=(1, 2, 3))).tolist()
    assert min(lights) < 0.1 and 1 <= max(lights) < 1.05


def test_the_grid_of_a_long_picture_lies_in_its_vignette() -> None:
    """A grid as fine as the picture has the places of its pixels."""
    low, high = (torch.zeros(3, 64, contextbank.GRID, dtype=torch.uint8) for _ in range(2))
    bank = contextbank.ContextBank([(low, high)])
    grid = bank.grid_place(torch.tensor([0]))
    corner = torch.zeros(1)
    pixels = synthesis.places(64, contextbank.GRID, corner, corner, frame=(64, contextbank.GRID))
    torch.testing.assert_close(F.avg_pool2d(grid, (contextbank.GRID // 64, 1)), pixels)


def test_some_made_patches_have_been_through_a_jpeg() -> None:
    bank = contextbank.ContextBank(photographs(), [True] * 6)
    plain = bank.pair(0)[1][0, :, :32, :32]
    patches = plain.expand(400, -1, -1, -1).clone()
    candidates = torch.arange(400) < 300
    contextbank.compress(patches, candidates, torch.rand(400, 2, generator=torch.Generator().manual_seed(1)))
    changed = (patches != plain).flatten(1).any(dim=1)
    assert changed[:300].float().mean() == pytest.approx(contextbank.JPEG, abs=0.08)
    assert not changed[300:].any()
    assert (patches - plain).abs().mean() < 0.02


def test_of_made_patches_those_with_noise_and_light_enough_may_go_through_a_jpeg(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[list[bool]] = []
    monkeypatch.setattr(contextbank, "compress", lambda _, candidates, __: seen.append(candidates.tolist()))
    light, shot = torch.tensor([[1.0], [0.5], [0.01], [0.5]]), torch.tensor([[0.0], [1e-4], [1e-4], [1e-4]])
    by = synthesis.draw(4)._replace(light=light.expand(4, 3), shot=shot.expand(4, 3))
    bank = contextbank.ContextBank(photographs(4), [True] * 3 + [False], more=0, drawn=lambda *_: by)
    bank.patches(torch.arange(4), 16)
    assert seen == [[False, True, False, False]]


def test_noise_comes_from_one_sensor_at_any_sensitivity() -> None:
    """Shot noise, a variance, goes with the square of what read noise, a deviation, goes with."""
    by = synthesis.draw_widely(500, torch.Generator().manual_seed(0))
    noisy = (by.read > 0).all(dim=1)
    ratio = torch.tensor(synthesis.SHOT) / torch.tensor(synthesis.READ).square()
    assert noisy.float().mean() > 0.7
    torch.testing.assert_close(by.shot[noisy] / by.read[noisy].square(), ratio.expand(int(noisy.sum()), 3))


def test_untouched_photographs_stay_as_they_are() -> None:
    by = synthesis.draw_widely(2000, torch.Generator().manual_seed(0))
    untouched = (by.light == 1).all(dim=1) & (by.shot == 0).all(dim=1)
    assert untouched.float().mean() == pytest.approx(synthesis.UNTOUCHED, abs=0.03)
    high = torch.rand(2000, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    high = (high * 255).round() / 255
    dark = contextbank.darken(high, by, torch.Generator().manual_seed(2))
    torch.testing.assert_close(dark[untouched], high[untouched])


@pytest.mark.parametrize(("height", "width"), [(64, 40), (37, 24), (9, 500)])
def test_a_block_in_bands_is_the_block_at_once(monkeypatch: pytest.MonkeyPatch, height: int, width: int) -> None:
    torch.manual_seed(0)
    block = retinex_plus.Block(6, 4)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x, context = torch.randn(2, 6, height, width).contiguous(memory_format=torch.channels_last), torch.randn(2, 4)
    whole = block(x, context).detach()  # with gradients it never works in bands
    seen: list[int] = []
    both = block.both
    monkeypatch.setattr(block, "both", lambda part, film: (seen.append(part.shape[-2]), both(part, film))[1])
    monkeypatch.setattr(retinex_plus, "BAND", 10 * x[..., 0, :].nbytes)
    with torch.inference_mode():
        torch.testing.assert_close(block(x, context), whole)
    assert max(seen) <= 12 and len(seen) == -(-height // 10)


def test_restoration_is_least_for_the_truth() -> None:
    high = noise(32, 32)
    light = high.amax(dim=1, keepdim=True)
    gain = torch.ones(1, 3, 1, 1)
    weights = LossWeights()
    best = losses.restoration(high, Restored(high, light, gain), weights)
    for name in ("pixel", "ssim", "colour", "light"):
        assert best[name].item() == pytest.approx(0, abs=1e-6)
    worse = losses.restoration(high, Restored(high + 0.1, light, gain), weights)
    heavier = losses.restoration(high, Restored(high + 0.1, light, gain), LossWeights(ssim_restored=2.0))
    assert heavier["ssim"].item() == pytest.approx(2 * worse["ssim"].item(), rel=1e-4)
    assert worse["pixel"].item() == pytest.approx(0.1, abs=1e-6)
    assert worse["colour"].item() == pytest.approx(0.03, abs=1e-6)
    below, above = (losses.restoration(high, Restored(high, light + by, gain), weights)["light"] for by in (-0.1, 0.1))
    assert below.item() == pytest.approx(3 * above.item(), rel=1e-4)
    assert best["smooth"].item() == pytest.approx(losses.smoothness(light, high).item())
    assert best["smooth"].item() > 0


def test_exposure_and_scene_are_measured_in_pixels_and_in_logarithms() -> None:
    high = torch.full((2, 3, 64, 64), 0.6)
    dark = high / torch.tensor([1.0, 2.0, 4.0]).view(3, 1, 1)
    pixels, stops = (0.3 + 0.45) / 3, (math.log(2) + math.log(4)) / 3
    assert losses.exposure(dark, high)["exposure"].item() == pytest.approx(0.1 * pixels + 0.5 * stops, rel=1e-4)
    maps = torch.full((2, 3, 32, 32), 0.5)
    assert losses.scene(maps, high)["scene"].item() == pytest.approx(0.5 * 0.1, rel=1e-4)


def test_training_in_bf16_stays_close_to_fp32() -> None:
    torch.manual_seed(0)
    net = RetinexPlus()
    low, high, small, bright = (noise(side, side) for side in (32, 32, 64, 64))
    frame = torch.tensor([[0.0, 0.0, 0.5, 0.5]])
    whole, rough = (
        PlusObjective(net, LossWeights(), bf16=bf16)(low, high, small, bright, frame) for bf16 in (False, True)
    )
    for name, value in whole.items():
        assert rough[name].dtype == torch.float32
        assert rough[name].item() == pytest.approx(value.item(), rel=0.05, abs=1e-3)
    sum(rough.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters() if parameter.grad is not None)


def recipe(pairs: Path, **options: object) -> TrainSettings:
    small = {"epochs": 2, "batch": 4, "patch": 16, "validation": 0.25, "checkpoint_every": 1, "validate_every": 2}
    usual = {"optimizer": "adamw", "scheduler": "cosine", "clip": 1.0, "ema": 0.9, "device": "cpu"}
    data = {"network": "retinex-plus", "dataset": (str(pairs), "synthetic"), "photos": pairs / "high"}
    return TrainSettings.model_validate({**small, **usual, **data, **options})


def test_an_interrupted_run_ends_with_the_same_weights(pair_folder: Path, tmp_path: Path) -> None:
    how = recipe(pair_folder)
    whole = list(engine.train(how, tmp_path / "whole"))
    (started,) = (event for event in whole if isinstance(event, Started))
    assert (started.train_pairs, started.validation_pairs) == (6 + 6, 2)  # not the photographs of what is held out
    steps = [event for event in whole if isinstance(event, Step)]
    assert {event.phase for event in steps} == {"plus"}
    assert set(steps[0].terms) == {"pixel", "ssim", "colour", "light", "smooth", "exposure", "scene"}
    (validated,) = (event for event in whole if isinstance(event, Validated))
    assert validated.best and set(validated.figures) == {"loss", "psnr", "ssim", "relit_mean"}
    stream = engine.train(how, tmp_path / "broken")
    next(event for event in stream if isinstance(event, Saved))
    stream.close()
    for _ in engine.train(how, tmp_path / "broken"):
        pass
    nets = [checkpoints.load(str(tmp_path / run / "last.safetensors"))[0] for run in ("whole", "broken")]
    for ours, truth in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(ours, truth)
    torch.manual_seed(0)
    assert not torch.equal(next(RetinexPlus().globals.parameters()), next(nets[0].globals.parameters()))


def test_the_local_network_alone_learns_when_the_context_is_kept(pair_folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    first = RetinexPlus()
    checkpoints.save(first, tmp_path / "first.safetensors")
    how = recipe(pair_folder, init=str(tmp_path / "first.safetensors"), keep_context=True)
    stream = engine.train(how, tmp_path / "run")
    next(event for event in stream if isinstance(event, Saved))
    stream.close()
    for _ in engine.train(how, tmp_path / "run"):  # a continued run keeps it as well
        pass
    net, _ = checkpoints.load(str(tmp_path / "run" / "last.safetensors"))
    before = first.state_dict()
    kept = {name for name, weights in net.state_dict().items() if torch.equal(weights, before[name])}
    assert {name for name in before if not name.startswith("locals.")} <= kept
    assert {"locals.stem.weight", "locals.head.weight", "locals.told.weight"}.isdisjoint(kept)


def test_it_starts_from_its_own_kind_only(pair_folder: Path, tmp_path: Path) -> None:
    checkpoints.save(RetinexNet(width=4), tmp_path / "other.safetensors")
    with pytest.raises(TrainingError, match="retinex-plus"):
        list(engine.train(recipe(pair_folder, init=str(tmp_path / "other.safetensors")), tmp_path / "run"))


def test_restoration_judges_each_picture_by_its_truth() -> None:
    high = noise(32, 32).expand(2, -1, -1, -1)
    light, away = high.amax(dim=1, keepdim=True), torch.tensor([0.1, -0.1])[:, None, None, None]
    found = losses.restoration(high, Restored(high + away, light, torch.ones(2, 3, 1, 1)), LossWeights())
    assert found["colour"].item() == pytest.approx(0.03, abs=1e-6)
    blurred = F.avg_pool2d(high, 3, 1, 1)
    found = losses.restoration(high, Restored(blurred, light, torch.ones(2, 3, 1, 1)), LossWeights())
    assert found["smooth"].item() == pytest.approx(losses.smoothness(light, high).item())


def test_dark_thumbnails_are_to_become_the_bright_ones() -> None:
    net, frame = RetinexPlus(), torch.tensor([[0.1, 0.2, 0.5, 0.6]])
    low, bright = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 64, 64)
    computed, dark = PlusObjective(net, LossWeights()), bright * 0.1
    own = computed(low, low, dark, bright, frame)
    again = computed(low, low, dark, bright, frame, dark[:, None], bright[:, None])
    for name in ("exposure", "scene"):
        assert again[name].item() == pytest.approx(own[name].item(), rel=1e-4)


def test_the_light_s_loss_reaches_its_own_layer_alone() -> None:
    net, image = small_net(), noise(32, 32)
    net.restore(image, told(net, image)).light.sum().backward()
    assert {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()} == {
        "locals.light.weight",
        "locals.light.bias",
    }


def test_illumination_is_without_the_mean_gain() -> None:
    net, image = small_net(), noise(48, 64)
    context = told(net, image)
    with torch.inference_mode():
        found, gain = net(image, context), net.restore(image, context).gain
    torch.testing.assert_close(found.illumination, (found.relit / gain.mean()).clamp(max=1))
    assert gain.max() > 1.05 * gain.mean()


def of_two(rank: int) -> Share:
    """The share of one of two processes."""
    return Ranks(rank, 2, torch.device("cpu")).share


@pytest.mark.parametrize("more", [0, 3])
def test_processes_share_what_one_alone_would_draw(monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    def without_noise(count: int, generator: torch.Generator | None) -> synthesis.Darkening:
        by = synthesis.draw_widely(count, generator)
        return by._replace(shot=0 * by.shot, read=0 * by.read)

    bank = contextbank.ContextBank(photographs(), [False, True] * 3, more=more, drawn=without_noise)
    whole = list(bank.epoch(4, 32, torch.Generator().manual_seed(0)))
    parts = [list(bank.epoch(4, 32, torch.Generator().manual_seed(0), of_two(rank))) for rank in range(2)]
    for alone, first, second in zip(whole, *parts, strict=True):
        assert all(torch.equal(one, torch.cat(halves)) for one, *halves in zip(alone, first, second, strict=True))
    bank = contextbank.ContextBank(photographs(), [False, True] * 3, more=more)
    monkeypatch.setattr(contextbank, "JPEG", 1.0)  # the same again, noise and all
    for share in (of_two(0), of_two(1)):
        (one, *_), (other, *_) = (bank.epoch(4, 32, torch.Generator().manual_seed(0), share) for _ in range(2))
        assert all(torch.equal(*sides) for sides in zip(one, other, strict=True))


def test_processes_draw_noise_of_their_own() -> None:
    flat = torch.full((3, 64, 64), 128, dtype=torch.uint8)
    for kind in (SynthesisBank, contextbank.ContextBank):
        bank = kind([(flat, flat)] * 4, [True] * 4)
        first, second = (next(bank.epoch(4, 32, torch.Generator().manual_seed(0), of_two(rank)))[0] for rank in (0, 1))
        assert not any(torch.equal(one, other) for one in first for other in second)


def test_captured_pairs_among_photographs_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contextbank, "JPEG", 1.0)
    bank = contextbank.ContextBank(photographs(), [False] * 3 + [True] * 3, more=0)
    index = torch.arange(6).repeat(4)
    low, high, *_ = bank.patches(index, 32, torch.Generator().manual_seed(0))
    captured = ~bank.made[index]
    assert torch.equal((low[captured] * 255).round(), ((high[captured] * 255).round() / 8).floor())


def test_a_patch_lies_where_it_was_cut_whatever_its_way() -> None:
    bank = contextbank.ContextBank([(torch.zeros(3, 40, 60, dtype=torch.uint8),) * 2])
    crops = bank.crops(torch.zeros(40, dtype=torch.long), 16, torch.Generator().manual_seed(0))
    (whole,) = synthesis.places(40, 60, torch.zeros(1), torch.zeros(1), frame=(40, 60))
    rows, cols = symmetries(16, torch.device("cpu"))
    for found, _, top, left, way in zip(bank.place(crops, 16), *crops, strict=True):
        torch.testing.assert_close(found, whole[:, top + rows[way], left + cols[way]])


def test_kinds_of_darkness_have_their_shares() -> None:
    by = synthesis.draw_widely(4000, torch.Generator().manual_seed(0))
    assert (by.shade[:, 0] > 0).float().mean() == pytest.approx(synthesis.UNEVEN, abs=0.03)
    assert (by.deepening > 0).float().mean() == pytest.approx(synthesis.UNEVEN, abs=0.03)
