"""NIQE: its parts against SciPy and known distributions, its features against another implementation's."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from lowlight_cli.core.errors import LowlightError
from lowlight_cli.core.evaluating import niqe

GOLDEN = json.loads((Path(__file__).parent / "golden" / "niqe.json").read_text())


def picture() -> torch.Tensor:
    """Waves and a noise whose strength varies, (1, 1, 200, 300) in [0, 1], the same on every machine."""
    rows, columns = np.mgrid[:200, :300]
    noise = (rows * 7919 + columns * 104729) * 2654435761 % 2**32 / 2**32
    smooth = np.sin(rows / 9) * np.cos(columns / 13) + np.sin((rows + 2 * columns) / 31)
    levels = np.round(128 + 45 * smooth + 30 * (noise - 0.5) * (1 + np.sin(columns / 40)))
    return torch.from_numpy(np.clip(levels, 0, 255))[None, None] / 255


def test_features_equal_another_implementations() -> None:
    features, sharpness = niqe.features(picture())
    assert features.shape == (1, 6, 36)
    assert sharpness.shape == (1, 6)
    assert features[0].mean(dim=0).tolist() == pytest.approx(GOLDEN["features"], abs=1e-4)


def test_normalisation_equals_scipy() -> None:
    levels = torch.rand(1, 1, 30, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 255
    image = levels[0, 0].numpy()

    def smoothed(x: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(x, 7 / 6, truncate=3 / (7 / 6), mode="nearest")

    mean = smoothed(image)
    contrast = np.sqrt(np.abs(smoothed(image**2) - mean**2))
    normalised, found = niqe.normalise(levels)
    np.testing.assert_allclose(found[0, 0], contrast, atol=1e-9)
    np.testing.assert_allclose(normalised[0, 0], (image - mean) / (contrast + 1), atol=1e-9)


@pytest.mark.parametrize("alpha", [0.8, 1.3, 2.0, 4.0])
@pytest.mark.parametrize(("left", "right"), [(1.0, 1.0), (0.7, 1.6)])
def test_the_shape_of_a_known_distribution_is_found(alpha: float, left: float, right: float) -> None:
    draws = np.abs(stats.gennorm.rvs(alpha, size=400_000, random_state=0))
    to_the_left = np.random.default_rng(1).random(len(draws)) < left / (left + right)
    x = torch.from_numpy(np.where(to_the_left, -left * draws, right * draws)).view(1, 500, 800)
    assert [float(value) for value in niqe.asymmetric_gaussian(x)] == pytest.approx([alpha, left, right], rel=0.03)


def test_distance_is_zero_to_itself_and_grows_with_noise() -> None:
    clean = picture()
    found = niqe.features(clean)[0][0]
    itself = niqe.Pristine(found.mean(dim=0), torch.cov(found.T), "itself")
    assert niqe.niqe(clean, itself).item() == pytest.approx(0, abs=1e-9)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=clean.dtype)
    distances = [niqe.niqe((clean + share * noise).clamp(0, 1), itself).item() for share in (0.01, 0.05)]
    assert 0 < distances[0] < distances[1]


def test_each_picture_of_a_batch_is_measured_alone() -> None:
    model = niqe.load()
    batch = torch.cat([picture(), picture().flip(3) ** 2])
    alone = torch.cat([niqe.niqe(one[None], model) for one in batch])
    torch.testing.assert_close(niqe.niqe(batch, model), alone)
    assert alone[0] != alone[1]


def test_pictures_smaller_than_a_patch_have_no_niqe() -> None:
    assert math.isnan(niqe.niqe(torch.rand(1, 1, 95, 400), niqe.load()).item())


def test_one_patch_has_a_niqe_and_a_flat_picture_has_none() -> None:
    assert math.isfinite(niqe.niqe(torch.rand(1, 1, 96, 96), niqe.load()).item())
    assert math.isnan(niqe.niqe(torch.zeros(1, 1, 192, 192), niqe.load()).item())


def test_flat_patches_count_as_in_the_authors_program() -> None:
    """It takes the mean of nothing for a scale, and 0.2, the first of its candidates, for a shape; then nanmean and
    nancov."""
    model, night = niqe.load(), picture()
    night[..., :96, :96] = 0
    found = niqe.features(night)[0][0].numpy()
    assert found[0, [0, 2, 6, 10, 14]].tolist() == [0.2] * 5
    assert np.isnan(found[0]).any() and np.isfinite(found[1:]).all()
    away = np.nanmean(found, axis=0) - model.mean.numpy()
    spread = np.cov(found[1:].T)
    expected = np.sqrt(away @ np.linalg.pinv((model.covariance.numpy() + spread) / 2) @ away)
    assert niqe.niqe(night, model).item() == pytest.approx(expected, rel=1e-6)


def test_our_own_fit_is_a_gaussian() -> None:
    model = niqe.load()
    assert model.name == "own fit"
    torch.testing.assert_close(model.covariance, model.covariance.T)
    assert torch.linalg.eigvalsh(model.covariance).min() > 0


def test_another_model_is_read_whatever_its_arrays_are_called(tmp_path: Path) -> None:
    path = tmp_path / "published.npz"
    np.savez(path, window=np.ones((7, 7)), cov_pris_param=np.eye(36), mu_pris_param=np.arange(36.0)[None])
    model = niqe.load(path)
    assert (model.name, model.mean[3].item(), model.covariance.shape) == ("published", 3, (36, 36))


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_file_without_a_model_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(LowlightError, match="no NIQE parameters"):
        niqe.load(path)
    with pytest.raises(LowlightError, match="no NIQE parameters"):
        niqe.load(tmp_path / "absent.npz")
