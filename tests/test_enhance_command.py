"""``lowlight enhance`` and ``lowlight decompose`` as people run them."""

import _thread
import contextlib
import errno
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, JpegImagePlugin
from test_colour import CASES

from lowlight_cli import Enhancer
from lowlight_cli.app import main
from lowlight_cli.core import checkpoints
from lowlight_cli.core.enhancing import jobs
from lowlight_cli.core.enhancing.look import Look
from lowlight_cli.core.errors import LowlightError
from lowlight_cli.core.networks import RetinexNet
from lowlight_cli.core.pictures import decoding, images
from lowlight_cli.core.pictures.encoding import Encoding
from lowlight_cli.core.pictures.metadata import Origin
from lowlight_cli.core.pictures.picture import from_array

ADOBE_RGB = CASES["Adobe RGB"]

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

    def command(name: str, *arguments: object, use: object = model) -> tuple[int, list[str]]:
        with pytest.raises(SystemExit) as left:
            main([name, "--model", str(use), "--device", "cpu", *map(str, arguments)])
        said = capfd.readouterr()
        command.said = said.out  # type: ignore[attr-defined]
        return int(left.value.code or 0), said.err.splitlines()

    command.model = model  # type: ignore[attr-defined]
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
    assert talk == [
        "error: photos/b.png: not a picture, whatever its name says, or its beginning is damaged",
        "2 done, 1 failed: bright",
    ]
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


def said(run: Run) -> str:
    """What the last command printed on standard output."""
    return run.said  # type: ignore[attr-defined,no-any-return]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_json_is_one_line_a_picture(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png")
    (tmp_path / "photos" / "b.png").write_bytes(b"no picture")
    (tmp_path / "bright").mkdir()
    assert run("enhance", "photos", "--out", "bright", "--json")[0] == 1
    done, failed = sorted((json.loads(line) for line in said(run).splitlines()), key=lambda line: line["input"])
    assert done["input"] == str(Path("photos/a.png"))
    assert done["output"] == str(Path("bright/a.png"))
    assert (done["status"], done["width"], done["height"], done["model"]) == ("done", 37, 21, "tiny")
    assert done["seconds"] > 0
    assert done["brightness_before"] == pytest.approx(
        Image.open("photos/a.png").convert("L").resize((1, 1), 4).getpixel((0, 0)) / 255, abs=0.01
    )  # type: ignore[operator]
    assert 0 <= done["brightness_after"] <= 1
    assert failed["status"] == "failed"
    assert "not a picture" in failed["error"]


def test_what_is_named_like_a_result_is_skipped_and_said(run: Run, tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / f"{number:02}.jpg")
    originals = [f"{number:02}.jpg" for number in range(12)]
    assert run("enhance", *originals)[0] == 0
    everything = names(tmp_path)
    code, talk = run("enhance", *everything, "--overwrite")
    assert code == 0 and names(tmp_path) == everything
    assert talk[0] == "skipped: 00_bright.jpg, by its name a result of 00.jpg"
    assert talk[10:] == ["skipped: 2 more of that kind", "12 done, 12 skipped: this folder"]
    assert run("enhance", "00.jpg", "00_bright.jpg", "--dry-run")[0] == 0
    assert said(run).splitlines() == [
        "00.jpg -> 00_bright.jpg (exists: skipped)",
        "00_bright.jpg: skipped, by its name a result of 00.jpg",
    ]
    assert run("enhance", "00.jpg", "00_bright.jpg", "--json")[0] == 0
    reasons = {line["input"]: line["reason"] for line in map(json.loads, said(run).splitlines())}
    assert reasons == {"00.jpg": "its results exist", "00_bright.jpg": "by its name a result of 00.jpg"}


def test_compare_shows_pictures_that_are_much_higher_than_wide(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png", size=(9, 66000))
    assert run("enhance", "a.png", "--compare")[0] == 0
    with Image.open(tmp_path / "a_bright_compare.jpg") as image:
        assert image.height < 30_000


def test_compare_writes_before_and_after(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.jpg")
    assert run("enhance", "a.jpg", "--compare")[0] == 0
    assert names(tmp_path) == ["a.jpg", "a_bright.jpg", "a_bright_compare.jpg"]
    with Image.open(tmp_path / "a_bright_compare.jpg") as image:
        assert image.width > 2 * 37
    (tmp_path / "a_bright.jpg").unlink()
    (tmp_path / "a_bright_compare.jpg").write_text("precious")
    assert run("enhance", "a.jpg", "--compare")[0] == 0
    assert (tmp_path / "a_bright_compare.jpg").read_text() == "precious"
    assert (tmp_path / "a_bright.jpg").exists()


def test_dry_run_says_what_and_does_nothing(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png")
    save(tmp_path / "photos" / "b.png")
    save(tmp_path / "bright" / "b.png")
    before = names(tmp_path)
    assert "no model nonesuch" in run("enhance", "photos", "--dry-run", use="nonesuch")[1][0]
    assert "no model nonesuch" in run("decompose", "photos", "--dry-run", use="nonesuch")[1][0]
    for command in ("enhance", "decompose"):
        assert "cuda:7" in run(command, "photos", "--dry-run", "--device", "cuda:7")[1][0]
    unread = tmp_path.parent / "unread.safetensors"
    unread.touch()
    code, talk = run("enhance", "photos", "missing.png", "--out", "bright", "--dry-run", use=unread)
    assert code == 1
    assert said(run).splitlines() == [
        "photos/a.png -> bright/a.png",
        "photos/b.png -> bright/b.png (exists: skipped)",
    ]
    assert talk == ["error: missing.png: no such file or folder"]
    assert names(tmp_path) == before
    assert run("decompose", "photos/a.png", "--dry-run")[0] == 0
    run("enhance", "photos", "missing.png", "--out", "bright", "--dry-run", "--json", use=unread)
    lines = [json.loads(line) for line in said(run).splitlines()]
    assert [(line["output"], line["status"]) for line in lines] == [
        ("bright/a.png", "planned"),
        ("bright/b.png", "skipped"),
        (None, "failed"),
    ]
    assert names(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminals there")
@pytest.mark.parametrize("piped", [True, False])
def test_a_terminal_gets_the_bar_and_a_pipe_the_json(model: Path, tmp_path: Path, piped: bool) -> None:
    import pty

    names = [save(tmp_path / f"{'n' * 90}{number}.png").name for number in range(2)]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "lowlight_cli", "enhance", *names, "--out", "bright", "--json"]
    shown = b""
    with subprocess.Popen(
        [*command, "--model", str(model), "--device", "cpu"],
        cwd=tmp_path,
        stdout=subprocess.PIPE if piped else theirs,
        stderr=theirs,
        text=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "60"},
    ) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # which Linux raises at the end of a terminal
            while part := os.read(ours, 65536):
                shown += part
        os.close(ours)
        said = process.communicate()[0] if piped else re.sub(r"\x1b\[[0-9?]*[a-zA-Z]", "", shown.decode())
    assert process.returncode == 0, shown
    assert b"\x1b[" in shown  # the bar
    lines = [line[line.index("{") :] for line in said.splitlines() if '"input"' in line]
    assert [json.loads(line[: line.rindex("}") + 1])["input"] for line in lines] == names


def test_format_suffix_and_depth(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.jpg")
    assert run("enhance", "photos", "--out", "o", "--format", "png", "--suffix", "_lit", "--depth", "16")[0] == 0
    assert names(tmp_path / "o") == ["a_lit.png"]
    assert images.read(tmp_path / "o" / "a_lit.png").samples.dtype == torch.uint16
    assert run("enhance", "o/a_lit.png", "--out", "same.tif")[0] == 0
    assert images.read(tmp_path / "same.tif").samples.dtype == torch.uint16
    assert run("enhance", "o/a_lit.png", "--out", "less.tif", "--depth", "8")[0] == 0
    assert images.read(tmp_path / "less.tif").samples.dtype == torch.uint8


def test_dark_sixteen_bit_files_are_dark(run: Run, tmp_path: Path) -> None:
    """The brightest value says nothing about the range."""
    images.write(tmp_path / "dark.png", from_array(np.full((20, 30, 3), 200, np.uint16)))
    images.write(tmp_path / "bytes.png", from_array(np.full((20, 30, 3), round(200 / 257), np.uint8)))
    assert run("enhance", "dark.png", "bytes.png", "--out", "o")[0] == 0
    deep, shallow = (images.read(tmp_path / "o" / name).pixels for name in ("dark.png", "bytes.png"))
    assert (deep - shallow).abs().max() < 2 / 255


def test_strength_zero_returns_the_input_bit_for_bit(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert run("enhance", "a.png", "--out", "b.png", "--strength", "0")[0] == 0
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))
    assert run("enhance", "a.png", "--out", "c.png", "--strength", "1.6")[0] == 2


def test_a_comparison_shows_colours_as_the_profile_has_them(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), (234, 51, 35)).save(tmp_path / "a.png", icc_profile=CASES["Display P3"])  # sRGB's red
    assert run("enhance", "a.png", "--compare", "--strength", "0")[0] == 0
    with Image.open(tmp_path / "a_bright_compare.jpg") as image:
        colour = np.asarray(image)[40:60, 20:50].mean(axis=(0, 1))
    assert np.abs(colour - (255, 0, 0)).max() < 8


def test_a_profile_is_honoured_and_kept(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "plain.png")
    save(tmp_path / "wide.png", icc_profile=ADOBE_RGB)
    assert run("enhance", "plain.png", "wide.png", "--out", "o")[0] == 0
    with Image.open(tmp_path / "o" / "wide.png") as image:
        assert image.info["icc_profile"] == ADOBE_RGB
    assert (pixels(tmp_path / "o" / "plain.png") != pixels(tmp_path / "o" / "wide.png")).any()


def test_orientation_is_applied_once(run: Run, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "a.jpg", exif=exif)
    assert run("enhance", "a.jpg", "--out", "b.jpg")[0] == 0
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.size == (21, 37)
        assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("bytes_in", [True, False])
@pytest.mark.parametrize("bytes_out", [True, False])
def test_pipes(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_in: bool, bytes_out: bool) -> None:
    save(tmp_path / "a.jpg")
    assert run("enhance", "a.jpg", "--out", "expected.jpg")[0] == 0
    given, received = io.BytesIO((tmp_path / "a.jpg").read_bytes()), io.BytesIO()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=given))
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=received, isatty=lambda: False))
    with contextlib.suppress(SystemExit):
        main(
            ["enhance", "-" if bytes_in else "a.jpg", "--out", "-" if bytes_out else "b.jpg", "--model", str(run.model)]
        )  # type: ignore[attr-defined]
    found = received.getvalue() if bytes_out else (tmp_path / "b.jpg").read_bytes()
    assert found == (tmp_path / "expected.jpg").read_bytes()


@pytest.mark.parametrize(("source", "out"), [("a.jpg", "b.jpg"), ("-", "b.jpg"), ("a.jpg", "-")])
def test_a_jpeg_is_encoded_as_asked_for_through_pipes_too(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, out: str
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    save(tmp_path / "a.jpg", size=(64, 64), quality=95, subsampling=0, exif=exif)
    received = io.BytesIO()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO((tmp_path / "a.jpg").read_bytes())))
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=received, isatty=lambda: False))
    assert run("enhance", source, "--out", out, "--strip", "--quality", 40, "--subsampling", "420")[0] == 0
    with Image.open(received if out == "-" else tmp_path / out) as image:
        assert 0x010F not in image.getexif()
        assert JpegImagePlugin.get_sampling(image) == 2
        assert image.quantization[0][0] > 10


class Pipe(io.BytesIO):
    """A stream that cannot go back."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError(29, "Illegal seek")

    def seek(self, *_: int) -> int:
        raise OSError(29, "Illegal seek")


@pytest.mark.parametrize("suffix", ["tif", "jp2", "png"])
def test_a_pipe_takes_every_format(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    save(tmp_path / "a.png")
    assert run("enhance", "a.png", "--out", f"expected.{suffix}")[0] == 0
    received = Pipe()
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=received, isatty=lambda: False))
    with contextlib.suppress(SystemExit):
        main(["enhance", "a.png", "--out", "-", "--format", suffix, "--model", str(run.model)])  # type: ignore[attr-defined]
    assert received.getvalue() == (tmp_path / f"expected.{suffix}").read_bytes()


def test_camera_raw_leaves_a_pipe_as_tiff(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.nef").write_bytes(b"raw")
    values = np.full((16, 24, 3), 5000, dtype=np.uint16)
    monkeypatch.setattr(decoding, "developed", lambda _: from_array(values, Origin(kind="TIFF")))
    received = Pipe()
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=received, isatty=lambda: False))
    with contextlib.suppress(SystemExit):
        main(["enhance", "a.nef", "--out", "-", "--model", str(run.model)])  # type: ignore[attr-defined]
    assert received.getvalue().startswith(b"II*\0")


def test_relative_and_absolute_names_together(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "there" / "b.png")
    code, talk = run("enhance", "a.png", tmp_path / "there" / "b.png")
    assert (code, len(talk)) == (0, 1)
    assert talk[0].startswith("2 done")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_a_pipe_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.jpg")
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123
        monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=full, isatty=lambda: False))
        code, talk = run("enhance", "a.jpg", "--out", "-")
    assert (code, len(talk)) == (1, 1)
    assert "standard output" in talk[0] and "--out" in talk[0]


def test_a_pipe_that_takes_a_part_at_a_time_gets_all(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As standard output does with PYTHONUNBUFFERED."""
    save(tmp_path / "a.png")
    assert run("enhance", "a.png", "--out", "expected.png")[0] == 0
    received = Pipe()
    slow = SimpleNamespace(write=lambda some: received.write(some[:100]), flush=lambda: None)
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=slow, isatty=lambda: False))
    with contextlib.suppress(SystemExit):
        main(["enhance", "a.png", "--out", "-", "--model", str(run.model)])  # type: ignore[attr-defined]
    assert received.getvalue() == (tmp_path / "expected.png").read_bytes()


def test_a_file_that_may_not_be_read_stops_no_other(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.jpg")
    access, opened = os.access, Path.open
    monkeypatch.setattr("os.access", lambda path, *how: "b.jpg" not in str(path) and access(path, *how))

    def closed(path: Path, *how: object, **more: object) -> object:
        if path.name == "b.jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", closed)
    code, talk = run("enhance", "a.jpg", "b.jpg", "c.jpg", "--out", "out")
    assert code == 1
    assert talk[0].startswith("error: b.jpg") and talk[-1].startswith("2 done, 1 failed")


def test_nothing_lies_beside_the_root(run: Run, tmp_path: Path) -> None:
    root = Path(tmp_path.anchor)
    with pytest.raises(images.PictureError, match="with --out"):
        jobs.place(jobs.Source(root / "x.jpg", root, Path("x.jpg")), None, "_bright", ".jpg")


@pytest.mark.parametrize(("letters", "shown"), [("cp1252", "M\xfchle \\u5199"), ("ascii", "M\\xfchle \\u5199")])
def test_a_plan_for_those_of_few_letters(tmp_path: Path, model: Path, letters: str, shown: str) -> None:
    save(tmp_path / "Mühle 写.png")
    command = [sys.executable, "-m", "lowlight_cli", "enhance", "Mühle 写.png", "--dry-run", "--model", str(model)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": letters}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout.decode(letters)


def test_a_pipe_takes_one_picture(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.jpg")
    code, talk = run("enhance", "-", "a.jpg")
    assert (code, len(talk)) == (2, 1)


def test_shards_share_the_work_out(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcde":
        save(tmp_path / "photos" / f"{name}.png")
    assert run("enhance", "photos", "--out", "o", "--shard", "2/3")[0] == 0
    assert names(tmp_path / "o") == ["b.png", "e.png"]
    for variable, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(variable, value)
    assert run("enhance", "photos", "--out", "o")[0] == 0
    assert names(tmp_path / "o") == ["a.png", "b.png", "d.png", "e.png"]
    assert run("enhance", "photos", "--out", "o", "--shard", "4/3")[0] == 2
    code, talk = run("enhance", "photos", "--out", "o", "--watch")
    assert code == 2 and "watch waits for others: start one" in talk[-1]


def test_what_one_shard_has_made_does_not_shift_another(run: Run, tmp_path: Path) -> None:
    for name in "abcd":
        save(tmp_path / f"{name}.png")
    for shard in ("1/2", "2/2"):
        given = [path.name for path in sorted(tmp_path.glob("*.png"))]
        assert run("enhance", *given, "--shard", shard)[0] == 0
    assert names(tmp_path) == sorted(f"{name}{end}.png" for name in "abcd" for end in ("", "_bright"))


def test_patterns_that_no_shell_has_expanded(run: Run, tmp_path: Path) -> None:
    for name in ("a1.png", "a2.png", "b.png"):
        save(tmp_path / name)
    assert run("enhance", "a*.png", "--out", "o")[0] == 0
    assert names(tmp_path / "o") == ["a1.png", "a2.png"]


def test_a_second_run_does_only_what_is_missing(run: Run, tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "photos" / f"{name}.png")
    assert run("enhance", "photos", "--out", "o")[0] == 0
    (tmp_path / "o" / "b.png").unlink()
    stamp = (tmp_path / "o" / "a.png").stat().st_mtime_ns
    code, talk = run("enhance", "photos", "--out", "o")
    assert code == 0
    assert talk == ["1 done, 2 skipped: o (--overwrite replaces what exists)"]
    assert (tmp_path / "o" / "a.png").stat().st_mtime_ns == stamp


def test_results_beside_their_inputs_are_not_enhanced_again(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert run("enhance", "*.png")[0] == 0
    assert run("enhance", "*.png")[0] == 0
    assert names(tmp_path) == ["a.png", "a_bright.png"]


def test_ctrl_c_leaves_whole_files_and_says_how_far_it_came(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        save(tmp_path / "photos" / f"{name}.png")
    calls = []

    def interrupted(net: RetinexNet, image: torch.Tensor) -> torch.Tensor:
        calls.append(image)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return forward(net, image)

    forward = RetinexNet.forward
    monkeypatch.setattr(RetinexNet, "forward", interrupted)
    code, talk = run("enhance", "photos", "--out", "o")
    assert code == 130
    assert talk == ["stopped: 2 done, 2 not tried: o"]
    assert names(tmp_path / "o") == ["a.png", "b.png"]
    for name in names(tmp_path / "o"):
        assert pixels(tmp_path / "o" / name).shape == (21, 37, 3)


def test_a_full_disk_ends_the_job(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        save(tmp_path / "photos" / f"{number:02}.png")
    calls, fsync = [], os.fsync

    def full(file: int) -> None:
        calls.append(file)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full)
    code, talk = run("enhance", "photos", "--out", "o")
    assert code == 1 and names(tmp_path / "o") == ["00.png"]
    assert all("No space left on device: make room" in line for line in talk[:-1])
    failed = len(talk) - 1
    assert failed < 15 and talk[-1] == f"stopped: 1 done, {failed} failed, {29 - failed} not tried: o/00.png"


def test_ctrl_c_while_the_bar_is_drawn_counts_what_is_being_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        save(tmp_path / "photos" / f"{name}.png")
    moves, write = [], images.write

    def at(*_: object, **__: object) -> None:
        moves.append(1)
        if len(moves) == 2:  # the second picture is computed, and neither is written yet
            raise KeyboardInterrupt

    def slow(*given: Any) -> None:
        time.sleep(0.5)
        write(*given)

    monkeypatch.setattr("lowlight_cli.console.Counter.at", at)
    monkeypatch.setattr(images, "write", slow)
    code, talk = run("enhance", "photos", "--out", "o", "--json")
    done = [json.loads(line)["output"] for line in said(run).splitlines()]
    assert code == 130 and done == [f"o/{name}" for name in names(tmp_path / "o")] != []
    assert talk[0].startswith(f"stopped: {len(done)} done, {4 - len(done)} not tried: o")


def test_ctrl_c_while_the_bar_counts_a_picture_loses_no_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a.png")

    def at(_: object, done: float, what: str | None = None) -> None:
        if what is None and done == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("lowlight_cli.console.Counter.at", at)
    code, talk = run("enhance", "a.png", "--out", "b.png", "--json")
    assert code == 130 and talk[0] == "stopped: 1 done: b.png"
    assert json.loads(said(run))["output"] == "b.png"


def test_ctrl_c_while_the_last_picture_is_written_does_not_lose_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a.png")
    write = images.write

    def slow(*given: Any) -> None:
        time.sleep(1)
        _thread.interrupt_main()  # which waits for this by now
        time.sleep(0.2)
        write(*given)

    monkeypatch.setattr(images, "write", slow)
    code, talk = run("enhance", "a.png", "--out", "b.png", "--json")
    assert code == 130 and talk[0] == "stopped: 1 done: b.png"
    assert json.loads(said(run))["output"] == "b.png" and names(tmp_path) == ["a.png", "b.png"]


@pytest.mark.parametrize("place", ["", "linked"])
def test_watch_enhances_what_arrives(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    pytest.importorskip("watchdog")
    (tmp_path / "photos").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "other")
    monkeypatch.setattr("lowlight_cli.core.enhancing.watch.QUIET", 0.1)
    save(tmp_path / "photos" / "first.png")
    save(tmp_path / "elsewhere" / "second.png")
    finished: list[str] = []

    def arriving() -> None:
        wait_for(tmp_path / "o" / "first.png")
        (tmp_path / "elsewhere" / "second.png").rename(tmp_path / "photos" / place / "second.png")
        wait_for(tmp_path / "o" / place / "second.png")
        finished.append("both")
        stamp = (tmp_path / "o/first.png").stat().st_mtime_ns
        save(tmp_path / "photos" / "first.png", size=(20, 21))
        save(tmp_path / "photos" / "third.png")
        wait_for(tmp_path / "o" / "third.png")
        assert (tmp_path / "o/first.png").stat().st_mtime_ns == stamp
        finished.append("kept")
        _thread.interrupt_main()

    helper = threading.Thread(target=arriving)
    helper.start()
    code, talk = run("enhance", "photos", "--out", "o", "--watch")
    helper.join()
    assert code == 130
    assert finished == ["both", "kept"]
    assert sorted(path.name for path in (tmp_path / "o").rglob("*.png")) == ["first.png", "second.png", "third.png"]
    changed = f"{Path('photos/first.png')} has changed, its result is kept: --overwrite replaces it"
    assert talk.count(changed) == 1


def wait_for(path: Path) -> None:
    for _ in range(1200):
        if path.exists():
            return
        time.sleep(0.05)
    _thread.interrupt_main()


def test_watch_without_its_package_names_the_extra(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "photos" / "a.png")
    monkeypatch.setitem(sys.modules, "watchdog.events", None)
    code, talk = run("enhance", "photos", "--out", "o", "--watch")
    assert code == 1
    assert "pip install 'lowlight[watch]'" in talk[-1]


@pytest.mark.parametrize(("kind", "files"), [("png16", 5), ("tiff", 5), ("npz", 2)])
def test_maps_in_other_kinds_of_files(run: Run, tmp_path: Path, kind: str, files: int) -> None:
    save(tmp_path / "night.png")
    assert run("decompose", "night.png", "--out", "maps", "--maps", kind)[0] == 0
    assert len(names(tmp_path / "maps")) == files
    truth = Enhancer(str(run.model), "cpu").decompose(tmp_path / "night.png")  # type: ignore[attr-defined]
    for name, expected in zip(("reflectance", "illumination", "relit"), truth, strict=True):
        wanted = expected.permute(1, 2, 0).numpy()
        match kind:
            case "npz":
                found, tolerance = np.load(tmp_path / "maps" / "night_maps.npz")[name], 0.0
            case "tiff":
                found, tolerance = tifffile.imread(tmp_path / "maps" / f"night_{name}.tif"), 0.0
            case _:
                samples = images.read(tmp_path / "maps" / f"night_{name}.png").samples
                found, tolerance, wanted = samples.permute(1, 2, 0).numpy() / 65535, 0.51 / 65535, wanted.clip(0, 1)
        np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=0, atol=tolerance + 1e-7)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--out", "bright"], "give --out a file"),
        (["--out", "x.png", "--format", "jpg"], "another format than its name says"),
        (["--out", "x.png", "--json"], "leave out --json"),
        (["--out", "x.png", "--compare"], "leave out --compare"),
        (["--out", "x.png", "--suffix", "_x"], "leave out --suffix"),
        (["--out", "x.png", "--shard", "2/2"], "leave out --shard"),
    ],
)
def test_a_pipe_refuses_what_it_cannot_do(run: Run, tmp_path: Path, arguments: list[str], reason: str) -> None:
    (tmp_path / "bright").mkdir()
    code, said = run("enhance", "-", *arguments)
    assert code in (1, 2)
    assert len(said) == 1
    assert reason in said[0]
    assert names(tmp_path) == []


def test_a_dry_run_of_a_pipe_writes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "keep.jpg").write_bytes(b"mine")
    assert run("enhance", "-", "--dry-run", "--overwrite", "--out", "keep.jpg") == (0, [])
    assert said(run) == "- -> keep.jpg\n"
    assert (tmp_path / "keep.jpg").read_bytes() == b"mine"


def test_a_name_that_is_too_long_fails_alone(run: Run, tmp_path: Path) -> None:
    """It can be read, but has no room for _bright; one that just fits is written."""
    for name in ("a", "n" * 245, "z" * 240):
        save(tmp_path / "in" / f"{name}.png")
    code, said = run("enhance", *(tmp_path / "in").iterdir())
    assert code == 1
    assert len(said) == 2
    assert "too long" in said[0].lower()
    assert len(names(tmp_path / "in")) == 5


def test_a_suffix_is_no_path(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    code, said = run("enhance", "a.png", "--suffix", "a/b")
    assert code == 2
    assert len(said) == 1
    assert "suffix" in said[0]
    assert names(tmp_path) == ["a.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text elsewhere")
def test_a_name_that_is_no_text(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    save(folder / os.fsdecode(b"caf\xe9.png"))
    assert run("enhance", folder, "--out", "out", "--dry-run")[0] == 0
    assert "caf?.png" in said(run)
    assert run("enhance", folder, "--out", "out")[0] == 0
    assert [os.fsencode(path.name) for path in (tmp_path / "out").iterdir()] == [b"caf\xe9.png"]


@pytest.mark.parametrize("command", ["enhance", "decompose"])
def test_how_to_compute_reaches_the_enhancer(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def seen(*_: object, **how: object) -> None:
        raise LowlightError(str(sorted(how.items())))

    monkeypatch.setattr("lowlight_cli.core.enhancing.enhancer.Enhancer", seen)
    save(tmp_path / "night.png")
    code, said = run(command, "night.png", "--precision", "bf16", "--tile", 64, "--ensemble")
    assert (code, said) == (1, ["error: [('ensemble', True), ('precision', 'bf16'), ('tile', 64)]"])


def test_look_and_encoding_reach_the_batch(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(_: object, __: object, *how: object, **___: object) -> None:
        raise LowlightError(str(how))

    monkeypatch.setattr("lowlight_cli.core.enhancing.batch.enhance", seen)
    save(tmp_path / "a.jpg")
    look = ("--strength", 0.5, "--denoise", "light", "--protect-highlights", "--shadows", 0.25)
    stored = ("--quality", 80, "--subsampling", "420", "--depth", "8", "--strip")
    expected = Look(0.5, "light", True, 0.25), Encoding(80, "420", "8", True)
    assert run("enhance", "a.jpg", *look, *stored) == (1, [f"error: {expected}"])


def test_threads_are_as_many_as_asked_for(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    save(tmp_path / "a.png")
    assert run("enhance", "a.png", "--threads", 3)[0] == 0
    assert seen == [3]


def test_a_comparison_shows_the_result_that_is_there(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert run("enhance", "a.png", "--out", "o", "--strength", 0.1)[0] == 0
    before = (tmp_path / "o/a.png").read_bytes()
    assert run("enhance", "a.png", "--out", "o", "--compare")[0] == 0
    assert (tmp_path / "o/a.png").read_bytes() == before
    assert run("enhance", "a.png", "--out", "p", "--compare", "--strength", 0.1)[0] == 0
    np.testing.assert_array_equal(pixels(tmp_path / "o/a_compare.jpg"), pixels(tmp_path / "p/a_compare.jpg"))


def test_what_was_there_is_said_to_be_kept(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert run("enhance", "a.png", "--out", "o")[0] == 0
    code, talk = run("enhance", "a.png", "--out", "o", "--compare", "--json")
    assert code == 0 and talk[0] == f"kept: {Path('o/a.png')}, which was there"
    assert talk[1].endswith("(--overwrite replaces what exists)")
    line = json.loads(run.said)  # type: ignore[attr-defined]
    assert (line["status"], line["model"], line["kept"]) == ("done", None, [str(Path("o/a.png"))])
    assert run("decompose", "a.png", "--out", "m")[1] == ["1 done: m"]
    code, talk = run("decompose", "a.png", "--out", "m", "--maps", "tiff", "--json")
    assert code == 0 and talk[0] == f"kept: {Path('m/a_panel.png')}, which was there"
    line = json.loads(run.said)  # type: ignore[attr-defined]
    assert (line["model"], line["kept"]) == (run.model.stem, [str(Path("m/a_panel.png"))])  # type: ignore[attr-defined]
    assert "kept" not in "".join(run("enhance", "a.png", "--out", "o", "--compare", "--overwrite")[1])


def test_every_kind_of_picture_in_a_folder_is_seen(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "in/still.gif")
    save(tmp_path / "in/old.jpe", format="JPEG")
    first, second = (Image.open(save(tmp_path / f"{name}.png")) for name in "ab")
    first.save(tmp_path / "in/3d.mpo", "MPO", save_all=True, append_images=[second])
    code, talk = run("enhance", "in", "--out", "o")
    assert (code, talk) == (0, ["3 done: o"])
    assert names(tmp_path / "o") == ["3d.jpg", "old.jpe", "still.png"]
    with Image.open(tmp_path / "o/3d.jpg") as image:
        assert image.format == "JPEG"


def test_names_that_would_be_those_of_the_pictures_are_refused_once(run: Run, tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / f"in/{name}.png")
    code, talk = run("enhance", "in", "--suffix", "", "--overwrite")
    assert code == 1 and len(talk) == 1 and talk[0].endswith("choose --suffix or --out")
    assert run("enhance", "in/a.png", "--suffix", "", "--format", "jpg")[0] == 0
    save(tmp_path / "in/c.gif")
    assert run("enhance", "in/c.gif", "--suffix", "")[0] == 0
    assert names(tmp_path / "in") == ["a.jpg", "a.png", "b.png", "c.gif", "c.png"]


def test_a_jpeg_beside_its_mpo_is_enough(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "in/a.jpg")
    with Image.open(save(tmp_path / "b.png")) as image:
        image.save(tmp_path / "in/a.mpo", "MPO", save_all=True, append_images=[image])
    code, talk = run("enhance", "in", "--out", "o")
    assert (code, names(tmp_path / "o")) == (0, ["a.jpg"])
    assert talk[0] == f"skipped: {Path('in/a.mpo')}, another picture has that name"


@pytest.mark.parametrize("command", ["enhance", "decompose"])
def test_a_model_whose_enhance_net_was_never_trained_is_named(run: Run, tmp_path: Path, command: str) -> None:
    checkpoints.save(RetinexNet(width=4), tmp_path / "half.safetensors", {"phase": "decom"})
    save(tmp_path / "a.png")
    code, talk = run(command, "a.png", "--out", "o", use="half.safetensors")
    assert code == 0 and talk[0].startswith("half.safetensors: its Enhance-Net was never trained")


def test_maps_of_a_pipe_are_refused(run: Run) -> None:
    code, talk = run("decompose", "-", "--out", "maps")
    assert code == 2 and talk[0].startswith("error: - is for enhance")


@pytest.mark.parametrize("there", [False, True])
def test_a_pipe_needs_the_name_of_a_file(run: Run, tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "folder").mkdir()
    code, talk = run("enhance", "-", "--out", "folder/")
    assert code == 2 and "a picture from standard input has no name: give --out a file" in talk[0]


def test_earlier_results_are_no_input_wherever_results_go(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "in/night.jpg")
    assert run("enhance", "in/night.jpg")[0] == 0
    for command in ("enhance", "decompose"):
        code, talk = run(command, "in", "--out", command)
        assert code == 0 and "skipped: in/night_bright.jpg, by its name a result of night.jpg" in talk
        assert not [name for name in names(tmp_path / command) if "bright" in name]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("gone.png", "no such file or folder"),
        ("folder", "a folder, and - stands for one picture: give --out a folder"),
    ],
)
def test_a_dry_run_with_a_pipe_tells_what_would_fail(run: Run, tmp_path: Path, given: str, fault: str) -> None:
    (tmp_path / "folder").mkdir()
    assert run("enhance", given, "--out", "-", "--dry-run") == (1, [f"error: {given}: {fault}"])


def test_maps_are_not_written_into_a_folder_called_minus(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    code, talk = run("decompose", "a.png", "--out", "-")
    assert code == 2 and "- is standard output" in talk[-1]
    assert not (tmp_path / "-").exists()


def test_a_missing_comparison_costs_no_network(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def computing(*_: object, **__: object) -> None:
        raise AssertionError

    save(tmp_path / "a.png")
    assert run("enhance", "a.png", "--out", "o")[0] == 0
    monkeypatch.setattr(Enhancer, "enhanced", computing)
    assert run("enhance", "a.png", "--out", "o", "--compare")[0] == 0
    assert (tmp_path / "o/a_compare.jpg").exists()


def test_a_comparison_beside_its_picture_is_no_input_of_any_later_run(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "in/night.jpg")
    assert run("enhance", "in/night.jpg", "--compare") == (
        0,
        ["1 done: in/night_bright.jpg and in/night_bright_compare.jpg"],
    )
    for more in ([], ["--out", "out"]):
        code, talk = run("enhance", "in", *more)
        assert code == 0 and talk[0].startswith("skipped: in/night_bright.jpg, by its name a result of night.jpg")
        assert talk[1].startswith("skipped: in/night_bright_compare.jpg, by its name a result of night.jpg")


def test_maps_are_not_decomposed_again_elsewhere(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "in/night.jpg")
    assert run("decompose", "in")[0] == 0
    code, talk = run("decompose", "in", "--out", "out")
    assert code == 0 and "skipped: in/night_panel.png, a map that decompose made" in talk
    assert all(name.startswith("night_") and name.count("_") == 1 for name in names(tmp_path / "out"))


def test_a_result_from_a_pipe_is_named_and_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.jpg")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO((tmp_path / "a.jpg").read_bytes())))
    assert run("enhance", "-", "--out", "b.jpg") == (0, ["1 done: b.jpg"])
    (tmp_path / "b.jpg").write_text("precious")
    assert run("enhance", "-", "--out", "b.jpg") == (0, ["b.jpg exists, skipped: use --overwrite to replace it"])
    assert (tmp_path / "b.jpg").read_text() == "precious"


def test_sixteen_bits_from_a_pipe_need_a_format_that_holds_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a.jpg")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO((tmp_path / "a.jpg").read_bytes())))
    code, talk = run("enhance", "-", "--out", "b.jpg", "--depth", "16")
    assert code == 2 and "JPEG holds 8 bits per channel" in talk[0]
    assert names(tmp_path) == ["a.jpg"]


def test_what_cannot_be_watched_is_not_announced(run: Run) -> None:
    code, talk = run("enhance", "gone", "--watch")
    assert code == 1 and len(talk) == 1 and "watching" not in talk[0]
