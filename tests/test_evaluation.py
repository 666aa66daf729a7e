"""What is measured of a model over pairs, and how it is recorded."""

import json
import math
from pathlib import Path

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lowlight_cli.core import datasets, evaluation, images
from lowlight_cli.core.enhancer import Enhancer
from lowlight_cli.core.errors import DatasetError


def test_what_is_measured_is_the_file_that_would_be_saved(pair_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    enhancer = Enhancer(str(tiny_model), "cpu")
    pair = datasets.pairs(pair_folder)[3]
    (row,) = evaluation.rows(enhancer, [pair])
    images.write(tmp_path / "enhanced.png", images.Picture(enhancer.enhance(images.read(pair.low).pixels)))
    saved, truth = (
        images.quantised(images.read(path).pixels).permute(1, 2, 0).numpy()
        for path in (tmp_path / "enhanced.png", pair.high)
    )
    assert row.name == pair.name == "3"
    assert row.psnr == pytest.approx(peak_signal_noise_ratio(truth, saved), abs=1e-6)
    similarity = structural_similarity(
        truth, saved, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=2
    )
    assert row.ssim == pytest.approx(similarity, abs=1e-6)


def test_too_small_for_ssim_is_said(tmp_path: Path, tiny_model: Path) -> None:
    for side in ("low", "high"):
        images.write(tmp_path / side / "a.png", images.Picture(torch.rand(3, 10, 40)))
    with pytest.raises(DatasetError, match="at least 11 px"):
        next(evaluation.rows(Enhancer(str(tiny_model), "cpu"), datasets.pairs(tmp_path)))


def test_the_mean_is_over_pictures() -> None:
    rows = [evaluation.Row("a", 10, 0.2, 0.4), evaluation.Row("b", 20, 0.4, 0.8)]
    assert evaluation.mean(rows) == pytest.approx({"psnr": 15, "ssim": 0.3, "ssim_gray": 0.6})


def test_an_infinite_psnr_is_null_in_json() -> None:
    record = evaluation.as_record("same", 7, [evaluation.Row("a", math.inf, 1.0, 1.0)])
    text = json.dumps(record, allow_nan=False)
    assert json.loads(text)["images"][0] == {"name": "a", "psnr": None, "ssim": 1.0, "ssim_gray": 1.0}
    assert json.loads(text)["mean"]["psnr"] is None


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (["retinexnet", "runs/a/best.safetensors"], ["retinexnet", "best"]),
        (["runs/a/best.safetensors", "runs/b/best.safetensors"], ["runs/a/best", "runs/b/best"]),
        (["v1.5"], ["v1.5"]),
    ],
)
def test_models_have_short_names_that_differ(models: list[str], expected: list[str]) -> None:
    assert evaluation.labels(models) == expected
