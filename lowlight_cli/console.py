"""What people see. Data goes to stdout, talk to stderr."""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

FIGURES = 34
"""Columns that count, time spent and time left take beside a bar, with the spaces between them."""
LISTED = 10
"""How many of the pictures that are left out are named."""

out = Console(emoji=False)
talk = Console(stderr=True, emoji=False)


def error(message: str) -> None:
    """One line, red where there is colour."""
    talk.print(f"[bold red]error:[/] {plain(message)}", soft_wrap=True, highlight=False)


def note(message: str) -> None:
    """One line of talk."""
    talk.print(plain(message), soft_wrap=True, highlight=False)


def plain(message: str) -> str:
    """A message as one line, without markup."""
    return escape(printable(message))


def printable(text: str) -> str:
    """Text as one line that a terminal only shows: control characters, and bytes of a file's name that are not UTF-8,
    become question marks."""
    valid = " ".join(text.splitlines()).encode(errors="replace").decode()
    return "".join("?" if unicodedata.category(letter) == "Cc" else letter for letter in valid)


def bar(*columns: ProgressColumn) -> Progress:
    """A bar on the terminal that people talk to, if there is one. It leaves standard output to the data."""
    return Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal, redirect_stdout=False)


@contextmanager
def counting(what: str, total: int) -> Iterator["Counter"]:
    """A bar over ``total`` things, with count and time left."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=max(talk.width // 4 - 2, 4)),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with bar(*columns) as progress:
        yield Counter(progress, progress.add_task(what, total=total))


class Counter:
    """Moves one bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def at(self, done: float, total: int | None = None, what: str | None = None) -> None:
        if what is not None:
            text = Text(printable(what))
            text.truncate(max(talk.width * 3 // 4 - FIGURES, 8), overflow="ellipsis")
            what = text.plain
        self._progress.update(self._task, completed=done, total=total, description=what)
