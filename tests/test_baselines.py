"""Classical methods against naive readings, scikit-image, OpenCV where it is there, and figures on LOL."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from lowlight_cli.core import metrics
from lowlight_cli.core.data import datasets
from lowlight_cli.core.evaluating import baselines
from lowlight_cli.core.pictures.picture import quantised


def dark(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A dark picture in steps of 1/255, (3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    noisy = 0.35 * smooth + 0.02 * torch.randn(3, height, width, generator=generator)
    return quantised(noisy).float() / 255


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_every_baseline_returns_a_picture_of_that_size(name: str) -> None:
    for low in (dark(37, 50), torch.zeros(3, 9, 8), torch.ones(3, 1, 1)):
        bright = baselines.BASELINES[name](low)
        assert bright.shape == low.shape
        assert 0 <= bright.min() <= bright.max() <= 1
    if name != "input":
        assert baselines.BASELINES[name](dark(37, 50)).mean() > dark(37, 50).mean()


def test_gamma_is_a_power() -> None:
    assert baselines.gamma(torch.tensor(0.25)).item() == pytest.approx(0.25 ** (1 / 2.2))


def test_equalised_values_are_spread_evenly() -> None:
    low = dark(60, 80)
    bright = baselines.histogram_equalised(low)
    value = bright.amax(dim=0)
    assert (value.min().item(), value.max().item()) == (0, 1)
    assert value.flatten().quantile(torch.tensor([0.25, 0.5, 0.75])).tolist() == pytest.approx(
        [0.25, 0.5, 0.75], abs=0.03
    )
    ratio = low[0] / low.amax(dim=0)  # hue and saturation stay
    kept = bright.amax(dim=0) > 0
    torch.testing.assert_close((bright[0] / value)[kept], ratio[kept], atol=1e-4, rtol=0)


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_one_level_stays_what_it_is(level: float) -> None:
    flat = torch.full((3, 8, 8), level)
    assert torch.equal(baselines.histogram_equalised(flat), flat)


def naive_clahe(light: np.ndarray, clip: float, tiles: int) -> np.ndarray:
    """As OpenCV documents it, pixel by pixel; sides are multiples of ``tiles``."""
    height, width = light.shape[0] // tiles, light.shape[1] // tiles
    limit = max(int(clip * height * width / 256), 1)
    tables = np.zeros((tiles, tiles, 256))
    for row in range(tiles):
        for column in range(tiles):
            counts = [0] * 256
            for level in light[row * height : (row + 1) * height, column * width : (column + 1) * width].flatten():
                counts[level] += 1
            excess = sum(max(count - limit, 0) for count in counts)
            counts = [min(count, limit) + excess // 256 for count in counts]
            rest = excess % 256
            if rest:
                step = max(256 // rest, 1)
                for level in range(0, 256, step):
                    if rest == 0:
                        break
                    counts[level] += 1
                    rest -= 1
            tables[row, column] = np.round(np.cumsum(counts) * np.float32(255 / (height * width)))
    result = np.zeros(light.shape)
    for y in range(light.shape[0]):
        for x in range(light.shape[1]):
            down, right = y / height - 0.5, x / width - 0.5
            top, left = int(np.floor(down)), int(np.floor(right))
            for row, share in ((top, 1 - (down - top)), (top + 1, down - top)):
                for column, part in ((left, 1 - (right - left)), (left + 1, right - left)):
                    table = tables[np.clip(row, 0, tiles - 1), np.clip(column, 0, tiles - 1)]
                    result[y, x] += share * part * table[light[y, x]]
    return np.round(result)


def clahe_light(low: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """L before and after our CLAHE, in levels 0 to 255."""
    before = (baselines.to_lab(low)[0] * 2.55).round()
    after = (baselines.to_lab(baselines.clahe(low))[0] * 2.55).round()
    return before.numpy().astype(np.uint8), after.numpy()


@pytest.mark.parametrize(("height", "width", "more"), [(64, 96, (0, 0)), (61, 96, (3, 8)), (61, 90, (3, 6))])
def test_clahe_equals_a_naive_reading(height: int, width: int, more: tuple[int, int]) -> None:
    gray = dark(height, width)[:1].expand(3, -1, -1)  # gray survives the way back from CIELAB unclipped
    before, after = clahe_light(gray)
    grown = np.pad(before, [(0, side) for side in more], mode="reflect")  # OpenCV grows both sides, or none
    expected = naive_clahe(grown, 2.0, 8)[:height, :width]
    assert np.abs(after - expected).max() <= 1
    assert (after != expected).mean() < 0.02


@pytest.mark.parametrize(("height", "width"), [(61, 90), (61, 96), (64, 90)])
def test_clahe_equals_opencv(height: int, width: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    gray = dark(height, width)[:1].expand(3, -1, -1)
    before, after = clahe_light(gray)
    difference = np.abs(after - cv2.createCLAHE(2.0, (8, 8)).apply(before))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.02


def test_cielab_equals_scikit_image() -> None:
    rgb = torch.rand(3, 20, 30, dtype=torch.float64)
    theirs = rgb2lab(rgb.permute(1, 2, 0).numpy())
    np.testing.assert_allclose(baselines.to_lab(rgb).permute(1, 2, 0), theirs, atol=0.02)
    torch.testing.assert_close(baselines.from_lab(baselines.to_lab(rgb)), rgb, atol=2e-6, rtol=0)
    np.testing.assert_allclose(
        baselines.from_lab(torch.from_numpy(theirs).permute(2, 0, 1)).permute(1, 2, 0), lab2rgb(theirs), atol=1e-3
    )


def test_box_mean_is_the_mean_of_what_lies_inside() -> None:
    x = torch.rand(13, 17)
    found = baselines.box_mean(x, 3)
    for y, column in ((0, 0), (5, 8), (12, 16), (1, 15)):
        inside = x[max(y - 3, 0) : y + 4, max(column - 3, 0) : column + 4]
        assert found[y, column].item() == pytest.approx(inside.mean().item())


def test_lime_divides_by_the_light() -> None:
    flat = torch.full((3, 40, 40), 0.2)
    torch.testing.assert_close(baselines.lime(flat), flat / 0.2**0.8, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "expected"), [("input", 7.773), ("gamma", 13.28), ("histeq", 15.56), ("lime", 17.0)])
def test_figures_on_eval15_are_those_measured_elsewhere(name: str, expected: float, lol: Path) -> None:
    """LIME's own solver and OpenCV's rounding of HSV differ a little from ours."""
    found = []
    for pair in datasets.pairs(lol / "eval15"):
        low, high = datasets.decode(pair)
        bright = quantised(baselines.BASELINES[name](low.float() / 255))
        found.append(metrics.psnr(bright[None] / 255, high[None] / 255).item())
    tolerance = 0.005 if name in ("input", "gamma") else 0.1
    assert sum(found) / 15 == pytest.approx(expected, abs=tolerance)
