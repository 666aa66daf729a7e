"""Names of files are shown as they are, whatever rich makes of such words elsewhere."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from lowlight_cli import console
from lowlight_cli.core.enhancing.jobs import Job
from lowlight_cli.views import pictures


def test_a_bar_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(console, "talk", Console(file=shown, force_terminal=True, width=120, emoji=False))
    with console.counting("enhancing", 2) as counter:
        counter.at(1, what="[final] [/x] a.jpg")
    assert "[final] [/x] a.jpg" in shown.getvalue()


def test_a_plan_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    name = "[red] :cat: %d {0}.png"
    assert pictures.plan([Job(Path(name), (Path(f"out/{name}"),))], overwrite=False)
    assert capsys.readouterr().out == f"{name} -> out/{name}\n"
