"""What people see. Data goes to stdout, talk to stderr."""

import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

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
from rich.table import Table

if TYPE_CHECKING:
    from .core.data import downloads
    from .core.enhancing import batch, jobs
    from .core.training import events

LISTED = 10
"""How many of the pictures that are left out are named."""

out = Console(emoji=False)
talk = Console(stderr=True, emoji=False)


def error(message: str) -> None:
    """One line, red where there is colour."""
    talk.print(f"[bold red]error:[/] {_plain(message)}", soft_wrap=True, highlight=False)


def note(message: str) -> None:
    """One line of talk."""
    talk.print(_plain(message), soft_wrap=True, highlight=False)


def _plain(message: str) -> str:
    return escape(printable(" ".join(message.splitlines())))


def printable(text: str) -> str:
    """Text with a question mark for what is none: a file's name may hold any bytes."""
    return text.encode(errors="replace").decode()


def bar(*columns: ProgressColumn) -> Progress:
    """A bar on the terminal that people talk to, if there is one. It leaves standard output to the data."""
    return Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal, redirect_stdout=False)


@contextmanager
def counting(what: str, total: int) -> Iterator["Counter"]:
    """A bar over ``total`` things, with count and time left."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with bar(*columns) as progress:
        yield Counter(progress, progress.add_task(what, total=total))


@contextmanager
def downloading() -> Iterator["DownloadView"]:
    """A bar over bytes or pairs, whatever the download is at, with time left."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(),
    )
    with bar(*columns) as progress:
        yield DownloadView(progress)


class Counter:
    """Moves one bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def at(self, done: float, total: int | None = None, what: str | None = None) -> None:
        self._progress.update(self._task, completed=done, total=total, description=what)


def follow(doing: str, count: int, events: "Generator[batch.Event]", report: "Report | None" = None) -> bool:
    """Show ``count`` jobs as they go, a line for each failure, then a summary. Says whether all went well."""
    from .core.enhancing.batch import Advance

    counts = {"done": 0, "skipped": 0, "failed": 0}
    places: set[Path] = set()
    passed: list[batch.Outcome] = []
    stopped = ""
    with counting(doing, count) as counter:

        def see(event: "batch.Event") -> None:
            ended = sum(counts.values())
            if isinstance(event, Advance):
                counter.at(ended + event.share if event.share < 1 else ended, what=event.job.source.name)
                return
            counts[event.status] += 1
            if report:
                report(event)
            if event.status == "failed":
                error(event.reason)
            elif event.reason:
                passed.append(event)
            else:
                places.update(event.job.targets)
            counter.at(ended + 1)  # last, as it draws, where Ctrl-C may strike

        try:
            for event in events:
                see(event)
        except KeyboardInterrupt as interrupt:
            stopped = "stopped: "
            with suppress(KeyboardInterrupt):  # wherever it came: what is being written is finished, and counts
                see(events.throw(interrupt))
                for event in events:
                    see(event)
            raise SystemExit(130) from None
        finally:
            for skipped in passed[:LISTED]:
                note(f"skipped: {skipped.job.source}, {skipped.reason}")
            if len(passed) > LISTED:
                note(f"skipped: {len(passed) - LISTED} more of that kind")
            if stopped or not count == counts["failed"] == 1:
                note(stopped + summary(counts, places, hint=counts["skipped"] > len(passed)))
    return not counts["failed"]


Report = Callable[["batch.Outcome"], None]


def summary(counts: dict[str, int], places: set[Path], *, hint: bool) -> str:
    """How many jobs ended how, and where the results are; with a hint for those that are there already."""
    parts = [f"{counts['done']} done", *(f"{counts[s]} {s}" for s in ("skipped", "failed") if counts[s])]
    where = places.copy().pop() if len(places) == 1 else common_folder(places)
    return ", ".join(parts) + (f": {where}" if where else "") + " (--overwrite replaces what exists)" * hint


def common_folder(places: set[Path]) -> str:
    """The folder that all lie in, relative to the current one where they are given so; nothing if there is none."""
    mixed = len({place.is_absolute() for place in places}) > 1
    try:
        return os.path.commonpath([(place.absolute() if mixed else place).parent for place in places]) or "."
    except ValueError:  # no files, or files on two drives
        return ""


def json_line(event: "batch.Outcome", model: str) -> None:
    """An outcome as one line of JSON on standard output."""
    line: dict[str, object] = {
        "input": str(event.job.source),
        "status": event.status,
        "output": str(event.job.targets[0]) if event.job.targets else None,
        "outputs": [str(target) for target in event.job.targets],
    }
    if event.status == "failed":
        line["error"] = event.reason
    elif event.status == "skipped":
        line["reason"] = event.reason or "its results exist"
    elif event.status == "done":
        height, width = event.size
        line |= {"width": width, "height": height, "seconds": round(event.seconds, 3), "model": model}
        line |= {"brightness_before": round(event.before, 4), "brightness_after": round(event.after, 4)}
    if out.is_terminal and talk.is_terminal:  # above the bar, which stands on the same terminal
        talk.print(json.dumps(line), soft_wrap=True, markup=False, highlight=False)
    else:
        print(json.dumps(line), flush=True)  # noqa: T201  (rich would wrap it)


def plan(todo: "Sequence[jobs.Job]", report: "Report | None" = None, *, overwrite: bool) -> bool:
    """Print what would be done. Says whether nothing stands in the way."""
    from .core.enhancing.batch import Outcome

    for job in todo:
        kept = job.skip or (job.finished and not overwrite)
        if report:
            report(Outcome(job, "failed" if job.fault else "skipped" if kept else "planned", job.fault or job.skip))
        if job.fault:
            error(job.fault)
        elif job.skip and not report:
            out.print(_plain(f"{job.source}: skipped, {job.skip}"), soft_wrap=True)
        elif not report:
            note_too = " (exists: skipped)" if kept else ""
            out.print(_plain(f"{job.source} -> {', '.join(map(str, job.targets))}{note_too}"), soft_wrap=True)
    return not any(job.fault for job in todo)


class TrainingView:
    """Shows the events of a training run: one live bar, and a line for each validation; into a file, which holds no
    bar, also one for each checkpoint."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._began, self._begun_at, self._steps, self._loss = time.monotonic(), 0, 0, ""

    def __call__(self, event: "events.Event") -> None:
        from .core.training import events

        match event:
            case events.Reading(done=done, total=total):
                self._counter.at(done, total, "reading pairs")
            case events.Started():
                for pair in event.left_out[:LISTED]:
                    note(f"left out: {pair}")
                if event.left_out:
                    more = f" ({event.run_dir}/events.jsonl names all)" if len(event.left_out) > LISTED else ""
                    note(f"{len(event.left_out)} left out: --keep-flagged trains on what it can of them{more}")
                note(
                    f"{event.train_pairs} pairs to train on, {event.validation_pairs} of other scenes to validate, "
                    f"on {event.device} in {event.precision}; files in {event.run_dir}"
                )
                if event.known:
                    note(f"{event.known} of those to validate were learned by the weights of --init: figures flatter")
                self._began, self._begun_at, self._steps = time.monotonic(), event.done, event.steps
                if event.done == event.steps:
                    note("it is at its end already: give another --run-dir, and --init with its weights, to go on")
                self._counter.at(event.done, event.steps, "starting")
            case events.Step():
                self._loss = f"loss {event.loss:.4f}, "
                self._counter.at(
                    event.step,
                    what=f"{event.phase} epoch {event.epoch + 1}  loss {event.loss:.4f}  "
                    f"lr {max(event.rates.values()):g}  {event.patches_per_second:.0f} patches/s",
                )
            case events.Validated():
                figures = "  ".join(f"{name} {value:.4f}" for name, value in event.figures.items())
                best = "  (best)" if event.best else ""
                note(f"{event.phase} epoch {event.epoch + 1}: held-out scenes  {figures}{best}")
            case events.Finished() if self._begun_at == self._steps:
                note(f"its model: {event.path}")
            case events.Finished():
                trained = "went on for" if self._begun_at else "trained in"
                note(f"{trained} {event.seconds / 60:.1f} min: {event.path}")
            case events.Saved() if not talk.is_terminal:
                spent, done = time.monotonic() - self._began, event.step - self._begun_at
                left = f"; {spent / done * (self._steps - event.step) / 60:.0f} min left" if done else ""
                note(f"{event.phase} epoch {event.epoch + 1}: {self._loss}saved{left}")
            case events.Saved() | events.Pictured():
                pass


class DownloadView:
    """Shows the events of a download: a bar, a line for each mirror that fails, each odd pair, and the result."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, amount="")
        self._doing = ""

    def __call__(self, event: "downloads.Event") -> None:
        from .core.data import archives, downloads, inspection, transfer

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
    from .core.data import datasets, downloads

    table = Table(title="Data sets", caption=_plain(f"under {data}"))
    for column in ("name", "what", "size", "licence", "from", "here"):
        table.add_column(column)
    for source in downloads.SOURCES.values():
        size = "unknown" if source.size is None else f"{source.size / 1e6:.0f} MB"
        mirrors = "\n".join(mirror.name for mirror in source.mirrors)
        place = datasets.root(source.name, data)
        here = "no"
        if downloads.complete(source, place):
            here = "yes"
        elif place.is_dir():
            here = "in part"
        table.add_row(source.name, source.about, size, source.licence, mirrors, here)
    ours = ("ten small pairs of our own, four with known reflectance", "", "CC0, public domain", "the package itself")
    table.add_row("samples", *ours, "yes")
    return table
