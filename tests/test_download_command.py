"""``lowlight download``: what it prints and how it ends."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from lowlight_cli.core.data import downloads, transfer
from lowlight_cli.core.data.inspection import Part

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """LOL with two pairs, and a mirror at which nobody listens."""
    nobody = downloads.Mirror("Nobody", "http://127.0.0.1:9/lol.zip")
    source = replace(downloads.LOL, parts=(Part("our485", 1), Part("eval15", 1)), mirrors=(nobody,))
    monkeypatch.setitem(downloads.SOURCES, "lol", source)
    monkeypatch.setattr(transfer, "PATIENCE", ())
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "LOLdataset.zip"
    with zipfile.ZipFile(path, "w") as file:
        for part, name in (("our485", 2), ("eval15", 1)):
            for side, value in (("low", 10), ("high", 100)):
                picture = io.BytesIO()
                Image.new("RGB", (8, 8), (value, value, value)).save(picture, "PNG")
                file.writestr(f"LOLdataset/{part}/{side}/{name}.png", picture.getvalue())
    return path


def test_archive_given_by_hand(lowlight: Run, archive: Path, tmp_path: Path) -> None:
    code, out, err = lowlight("download", "lol", "--data", tmp_path / "data", "--archive", archive)
    assert (code, out) == (0, "")
    assert f"{tmp_path / 'data' / 'lol'} has 2 pairs" in err
    code, _, err = lowlight("download", "--data", tmp_path / "data")
    assert code == 0 and "is there already: 2 pairs" in err


def test_nobody_answers(lowlight: Run, tmp_path: Path) -> None:
    code, out, err = lowlight("download", "lol", "--data", tmp_path)
    assert (code, out) == (1, "")
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 2 and lines[0].startswith("Nobody: ")
    assert lines[1].startswith("error: lol: ") and "--archive FILE.zip" in lines[1]


def test_unknown_data_set(lowlight: Run) -> None:
    code, _, err = lowlight("download", "imagenet")
    assert code == 2 and "lol" in err and "Traceback" not in err


def test_list_says_what_there_is_and_what_is_here(lowlight: Run, archive: Path, tmp_path: Path) -> None:
    for here in ("no", "yes"):
        code, out, _ = lowlight("download", "--list", "--data", tmp_path / "data")
        assert code == 0
        rows = [line for line in out.splitlines() if "│ lol " in line]
        assert len(rows) == 1 and rows[0].rstrip("│ ").endswith(here) and "347 MB" in rows[0]
        lowlight("download", "--data", tmp_path / "data", "--archive", archive)


def test_several_names_and_one_that_fails(lowlight: Run, archive: Path, tmp_path: Path) -> None:
    lowlight("download", "--data", tmp_path, "--archive", archive)
    code, _, err = lowlight("download", "lol", "synthetic", "--check", "--data", tmp_path)
    assert code == 1
    assert "is there already: 2 pairs" in err and "no synthetic to check" in err


def test_check_that_finds_a_fault(lowlight: Run, archive: Path, tmp_path: Path) -> None:
    lowlight("download", "--data", tmp_path, "--archive", archive)
    (tmp_path / "lol" / "eval15" / "high" / "1.png").write_bytes(b"")
    code, _, err = lowlight("download", "--check", "--data", tmp_path)
    assert code == 1
    assert err.count("error: ") == 2 and "1.png: the file is empty" in err and "move it away" in err


def test_one_archive_for_two_names(lowlight: Run, archive: Path) -> None:
    code, _, err = lowlight("download", "lol", "synthetic", "--archive", archive)
    assert code == 2 and "give one name" in err


def test_a_folder_s_name_is_no_markup(lowlight: Run, tmp_path: Path) -> None:
    code, out, _ = lowlight("download", "--list", "--data", tmp_path / "x[" / "]y[old]")
    assert code == 0
    assert "]y[old]" in "".join(out.split())
