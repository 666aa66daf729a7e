"""``lowlight enhance`` and ``lowlight decompose`` as people run them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lowlight_cli.app import main
from lowlight_cli.core import checkpoints
from lowlight_cli.core.networks import RetinexNet

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    checkpoints.save(RetinexNet(width=4), path)
    return path


@pytest.fixture
def run(model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder: exit code and the lines on stderr."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object, use: object = model) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as left:
            main([*map(str, arguments), "--model", str(use), "--device", "cpu"])
        return int(left.value.code or 0), capfd.readouterr().err.splitlines()

    return command


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (37, 21), **options: object) -> Path:
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.convert(mode).save(path, **options)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_is_enhanced_into_another(run: Run, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png", "c.webp", "deep/d.tif", "deep/e.bmp"):
        save(tmp_path / "photos" / name)
    code, talk = run("enhance", "photos", "--out", "bright")
    assert code == 0
    assert talk == ["5 done: bright"]
    assert names(tmp_path / "bright") == ["a.jpg", "b.png", "c.webp", "deep/d.tif", "deep/e.bmp"]
    for name in names(tmp_path / "bright"):
        with Image.open(tmp_path / "bright" / name) as image:
            assert image.size == (37, 21)


def test_existing_results_stay_unless_overwrite(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "out.png").write_text("precious")
    code, talk = run("enhance", "a.png", "--out", "out.png")
    assert code == 0
    assert "skipped" in talk[0]
    assert (tmp_path / "out.png").read_text() == "precious"
    assert run("enhance", "a.png", "--out", "out.png", "--overwrite")[0] == 0
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (37, 21)


def test_one_bad_file_is_one_line_and_the_others_go_through(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png")
    save(tmp_path / "photos" / "c.png")
    (tmp_path / "photos" / "b.png").write_bytes(b"no picture")
    code, talk = run("enhance", "photos", "--out", "bright")
    assert code == 1
    assert talk == ["error: photos/b.png: not a picture, whatever its name says", "2 done, 1 failed: bright"]
    assert names(tmp_path / "bright") == ["a.png", "c.png"]


def test_a_missing_path_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    code, talk = run("enhance", "missing.png", "a.png", "--out", "bright")
    assert code == 1
    assert talk == ["error: missing.png: no such file or folder", "1 done, 1 failed: bright/a.png"]


def bad_input(case: str, folder: Path) -> list[str]:
    """Makes what the case needs and gives the arguments of enhance."""
    good = save(folder / "good.jpg", size=(200, 150), quality=95)
    whole = good.read_bytes()
    match case:
        case "missing path":
            return ["missing.jpg", "--out", "x.jpg"]
        case "empty folder":
            (folder / "empty").mkdir()
            return ["empty", "--out", "bright"]
        case "folder without pictures":
            (folder / "texts").mkdir()
            (folder / "texts" / "a.txt").write_text("words")
            return ["texts", "--out", "bright"]
        case "text named .jpg":
            (folder / "bad.jpg").write_text("words\n" * 30)
        case "truncated JPEG":
            (folder / "bad.jpg").write_bytes(whole[: len(whole) // 2])
        case "empty file":
            (folder / "bad.jpg").write_bytes(b"")
        case "output is the input":
            return ["good.jpg", "--out", "good.jpg", "--overwrite"]
        case "output is the input, by a link":
            (folder / "link.jpg").symlink_to(good)
            return ["good.jpg", "--out", "link.jpg", "--overwrite"]
        case "a file where a folder is needed":
            (folder / "file").write_text("in the way")
            return ["good.jpg", "--out", "file/sub/x.jpg"]
        case "a folder where the file should be":
            (folder / "x.jpg" / "x").mkdir(parents=True)
            (folder / "out" / "good.jpg").mkdir(parents=True)
            return ["good.jpg", "--out", "out", "--overwrite"]
        case "unwritable place":
            return ["good.jpg", "--out", "/proc/nowhere/x.jpg"]
        case "unknown format":
            return ["good.jpg", "--out", "x.gif"]
    return ["bad.jpg", "--out", "x.jpg"]


@pytest.mark.parametrize(
    "case",
    [
        "missing path",
        "empty folder",
        "folder without pictures",
        "text named .jpg",
        "truncated JPEG",
        "empty file",
        "output is the input",
        "output is the input, by a link",
        "a file where a folder is needed",
        "a folder where the file should be",
        "unwritable place",
        "unknown format",
    ],
)
@pytest.mark.parametrize("command", ["enhance", "decompose"])
def test_bad_input_is_one_line_and_leaves_nothing(run: Run, tmp_path: Path, command: str, case: str) -> None:
    arguments = bad_input(case, tmp_path)
    if command == "decompose":
        if case in ("output is the input, by a link", "unknown format", "a folder where the file should be"):
            pytest.skip("decompose makes its own names")
        if arguments[-1].endswith("x.jpg"):
            arguments[-1] = arguments[-1].removesuffix("/x.jpg") if "/" in arguments[-1] else "maps"
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    code, talk = run(command, *arguments)
    assert code == 1
    assert len(talk) == 1, talk
    assert talk[0].startswith("error: ")
    assert len(talk[0].split(": ")) >= 3, "what, and what is wrong with it"
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "P", "L", "RGBA", "LA", "1", "I;16"])
def test_every_kind_of_picture_goes_through(run: Run, tmp_path: Path, mode: str) -> None:
    save(tmp_path / ("in.tif" if mode == "CMYK" else "in.png"), mode if mode != "I;16" else "I;16")
    (source,) = tmp_path.iterdir()
    code, talk = run("enhance", source.name, "--out", "out.png")
    assert (code, talk) == (0, ["1 done: out.png"])
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (37, 21)
        assert ("A" in image.getbands()) == ("A" in mode)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 9)])
def test_tiny_pictures_go_through(run: Run, tmp_path: Path, size: tuple[int, int]) -> None:
    save(tmp_path / "in.png", size=size)
    assert run("enhance", "in.png", "--out", "out.png")[0] == 0
    assert run("decompose", "in.png", "--out", "maps")[0] == 0
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == size


def test_unknown_and_damaged_models_are_one_line(run: Run, tmp_path: Path, model: Path) -> None:
    save(tmp_path / "in.png")
    (tmp_path / "broken.safetensors").write_bytes(model.read_bytes()[:2000])
    (tmp_path / "words.safetensors").write_text("no weights")
    for name in ("nonesuch", "broken.safetensors", "words.safetensors"):
        code, talk = run("enhance", "in.png", "--out", "out.png", use=name)
        assert code == 1
        assert len(talk) == 1
        assert name in talk[0]
    assert not (tmp_path / "out.png").exists()


def test_wrong_usage_exits_with_2(run: Run) -> None:
    assert run("enhance")[0] == 2
    assert run("enhance", "a.png", "--nonesuch")[0] == 2


def test_decompose_writes_five_files(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "night.jpg")
    code, talk = run("decompose", "night.jpg", "--out", "maps")
    assert (code, talk) == (0, ["1 done: maps"])
    maps = [f"night_{name}.png" for name in ("enhanced", "illumination", "panel", "reflectance", "relit")]
    assert names(tmp_path / "maps") == maps
    modes = {}
    for name in maps:
        with Image.open(tmp_path / "maps" / name) as image:
            modes[name] = image.mode
            assert name == "night_panel.png" or image.size == (37, 21)
    assert modes["night_illumination.png"] == modes["night_relit.png"] == "L"
    assert modes["night_reflectance.png"] == modes["night_enhanced.png"] == "RGB"


def test_decompose_agrees_with_enhance_and_replaces_nothing(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "night.png")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "night_panel.png").write_text("precious")
    assert run("decompose", "night.png", "--out", "maps")[0] == 0
    assert run("enhance", "night.png", "--out", "bright.png")[0] == 0
    assert (tmp_path / "maps" / "night_panel.png").read_text() == "precious"
    with Image.open(tmp_path / "maps" / "night_enhanced.png") as a, Image.open(tmp_path / "bright.png") as b:
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
