"""What people see. Data goes to stdout, talk to stderr."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from .core import downloads, evaluation, events, jobs

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
def downloading() -> Iterator["DownloadView"]:
    """A bar over bytes or pairs, whatever the download is at, with time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal) as progress:
        yield DownloadView(progress)


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
                    note(f"left out: {pair}")
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
    """Shows the events of a download: a bar, a line for each mirror that fails, each odd pair, and the result."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, amount="")
        self._doing = ""

    def __call__(self, event: "downloads.Event") -> None:
        from .core import archives, downloads, inspection, transfer

        match event:
            case downloads.Trying():
                self._at(f"asking {event.mirror}", 0, None)
            case transfer.Received():
                self._at("receiving", event.done, event.total, unit=1e6)
            case archives.Unpacking():
                self._at("unpacking", event.done, event.total, unit=1e6)
            case inspection.Inspecting():
                self._at("looking at pairs", event.done, event.total)
            case downloads.Refused():
                note(f"{event.mirror}: {event.reason}")
            case inspection.Flagged():
                note(f"training leaves out {event.reason}")
            case inspection.Faulty():
                error(event.reason)
            case downloads.Finished(present=True):
                note(f"{event.place} is there already: {event.pairs} pairs, {event.verified}")
            case downloads.Finished():
                note(f"{event.place} has {event.pairs} pairs: {event.verified}")

    def _at(self, doing: str, done: int, total: int | None, unit: float = 1) -> None:
        if doing != self._doing:
            self._doing = doing
            self._progress.reset(self._task, description=doing)
        amount = f"{done / unit:.0f}" + ("" if total is None else f"/{total / unit:.0f}") + " MB" * (unit > 1)
        self._progress.update(self._task, completed=done, total=total, amount=amount)


def sources_table(data: "Path") -> Table:
    """What can be downloaded, and what is there."""
    from .core import downloads, samples

    table = Table(title="Data sets", caption=f"under {data}")
    for column in ("name", "what", "size", "licence", "from", "here"):
        table.add_column(column)
    for source in downloads.SOURCES.values():
        size = "unknown" if source.size is None else f"{source.size / 1e6:.0f} MB"
        mirrors = "\n".join(mirror.name for mirror in source.mirrors)
        place = downloads.root(source, data)
        here = "no"
        if downloads.complete(source, place):
            here = "yes"
        elif place.is_dir():
            here = "in part"
        table.add_row(source.name, source.about, size, source.licence, mirrors, here)
    table.add_row("samples", samples.ABOUT, "", "CC0, public domain", "the package itself", "yes")
    return table


def evaluation_table(title: str, results: Sequence[tuple[str, "Sequence[evaluation.Row]"]]) -> Table:
    """One row a picture and the mean, three columns a model."""
    from .core import evaluation

    table = Table(title=title, caption="8 bit, per picture, no GT mean; SSIM Gaussian 11x11, valid windows")
    table.add_column("picture")
    for name, _ in results:
        prefix = f"{name} " if len(results) > 1 else ""
        for label in ("PSNR dB ↑", "SSIM RGB ↑", "SSIM gray ↑"):
            table.add_column(prefix + label, justify="right")
    for index, row in enumerate(results[0][1]):
        cells = [
            cell
            for _, found in results
            for cell in _cells(found[index].psnr, found[index].ssim, found[index].ssim_gray)
        ]
        table.add_row(row.name, *cells)
    table.add_section()
    means = [evaluation.mean(found) for _, found in results]
    table.add_row("mean", *(cell for mean in means for cell in _cells(*mean.values())), style="bold")
    return table


def _cells(psnr: float, ssim: float, ssim_gray: float) -> tuple[str, str, str]:
    return f"{psnr:.2f}", f"{ssim:.4f}", f"{ssim_gray:.4f}"
