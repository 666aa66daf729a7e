"""Metrics against scikit-image, and their limits."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from lowlight_cli.core import metrics
from lowlight_cli.core.pictures.picture import luma


def bytes_pair(height: int, width: int, noise: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A smooth picture and a noisy, darker one, (1, 3, H, W) in [0, 1], both in steps of 1/255."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.nn.functional.interpolate(
        torch.rand(1, 3, 4, 5, generator=generator, dtype=torch.float64), (height, width), mode="bilinear"
    )
    prediction = 0.8 * target + noise * torch.randn(target.shape, generator=generator, dtype=torch.float64)
    return (prediction.clamp(0, 1) * 255).round() / 255, (target * 255).round() / 255


def array(picture: Tensor) -> np.ndarray:
    """(1, C, H, W) as (H, W, C), or (H, W) where C = 1."""
    return picture[0].permute(1, 2, 0).numpy().squeeze()


def skimage_ssim(prediction: Tensor, target: Tensor) -> float:
    full = structural_similarity(
        array(prediction),
        array(target),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2 if prediction.shape[1] == 3 else None,
        full=True,
    )[1]
    return float(full[5:-5, 5:-5].mean())  # its own mean keeps the same valid windows


@pytest.mark.parametrize(("height", "width"), [(11, 11), (12, 47), (64, 33)])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.3])
def test_psnr_and_ssim_equal_scikit_image(height: int, width: int, noise: float) -> None:
    prediction, target = bytes_pair(height, width, noise)
    assert metrics.psnr(prediction, target).item() == pytest.approx(
        peak_signal_noise_ratio(array(target), array(prediction), data_range=1.0), abs=1e-6
    )
    assert metrics.ssim(prediction, target).item() == pytest.approx(skimage_ssim(prediction, target), abs=1e-6)
    gray = luma(prediction), luma(target)
    assert metrics.ssim(*gray).item() == pytest.approx(skimage_ssim(*gray), abs=1e-6)


def test_scikit_image_means_the_same_valid_windows() -> None:
    prediction, target = bytes_pair(30, 40, 0.05)
    theirs = structural_similarity(
        array(prediction),
        array(target),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2,
    )
    assert metrics.ssim(prediction, target).item() == pytest.approx(theirs, abs=1e-6)


def test_each_picture_of_a_batch_is_measured_alone() -> None:
    pairs = [bytes_pair(24, 30, noise, seed) for seed, noise in enumerate((0.01, 0.1, 0.4))]
    predictions, targets = (torch.cat(side) for side in zip(*pairs, strict=True))
    for metric in (metrics.psnr, metrics.ssim):
        alone = torch.cat([metric(*pair) for pair in pairs])
        torch.testing.assert_close(metric(predictions, targets), alone, rtol=0, atol=1e-12)
        assert len(set(alone.tolist())) == 3


def test_equal_pictures_are_perfect() -> None:
    picture, _ = bytes_pair(20, 20, 0.1)
    assert metrics.psnr(picture, picture).item() == math.inf
    assert metrics.ssim(picture, picture).item() == pytest.approx(1, abs=1e-12)


def test_float32_input_is_measured_in_double_precision() -> None:
    prediction, target = bytes_pair(40, 40, 0.02)
    single = metrics.ssim(prediction.float(), target.float())
    assert single.dtype == torch.float64
    assert single.item() == pytest.approx(metrics.ssim(prediction, target).item(), abs=1e-6)


def test_gray_is_bt601_luma() -> None:
    primaries = torch.eye(3).view(3, 3, 1, 1)
    assert luma(primaries).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])


def test_blurring_is_the_convolution_with_a_gaussian() -> None:
    x = torch.rand(2, 3, 17, 23, dtype=torch.float64)
    place = torch.arange(-5.0, 6.0, dtype=torch.float64)
    kernel = torch.exp(-(place[:, None].square() + place.square()) / (2 * 1.5**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 11, 11)
    torch.testing.assert_close(metrics.blurred(x), torch.nn.functional.conv2d(x, kernel, groups=3))


def test_gt_mean_borrows_the_brightness_of_the_truth() -> None:
    prediction, target = bytes_pair(30, 40, 0.02)
    scaled = metrics.gt_mean(0.3 * prediction, target)
    assert luma(scaled).mean().item() == pytest.approx(luma(target).mean().item(), rel=1e-3)
    ratio = luma(target).mean() / luma(prediction).mean()
    torch.testing.assert_close(scaled, (prediction * ratio).clamp(0, 1))
    black = torch.zeros_like(target)
    assert metrics.gt_mean(black, target).equal(black)


def naive_lmse(estimate: np.ndarray, truth: np.ndarray, window: int) -> float:
    """Grosse et al. 2009, window by window."""
    left, total = 0.0, 0.0
    for y in range(0, truth.shape[1] - window + 1, window // 2):
        for x in range(0, truth.shape[2] - window + 1, window // 2):
            a, b = (m[:, y : y + window, x : x + window].flatten() for m in (estimate, truth))
            scale = (a @ b) / (a @ a)
            left += ((b - scale * a) ** 2).sum()
            total += (b**2).sum()
    return left / total


def test_lmse_equals_a_naive_reading() -> None:
    estimate, truth = torch.rand(2, 3, 47, 65, dtype=torch.float64)
    expected = naive_lmse(estimate.numpy(), truth.numpy(), 20)
    assert metrics.lmse(estimate, truth) == pytest.approx(expected, rel=1e-9)


def test_lmse_forgives_a_scale_that_changes_slowly_and_no_texture() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(3, 60, 80, generator=generator) * 0.6 + 0.2
    assert metrics.lmse(0.3 * truth, truth) == pytest.approx(0, abs=1e-9)
    assert math.isnan(metrics.lmse(truth, torch.zeros_like(truth)))
    assert metrics.lmse(torch.zeros_like(truth), truth) == pytest.approx(1)
    slow = torch.linspace(0.3, 1, 80)
    assert metrics.lmse(truth * slow, truth) < 0.01
    textured = truth * (0.5 + torch.rand(truth.shape, generator=generator))
    assert metrics.lmse(textured, truth) > 0.03
