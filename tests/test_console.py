"""Names of files are shown as they are, whatever rich makes of such words elsewhere."""

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from lowlight_cli import console
from lowlight_cli.core.data import downloads, transfer
from lowlight_cli.core.enhancing.jobs import Job
from lowlight_cli.core.evaluating.summary import Table
from lowlight_cli.views import evaluation, pictures
from lowlight_cli.views.downloads import downloading


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


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.error("\x1b[31mred\x1b]0;title\x07.jpg: damaged")
    assert capsys.readouterr().err == "error: ?[31mred?]0;title?.jpg: damaged\n"


@pytest.mark.parametrize("width", [50, 80])
def test_a_bar_keeps_its_count_and_its_time(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(console, "talk", Console(file=shown, force_terminal=True, width=width, emoji=False))
    with console.counting("training", 16000) as counter:
        counter.at(6400, what="joint epoch 10\nloss 0.7534  lr 0.001  12 patches/s of a long, long name")
    line = shown.getvalue()
    assert "6400/16000" in line and "0:00:00" in line and "…" in line and "joint" in line


def test_letters_that_are_wide_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(console, "talk", Console(file=shown, force_terminal=True, width=60, emoji=False))
    with console.counting("enhancing", 20) as counter:
        counter.at(3, what="夜景の写真" * 8)
    assert "3/20" in shown.getvalue() and "…" in shown.getvalue()
    table = Table(["picture", "PSNR"], [["夜景の写真1", "20"], ["夜景の写真2", "21"]])
    assert evaluation.column_widths(table)[0] == cell_len("夜景の写真1") == 11


def test_a_bar_forgets_what_another_step_was_to_have(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(console, "talk", Console(file=shown, force_terminal=True, width=100, emoji=False))
    with downloading() as see:
        see(transfer.Received(50_000_000, 100_000_000))
        see(downloads.Trying("GitHub"))
        (task,) = see._progress.tasks
        assert (task.total, task.description) == (None, "asking GitHub")
