"""What people see. Data goes to stdout, talk to stderr."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from .core import downloads, events, jobs, results

out = Console()
talk = Console(stderr=True)


def error(message: str) -> None:
    """One line, red where there is colour."""
    talk.print(f"[bold red]error:[/] {_plain(message)}", soft_wrap=True, highlight=False)


def note(message: str) -> None:
    """One line of talk."""
    talk.print(_plain(message), soft_wrap=True, highlight=False)


def _plain(message: str) -> str:
    from rich.markup import escape

    return escape(message)


@contextmanager
def counting(what: str, total: int) -> Iterator["Counter"]:
    """A bar over ``total`` things, with count and time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal) as progress:
        yield Counter(progress, progress.add_task(what, total=total))


@contextmanager
def transferring(what: str) -> Iterator["Counter"]:
    """A bar over bytes, with rate and time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal) as progress:
        yield Counter(progress, progress.add_task(what, total=None))


class Counter:
    """Moves one bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def at(self, done: int, total: int | None = None, what: str | None = None) -> None:
        self._progress.update(self._task, completed=done, total=total, description=what)


def follow(doing: str, todo: "Sequence[jobs.Job]", outcomes: "Iterable[jobs.Outcome]") -> None:
    """Show jobs as they end, a line for each failure, then a summary. Exits with 1 if any failed."""
    counts = {"done": 0, "skipped": 0, "failed": 0}
    places: set[Path] = set()
    with counting(doing, len(todo)) as counter:
        for number, outcome in enumerate(outcomes, 1):
            counts[outcome.status] += 1
            if outcome.status == "failed":
                error(outcome.reason)
            elif outcome.status == "skipped":
                note(f"{outcome.job.targets[0]} exists, skipped: use --overwrite to replace it")
            else:
                places.update(outcome.job.targets)
            counter.at(number)
    if len(todo) == counts["failed"] == 1:
        raise SystemExit(1)
    parts = [f"{counts['done']} done", *(f"{counts[s]} {s}" for s in ("skipped", "failed") if counts[s])]
    where = (
        places.pop() if len(places) == 1 else os.path.commonpath([place.parent for place in places]) if places else ""
    )
    note(", ".join(parts) + (f": {where or '.'}" if counts["done"] else ""))
    if counts["failed"]:
        raise SystemExit(1)


class TrainingView:
    """Shows the events of a training run: one live bar, and a line for each validation."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def __call__(self, event: "events.Event") -> None:
        from .core import events

        match event:
            case events.Reading(done=done, total=total):
                self._counter.at(done, total, "reading pairs")
            case events.Started():
                for pair in event.left_out:
                    note(f"left out, misaligned: {pair}")
                note(
                    f"{event.train_pairs} pairs to train on, {event.validation_pairs} of other scenes to validate, "
                    f"on {event.device} in {event.precision}; files in {event.run_dir}"
                )
                self._counter.at(event.done, event.steps, "starting")
            case events.Step():
                self._counter.at(
                    event.step,
                    what=f"{event.phase} epoch {event.epoch + 1}  loss {event.loss:.4f}  "
                    f"lr {max(event.rates.values()):g}  {event.patches_per_second:.0f} patches/s",
                )
            case events.Validated():
                figures = "  ".join(f"{name} {value:.4f}" for name, value in event.figures.items())
                best = "  (best)" if event.best else ""
                note(f"{event.phase} epoch {event.epoch + 1}: held-out scenes  {figures}{best}")
            case events.Finished():
                note(f"trained in {event.seconds / 60:.1f} min: {event.path}")
            case events.Saved() | events.Pictured():
                pass


class DownloadView:
    """Shows the events of a download: a bar over bytes, a line for each mirror that fails and one for the result."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def __call__(self, event: "downloads.Event") -> None:
        from .core import downloads

        match event:
            case downloads.Trying():
                self._counter.at(0, what=f"from {event.mirror}")
            case downloads.Received() | downloads.Unpacking():
                unpacking = isinstance(event, downloads.Unpacking)
                self._counter.at(event.done, event.total, "unpacking" if unpacking else None)
            case downloads.Refused():
                note(f"{event.mirror}: {event.reason}")
            case downloads.Finished(present=True):
                note(f"{event.place} is there already, all {event.pairs} pairs")
            case downloads.Finished():
                note(f"{event.pairs} pairs in {event.place} ({event.verified})")


def evaluation(report: "results.Report") -> None:
    """One system: every figure of every picture. Several: their means, differences, and one figure of every picture."""
    from .core import results

    if len(report.systems) == 1:
        tables = [("", results.of_one(report)), ("means", results.summary(report))]
    else:
        tables = [
            ("", results.by_picture(report)),
            ("paired differences, with 95 % intervals", results.difference_table(report, figures=2)),
            ("means", results.summary(report)),
        ]
    out.print(_plain(report.title), style="bold", highlight=False)
    for title, table in tables:
        for piece in pieces(table, out.width):
            out.print(rich_table(title, piece))
    note(report.caption)
    for said in report.notes:
        note(said)


def pieces(table: "results.Table", width: int) -> "Iterator[results.Table]":
    """A table cut at its columns to fit ``width``; every piece begins with the first column."""
    widths = [max(len(line[column]) for line in table.lines) for column in range(len(table.header))]
    widths = [max(most, *map(len, name.split())) + 3 for most, name in zip(widths, table.header, strict=True)]
    room, chosen = width - widths[0], [0]
    for column in range(1, len(widths)):
        if widths[column] > room and len(chosen) > 1:
            yield _columns(table, chosen)
            room, chosen = width - widths[0], [0]
        room -= widths[column]
        chosen.append(column)
    yield _columns(table, chosen)


def _columns(table: "results.Table", chosen: list[int]) -> "results.Table":
    return type(table)(
        [table.header[column] for column in chosen], [[line[column] for column in chosen] for line in table.lines]
    )


def rich_table(title: str, table: "results.Table") -> Table:
    """Text in cells as a table of the terminal; lines of means stand out."""
    shown = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(table.header):
        shown.add_column(_plain(name), justify="right" if number else "left", vertical="bottom")
    for line in table.lines:
        shown.add_row(*map(_plain, line), style="bold" if line[0] == "mean" else "")
    return shown
