"""The ten pairs of the package: there, small, fit for use offline, and the Mondrians true to their maps."""

import json
from collections.abc import Callable
from pathlib import Path

import mondrians
import pytest
import torch
from mondrians import Mondrian

from lowlight_cli.core.data import datasets, trainingset
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.colour import to_linear

MONDRIANS = mondrians.mondrians()
by_name = pytest.mark.parametrize("mondrian", MONDRIANS, ids=[mondrian.name for mondrian in MONDRIANS])


def test_ten_pairs_that_are_fit_for_training() -> None:
    found = datasets.pairs(datasets.folder("samples", Path("data"), "train"))
    assert len(found) == 10
    for pair, picture in zip(found, datasets.each_of(found, datasets.decode), strict=True):
        assert picture.low.shape == (3, 240, 320)
        assert trainingset.fault(pair, picture) is None


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in datasets.SAMPLES.rglob("*") if path.is_file()) < 2_000_000


def test_provenance_of_every_picture_is_told() -> None:
    told = (datasets.SAMPLES / "README.md").read_text()
    for path in (*(datasets.SAMPLES / "low").iterdir(), *(datasets.SAMPLES / "photos").iterdir()):
        assert path.stem.rpartition("_")[0] in told if path.stem.startswith("mondrian") else f"| {path.stem} |" in told


def test_three_mondrians_at_least() -> None:
    assert len(MONDRIANS) >= 3


@by_name
def test_mondrian_is_the_product_of_its_maps(mondrian: Mondrian) -> None:
    reflectance, illumination = (to_linear(maps.double()) for maps in mondrian.truth)
    low = to_linear(images.read(mondrian.low).pixels.double())
    wanted = reflectance * illumination
    blocks = torch.nn.AvgPool2d(16)
    assert float((blocks(low) / blocks(wanted)).median() - 1) == pytest.approx(0, abs=0.02)
    shade = blocks(wanted) > 0.01
    assert (blocks(low)[shade] / blocks(wanted)[shade] - 1).abs().max() < 0.05


@by_name
def test_a_is_b_in_truth_and_not_in_the_picture(mondrian: Mondrian) -> None:
    assert mondrians.a_to_b(mondrian.truth.reflectance, mondrian) == pytest.approx(1, abs=1e-6)
    assert mondrians.a_to_b(images.read(mondrian.low).pixels, mondrian) > 3
    assert mondrians.a_to_b(mondrian.truth.illumination, mondrian) > 3


@by_name
def test_light_is_smooth_and_strong(mondrian: Mondrian) -> None:
    light = mondrian.truth.illumination
    assert light.diff(dim=-1).abs().max() < 0.02 and light.diff(dim=-2).abs().max() < 0.02
    assert to_linear(light.max()) > 10 * to_linear(light.min())


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train nets of width 4."""
    monkeypatch.setenv("LOWLIGHT_WIDTH", "4")


def test_evaluate_on_samples_offline(lowlight: Run, tiny_model: Path) -> None:
    code, out, _ = lowlight("evaluate", "--dataset", "samples", "--model", tiny_model, "--no-lpips", "--device", "cpu")
    assert code == 0 and "mondrian_1" in out and "astronaut" in out


def test_train_on_samples_offline(lowlight: Run, tmp_path: Path, narrow: None) -> None:
    code, _, err = lowlight(
        *("train", "--stage", "decom", "--dataset", "samples", "--epochs", 1, "--batch", 2, "--patch", 16),
        *("--validation", 0, "--device", "cpu", "--run-dir", tmp_path / "run"),
    )
    assert code == 0, err
    assert "10 pairs to train on" in err and (tmp_path / "run" / "last.safetensors").exists()


def test_train_on_photographs(lowlight: Run, tmp_path: Path, narrow: None) -> None:
    options = (
        *("train", "--stage", "decom", "--dataset", "synthetic", "--photos", datasets.SAMPLES / "high"),
        *("--epochs", 1, "--batch", 2, "--patch", 16, "--validation", 0.1, "--device", "cpu"),
    )
    code, _, err = lowlight(*options, "--run-dir", tmp_path / "run")
    assert code == 0, err
    assert "9 pairs to train on, 1 of other scenes" in err
    first = (tmp_path / "run" / "last.safetensors").read_bytes()
    lowlight(*options, "--run-dir", tmp_path / "again")
    assert (tmp_path / "again" / "last.safetensors").read_bytes() == first


def test_flagged_pairs_are_left_out_unless_told(lowlight: Run, tmp_path: Path, narrow: None) -> None:
    mine = tmp_path / "mine"
    for side in ("low", "high"):
        for name in ("mondrian_1", "mondrian_2"):
            picture = images.read(datasets.SAMPLES / side / f"{name}.png")
            images.write(mine / side / f"{name}.png", picture)
    picture = images.read(mine / "low" / "mondrian_2.png")
    moved = images.Picture(picture.samples.roll(30, dims=2))
    images.write(mine / "low" / "mondrian_2.png", moved)
    options = (
        *("train", "--stage", "decom", "--dataset", mine, "--epochs", 1, "--batch", 2, "--patch", 16),
        *("--validation", 0, "--device", "cpu"),
    )
    _, _, err = lowlight(*options, "--run-dir", tmp_path / "without")
    assert "left out: " in err and "mondrian_2.png: misaligned, 30 px right of" in err
    assert "1 left out: --keep-flagged" in err and "1 pairs to train on" in err
    _, _, err = lowlight(*options, "--keep-flagged", "--run-dir", tmp_path / "with")
    assert "left out" not in err and "2 pairs to train on" in err


def test_photographs_belong_to_the_synthetic_data_set(lowlight: Run, tmp_path: Path) -> None:
    code, _, err = lowlight("train", "--photos", tmp_path)
    assert code == 2 and "add --dataset synthetic" in err


def test_small_photographs_are_left_out_and_some_of_many_are_named(lowlight: Run, tmp_path: Path, narrow: None) -> None:
    for number in range(13):
        side = 20 if number else 64
        images.write(tmp_path / "photos" / f"{number}.png", images.Picture(torch.full((3, side, side), 0.5)))
    code, _, err = lowlight(
        *("train", "--stage", "decom", "--dataset", "synthetic", "--photos", tmp_path / "photos", "--epochs", 1),
        *("--batch", 1, "--patch", 32, "--validation", 0, "--device", "cpu", "--run-dir", tmp_path / "run"),
    )
    assert code == 0 and "1 pairs to train on" in err
    assert err.count("smaller than a patch of 32 px") == 10 and "12 left out" in err
    assert len(json.loads((tmp_path / "run" / "events.jsonl").read_text().splitlines()[0])["left_out"]) == 12


def test_synthesise_command(lowlight: Run, tmp_path: Path) -> None:
    code, _, err = lowlight("synthesise", datasets.SAMPLES / "high", "--out", tmp_path / "synthetic", "--copies", 2)
    assert code == 0 and f"20 pairs in {tmp_path / 'synthetic'}" in err
    code, _, err = lowlight("synthesise", datasets.SAMPLES / "high", "--out", tmp_path / "synthetic")
    assert code == 1 and "not empty" in err


def test_synthesis_fails_by_what_it_cannot_read_not_by_what_is_dark(lowlight: Run, tmp_path: Path) -> None:
    for name, side in (("fine", torch.rand(3, 48, 64)), ("dark", torch.zeros(3, 48, 64))):
        images.write(tmp_path / "photos" / f"{name}.png", images.Picture(side))
    code, _, err = lowlight("synthesise", tmp_path / "photos", "--out", tmp_path / "first")
    assert code == 0 and "left out: " in err and "too dark" in err
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    code, _, err = lowlight("synthesise", tmp_path / "photos", "--out", tmp_path / "second")
    assert code == 1 and "broken.png" in err and f"1 pair in {tmp_path / 'second'}" in err
