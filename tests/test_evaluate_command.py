"""``lowlight evaluate`` as people type it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lowlight_cli.core import checkpoints, images
from lowlight_cli.core.networks import RetinexNet

Lowlight = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal wide enough for every column."""
    monkeypatch.setattr("lowlight_cli.console.out.width", 200)


def one_line(text: str) -> str:
    (line,) = text.strip().splitlines()
    return line


def test_the_table_shows_every_picture_and_the_mean(lowlight: Lowlight, pair_folder: Path, tiny_model: Path) -> None:
    code, out, _ = lowlight("evaluate", "--dataset", pair_folder, "--model", tiny_model)
    assert code == 0
    for expected in ("PSNR", "SSIM RGB ↑", "SSIM gray ↑", "mean", "8 pairs"):
        assert expected in out
    first_cells = [line.split()[1] for line in out.splitlines() if line.count("│") > 2]
    assert first_cells == [*map(str, range(8)), "mean"]


def test_json_holds_the_same_figures(lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    report = tmp_path / "new" / "figures.json"
    code, out, _ = lowlight("evaluate", "--dataset", pair_folder, "--model", tiny_model, "--json", report)
    assert code == 0
    found = json.loads(report.read_text())
    assert {"dataset", "split", "pairs", "models"} <= found.keys()
    assert found["dataset"] == str(pair_folder)
    assert found["pairs"] == 8
    (model,) = found["models"]
    assert model["name"] == "tiny"
    assert model["parameters"] == sum(p.numel() for p in RetinexNet(width=4).parameters())
    assert [row["name"] for row in model["images"]] == [*map(str, range(8))]
    for figure in ("psnr", "ssim", "ssim_gray"):
        assert model["mean"][figure] == pytest.approx(sum(row[figure] for row in model["images"]) / 8)
    assert f"{model['mean']['psnr']:.2f}" in out


def test_two_models_stand_side_by_side(lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    torch.manual_seed(1)
    checkpoints.save(RetinexNet(width=4), other)
    report = tmp_path / "figures.json"
    code, out, _ = lowlight(
        "evaluate", "--dataset", pair_folder, "-m", tiny_model, "-m", other, "-m", other, "--json", report
    )
    assert code == 0
    first, second = json.loads(report.read_text())["models"]
    assert (first["name"], second["name"]) == ("tiny", "other")
    assert first["mean"] != second["mean"]
    for model in (first, second):
        assert model["name"] in out
        assert f"{model['mean']['psnr']:.2f}" in out


def test_a_missing_data_set_is_one_line_with_the_remedy(lowlight: Lowlight, tiny_model: Path, tmp_path: Path) -> None:
    code, out, err = lowlight("evaluate", "--dataset", "lol", "--data", tmp_path, "--model", tiny_model)
    assert (code, out) == (1, "")
    assert "lowlight download lol" in one_line(err)


def test_a_named_set_is_found_under_the_data_root(
    lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    (root / "lol").mkdir(parents=True)
    pair_folder.rename(root / "lol" / "eval15")
    report = tmp_path / "figures.json"
    for data in (root, root / "lol"):
        code, _, _ = lowlight("evaluate", "--data", data, "--model", tiny_model, "--json", report)
        assert code == 0
        found = json.loads(report.read_text())
        assert (found["dataset"], found["split"], found["pairs"]) == ("lol", "test", 8)


def test_an_unknown_model_is_one_line(lowlight: Lowlight, pair_folder: Path) -> None:
    code, out, err = lowlight("evaluate", "--dataset", pair_folder, "--model", "nosuch")
    assert (code, out) == (1, "")
    assert "nosuch" in one_line(err)
    assert "packaged" in err


def test_a_damaged_model_is_one_line(lowlight: Lowlight, pair_folder: Path, tiny_model: Path) -> None:
    tiny_model.write_bytes(tiny_model.read_bytes()[:-100])
    code, _, err = lowlight("evaluate", "--dataset", pair_folder, "--model", tiny_model)
    assert code == 1
    assert str(tiny_model) in one_line(err)


def test_bad_data_is_one_line_each(lowlight: Lowlight, tiny_model: Path, tmp_path: Path) -> None:
    def put(path: str, height: int) -> None:
        images.write(tmp_path / path, images.Picture(torch.rand(3, height, 20)))

    put("sizes/low/a.png", 20)
    put("sizes/high/a.png", 24)
    put("alone/low/a.png", 20)
    put("alone/low/b.png", 20)
    put("alone/high/a.png", 20)
    put("small/low/a.png", 8)
    put("small/high/a.png", 8)
    put("text/high/a.png", 20)
    (tmp_path / "text" / "low").mkdir()
    (tmp_path / "text" / "low" / "a.png").write_text("no picture")
    for side in ("low", "high"):
        (tmp_path / "hollow" / side).mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    expected = {
        "sizes": "20x20",
        "alone": "b.png",
        "small": "11 px",
        "text": "a.png",
        "hollow": "no pictures",
        "empty": "empty",
        "absent": "absent",
    }
    for folder, said in expected.items():
        report = tmp_path / f"{folder}.json"
        code, _, err = lowlight("evaluate", "--dataset", tmp_path / folder, "--model", tiny_model, "--json", report)
        assert code == 1, folder
        assert said in one_line(err), folder
        assert not report.exists(), folder


def test_an_unwritable_report_is_one_line(
    lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    report = tmp_path / "file" / "figures.json"
    code, _, err = lowlight("evaluate", "--dataset", pair_folder, "--model", tiny_model, "--json", report)
    assert code == 1
    assert "cannot be written" in one_line(err)


def test_wrong_usage_exits_with_2(lowlight: Lowlight, pair_folder: Path, tiny_model: Path) -> None:
    assert lowlight("evaluate", "--dataset", pair_folder, "--model", tiny_model, "--device", "abacus")[0] == 2
    assert lowlight("evaluate", "--nonsense")[0] == 2
