"""The README is true: every command in it runs, every option in it exists, every picture and file it names is there."""

import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from conftest import scenery

from lowlight_cli.app import app
from lowlight_cli.core.data import downloads
from lowlight_cli.core.data.inspection import Part
from lowlight_cli.core.pictures import images
from lowlight_cli.settings import TrainSettings
from lowlight_cli.web import server

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
LINES = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line for line in LINES if line.startswith("lowlight ")]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Path:
    """A folder in which the README's commands can run: dark pictures, pairs, a small LOL, a model."""
    monkeypatch.chdir(tmp_path)
    for name, seed in (("night.jpg", 1), ("photos/a.jpg", 2), ("photos/trip/b.png", 3), ("mine/low/1.png", 4)):
        images.write(tmp_path / name, images.Picture(scenery(seed) * 0.2))
    images.write(tmp_path / "mine/high/1.png", images.Picture(scenery(4)))
    for part, count in (("our485", 8), ("eval15", 2)):
        for number in range(count):
            for side, light in (("low", 0.2), ("high", 1.0)):
                images.write(tmp_path / f"data/lol/{part}/{side}/{number}.png", images.Picture(scenery(number) * light))
    for number in range(8):
        images.write(tmp_path / f"daylight/{number}.jpg", images.Picture(scenery(number)))
    small = replace(downloads.LOL, parts=(Part("our485", 8), Part("eval15", 2)))
    monkeypatch.setitem(downloads.SOURCES, "lol", small)
    for name, value in (("EPOCHS", 1), ("PATCH", 16), ("BATCH", 4), ("WIDTH", 4), ("VALIDATION", 0.25)):
        monkeypatch.setenv(f"LOWLIGHT_{name}", str(value))
    monkeypatch.setenv("LOWLIGHT_PORT", "0")
    serving = server.run
    monkeypatch.setattr(
        server, "run", lambda listening, stop, patience: (stop.set(), serving(listening, stop, patience))
    )
    (tmp_path / "lyt").symlink_to(tmp_path / "data/lol/eval15/high")
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    tiny_model.rename(tmp_path / "mine.safetensors")
    (tmp_path / "runs/joint").mkdir(parents=True)
    shutil.copy(tmp_path / "mine.safetensors", tmp_path / "runs/joint/best.safetensors")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_runs(command: str, desk: Path, lowlight: Run) -> None:
    code, out, err = lowlight(*shlex.split(command)[1:])
    assert code == 0, out + err


def test_there_are_commands() -> None:
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert any(command.split()[1] == name for command in COMMANDS), f"no `lowlight {name}` in the README"


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in LINES:
        if line.startswith("make "):
            assert line.split()[1] in targets, line


def test_everything_the_readme_points_at_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", README):
        assert (ROOT / "".join(target)).exists(), target


def test_the_first_screen_is_light() -> None:
    shown = re.findall(r"src=\"([^\":]+)\"|!\[[^]]*\]\(([^)]+)\)", README)
    assert sum((ROOT / "".join(name)).stat().st_size for name in shown) < 2_000_000


@pytest.mark.parametrize("recipe", sorted((ROOT / "experiments").glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_is_valid(recipe: Path) -> None:
    TrainSettings.load(recipe)
