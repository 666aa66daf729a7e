"""``lowlight evaluate`` as people type it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lowlight_cli.core import checkpoints
from lowlight_cli.core.evaluating import outputs
from lowlight_cli.core.networks import RetinexNet
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.picture import quantised

Lowlight = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal wide enough for every column, and no attempt to fetch AlexNet."""
    monkeypatch.setattr("lowlight_cli.console.out.width", 200)
    monkeypatch.setenv("LOWLIGHT_LPIPS", "false")


def one_line(text: str) -> str:
    (line,) = text.strip().splitlines()
    return line


def test_the_table_shows_every_picture_and_the_mean(lowlight: Lowlight, pair_folder: Path, tiny_model: Path) -> None:
    code, out, _ = lowlight("evaluate", "--dataset", pair_folder, "--model", tiny_model)
    assert code == 0
    words = out.split()
    for expected in ("pairs", "PSNR", "SSIM", "RGB", "gray", "↑", "GT-mean", "consistency", "from"):
        assert expected in words
    first_cells = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert first_cells[first_cells.index("0") :][:9] == [*map(str, range(8)), "mean"]


def test_a_narrow_terminal_loses_no_column(
    lowlight: Lowlight, pair_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lowlight_cli.console.out.width", 50)
    _, out, _ = lowlight("evaluate", "--dataset", pair_folder, "-b", "gamma")
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 50
    words = out.split()
    for expected in ("PSNR", "GT-mean", "brightness", "MP/s", "parameters"):
        assert expected in words


def test_json_holds_the_same_figures(lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    report = tmp_path / "new" / "figures.json"
    code, out, said = lowlight("evaluate", "--dataset", pair_folder, "--model", tiny_model, "--json", report)
    assert code == 0
    assert "no NIQE: it needs sides of 96 px" in said and "NIQE with" not in said
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


def test_an_ensemble_is_said_and_counted(
    lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    report = tmp_path / "figures.json"
    found = []
    for more in ([], ["--ensemble"]):
        code, out, err = lowlight("evaluate", "--dataset", pair_folder, "-m", tiny_model, "--json", report, *more)
        assert code == 0
        found += json.loads(report.read_text())["models"]
    assert "models with --ensemble" in out + err
    assert found[1]["multiply_adds_per_pixel"] == pytest.approx(8 * found[0]["multiply_adds_per_pixel"], rel=1e-3)
    assert found[1]["mean"]["psnr"] != found[0]["mean"]["psnr"]


def test_without_truth_a_damaged_picture_is_left_out_and_said(
    lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder, report = pair_folder / "low", tmp_path / "figures.json"
    command = ["evaluate", "--dataset", folder, "--model", tiny_model, "--json", report]
    assert lowlight(*command)[0] == 0
    whole = json.loads(report.read_text())["models"][0]["images"]
    (folder / "3.png").write_bytes(b"no picture")
    code, _, err = lowlight(*command)
    assert code == 1
    assert "3.png: not a picture" in err and "1 of 8 pictures left out" in err
    (left_out,) = json.loads(report.read_text())["left_out"]
    assert "3.png: not a picture" in left_out
    rows = json.loads(report.read_text())["models"][0]["images"]
    assert [row["brightness"] for row in rows] == [row["brightness"] for row in whole if row["name"] != "3"]
    for path in folder.glob("*.png"):
        path.write_bytes(b"no picture")
    assert "no picture in it can be read" in one_line(lowlight(*command)[2])


def test_what_an_evaluation_saved_is_not_evaluated(
    lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    folder, report = pair_folder / "low", tmp_path / "figures.json"
    command = ["evaluate", "--dataset", folder, "--model", tiny_model, "--json", report, "--save", folder / "bright"]
    for more in ([], ["--overwrite"]):
        assert lowlight(*command, *more)[0] == 0
        assert len(json.loads(report.read_text())["models"][0]["images"]) == 8


def test_figures_may_go_to_standard_output(lowlight: Lowlight, pair_folder: Path, tmp_path: Path) -> None:
    code, out, err = lowlight("evaluate", "--dataset", pair_folder, "-b", "gamma", "--json", "-")
    assert code == 0 and json.loads(out)["pairs"] == 8
    assert "PSNR" in err and "written" not in err and not Path("-").exists()
    code, _, err = lowlight("evaluate", "--dataset", pair_folder, "-b", "gamma", "--json", "-", "--csv", "-")
    assert code == 1 and "two results cannot go into one place" in one_line(err)
    code, _, err = lowlight("evaluate", "--dataset", pair_folder, "-b", "gamma", "--save", "-")
    assert code == 1 and "name a file or folder" in one_line(err)


def test_an_interrupted_evaluation_writes_what_it_has(
    lowlight: Lowlight, pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "figures.json"
    count = iter(range(100))

    def interrupt(*_: object) -> None:
        if next(count) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("lowlight_cli.console.Counter.at", interrupt)
    code, out, err = lowlight("evaluate", "--dataset", pair_folder, "-b", "gamma", "--json", report)
    assert code == 130 and "stopped after 5 of 8 pictures" in err and "gamma" in out
    assert [row["name"] for row in json.loads(report.read_text())["models"][0]["images"]] == ["0", "1", "2", "3", "4"]


def test_two_reports_cannot_go_into_one_file(
    lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    figures = tmp_path / "figures"
    command = ["evaluate", "--dataset", pair_folder, "--model", tiny_model, "--json", figures, "--csv", figures]
    assert "two results cannot go into one place" in one_line(lowlight(*command)[2])
    command[-2] = "--save"
    assert "two results cannot go into one place" in one_line(lowlight(*command)[2])
    assert not figures.exists()


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
    code, out, err = lowlight("evaluate", "--dataset", pair_folder, "--model", tiny_model, "--json", report)
    assert (code, out) == (1, "")
    assert "cannot be written" in one_line(err)


def test_one_file_that_cannot_be_written_costs_no_other(
    lowlight: Lowlight, pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs, "as_json", full)
    files = ["--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv", "--markdown", tmp_path / "a.md"]
    code, out, err = lowlight("evaluate", "--dataset", pair_folder, "--baseline", "input", "--no-lpips", *files)
    assert code == 1 and "input" in out
    assert "a.json: cannot be written: No space left" in err
    assert {path.name for path in tmp_path.glob("a.*")} == {"a.csv", "a.md"}


@pytest.mark.parametrize("closed", ["pipe", "full"])
def test_files_are_written_though_nobody_reads_the_tables(pair_folder: Path, tmp_path: Path, closed: str) -> None:
    command = [sys.executable, "-m", "lowlight_cli", "evaluate", "--dataset", str(pair_folder), "-b", "gamma"]
    command += ["--no-lpips", "--json", "-" if closed == "full" else str(tmp_path / "a.json")]
    command += ["--csv", str(tmp_path / "a.csv"), "--markdown", str(tmp_path / "a.md")]
    if closed == "full":
        if not Path("/dev/full").exists():
            pytest.skip("no /dev/full here")
        with Path("/dev/full").open("wb") as place:
            done = subprocess.run(command, stdout=place, stderr=subprocess.PIPE, text=True, check=False)
        assert "standard output: cannot be written: No space left" in done.stderr
    else:
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as place:
            done = subprocess.run(command, stdout=place, stderr=subprocess.PIPE, text=True, check=False)
        assert (tmp_path / "a.json").exists()
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert (tmp_path / "a.csv").exists() and (tmp_path / "a.md").exists()


def test_wrong_usage_exits_with_2(lowlight: Lowlight, pair_folder: Path, tiny_model: Path) -> None:
    assert lowlight("evaluate", "--dataset", pair_folder, "--model", tiny_model, "--device", "abacus")[0] == 2
    assert lowlight("evaluate", "--nonsense")[0] == 2


def test_baselines_alone_need_no_model(lowlight: Lowlight, pair_folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "figures.json"
    code, out, _ = lowlight("evaluate", "--dataset", pair_folder, "-b", "input", "-b", "clahe", "--json", report)
    assert code == 0
    found = json.loads(report.read_text())
    assert [(model["name"], model["kind"]) for model in found["models"]] == [
        ("input", "baseline"),
        ("clahe", "baseline"),
    ]
    assert "paired differences" in out
    assert "8 of 8" in out


def test_without_any_name_the_default_model_is_measured(lowlight: Lowlight, pair_folder: Path) -> None:
    from lowlight_cli.settings import DEFAULT_MODEL, EvaluateSettings

    assert EvaluateSettings.load().model == (DEFAULT_MODEL,)
    assert EvaluateSettings.load(baseline=["input"]).model == ()
    assert lowlight("evaluate", "--dataset", pair_folder, "-b", "magic")[0] == 2


def test_equal_pictures_are_infinite_on_screen_and_null_in_json(lowlight: Lowlight, tmp_path: Path) -> None:
    for side in ("low", "high"):
        images.write(tmp_path / "same" / side / "a.png", images.Picture(torch.full((3, 30, 30), 0.4)))
    report = tmp_path / "figures.json"
    page = tmp_path / "page.html"
    code, out, _ = lowlight(
        "evaluate", "--dataset", tmp_path / "same", "-b", "input", "-b", "gamma", "--json", report, "--report", page
    )
    assert code == 0
    assert "inf" in out
    assert "nan" not in out
    assert json.loads(report.read_text())["models"][0]["images"][0]["psnr"] is None
    assert "NaN" not in page.read_text()


def test_a_folder_without_truth(lowlight: Lowlight, tmp_path: Path) -> None:
    images.write(tmp_path / "photos" / "night.png", images.Picture(torch.rand(3, 100, 110) * 0.1))
    sheet, report = tmp_path / "sheet.png", tmp_path / "figures.json"
    code, out, _ = lowlight(
        *("evaluate", "--dataset", tmp_path / "photos", "-b", "gamma", "--sheet", sheet, "--json", report)
    )
    assert code == 0
    assert "NIQE" in out
    assert "PSNR" not in out
    found = json.loads(report.read_text())
    assert (found["pairs"], found["pictures"]) == (0, 1)
    assert found["references"][0]["name"] == "input"
    assert images.read(sheet).pixels.shape[2] > 220


def test_every_output_is_written(lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = {"--csv": "f.csv", "--markdown": "f.md", "--save": "pictures", "--sheet": "s.jpg", "--report": "r.html"}
    given = [part for option, name in names.items() for part in (option, out / name)]
    code, _, err = lowlight("evaluate", "--dataset", pair_folder, "-m", tiny_model, "-b", "gamma", *given)
    assert code == 0
    assert {path.name for path in out.iterdir()} == set(names.values())
    assert sorted(path.name for path in (out / "pictures" / "tiny").iterdir()) == [f"{n}.png" for n in range(8)]
    saved = images.read(out / "pictures" / "gamma" / "0.png").pixels
    low = images.read(pair_folder / "low" / "0.png").pixels
    assert saved.equal(quantised(low ** (1 / 2.2)).float() / 255)
    assert len((out / "f.csv").read_text().splitlines()) == 1 + 3 * 8
    assert "r.html" in err


def test_saved_pictures_of_two_models_are_not_mixed(
    lowlight: Lowlight, pair_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Models of one file name are told apart by their folders."""
    files = [tmp_path / "a" / "last.safetensors", tmp_path / "b" / "last.safetensors", tmp_path / "a_last.safetensors"]
    for path in files:
        path.parent.mkdir(exist_ok=True)
        shutil.copy(tiny_model, path)
    models = [word for path in files for word in ("--model", path)]
    code, _, err = lowlight("evaluate", "--dataset", pair_folder, *models, "--save", tmp_path / "saved")
    assert code == 1 and "a_last: the pictures of two models cannot go into one folder" in one_line(err)
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("place", ["none", "pairs/high/0.png"])
def test_results_that_are_no_folder(lowlight: Lowlight, pair_folder: Path, tmp_path: Path, place: str) -> None:
    pair_folder.rename(tmp_path / "pairs")
    code, _, err = lowlight("evaluate", "--dataset", tmp_path / "pairs", "--results", f"theirs={tmp_path / place}")
    assert code == 1 and "no such folder of results" in one_line(err)


def test_saved_pictures_are_not_mixed_with_earlier_ones(lowlight: Lowlight, pair_folder: Path, tmp_path: Path) -> None:
    command = ["evaluate", "--dataset", pair_folder, "-b", "gamma", "--save", tmp_path / "saved"]
    assert lowlight(*command)[0] == 0
    code, out, err = lowlight(*command)
    assert (code, out) == (1, "")
    assert "--overwrite" in one_line(err)
    assert lowlight(*command, "--overwrite")[0] == 0


def test_no_output_replaces_an_input_or_has_an_unknown_format(
    lowlight: Lowlight, pair_folder: Path, tmp_path: Path
) -> None:
    victim = pair_folder / "low" / "0.png"
    before = victim.read_bytes()
    for option, path, said in (
        ("--sheet", victim, "input"),
        ("--json", victim, "input"),
        ("--csv", pair_folder, "folder"),
        ("--sheet", tmp_path / "sheet.xyz", "xyz"),
        ("--save", victim, "not a folder"),
    ):
        code, out, err = lowlight("evaluate", "--dataset", pair_folder, "-b", "gamma", option, path)
        assert (code, out) == (1, ""), option
        assert said in one_line(err)
    assert victim.read_bytes() == before


def test_an_unreadable_niqe_model_is_one_line(lowlight: Lowlight, pair_folder: Path) -> None:
    code, _, err = lowlight("evaluate", "--dataset", pair_folder, "-b", "gamma", "--niqe", "absent.npz")
    assert code == 1
    assert "absent.npz" in one_line(err)


def test_saved_pictures_do_not_replace_what_is_measured(lowlight: Lowlight, pair_folder: Path, tmp_path: Path) -> None:
    inner = tmp_path / "res" / "low"
    shutil.copytree(pair_folder / "low", inner)
    command = ("evaluate", "--dataset", inner, "--save", tmp_path / "res", "--overwrite", "--baseline", "gamma")
    code, _, err = lowlight(*command)
    assert code == 1
    assert "inputs lie in it" in one_line(err)
    assert sorted(path.name for path in (tmp_path / "res").iterdir()) == ["low"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_names_that_are_no_text_and_names_that_look_alike(
    lowlight: Lowlight, pair_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in (b"caf\xe9.png", b"a.png", b"a.tif", b"a.png.png"):
        shutil.copy(pair_folder / "low" / "0.png", folder / os.fsdecode(name))
    command = ("evaluate", "--dataset", folder, "--baseline", "gamma", "--csv", tmp_path / "f.csv")
    code, out, _ = lowlight(*command, "--save", tmp_path / "res")
    assert code == 0
    assert "caf?" in out
    assert "caf?" in (tmp_path / "f.csv").read_text(encoding="utf-8")
    assert len(list((tmp_path / "res" / "gamma").iterdir())) == 4


def test_dark_pictures_that_are_brighter_than_their_truth_are_told(
    lowlight: Lowlight, pair_folder: Path, tmp_path: Path
) -> None:
    swapped = tmp_path / "swapped"
    shutil.copytree(pair_folder / "high", swapped / "low")
    shutil.copytree(pair_folder / "low", swapped / "high")
    for folder, told in ((pair_folder, False), (swapped, True)):
        code, out, err = lowlight("evaluate", "--dataset", folder, "--baseline", "gamma")
        assert code == 0 and ("8 of 8 dark pictures are brighter than their truth" in out + err) == told
