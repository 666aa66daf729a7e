"""Data sets: which there are, and their downloads as they go."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from .. import console
from ..core.data import archives, datasets, downloads, inspection, transfer


@contextmanager
def downloading() -> Iterator["DownloadView"]:
    """A bar over bytes or pairs, whatever the download is at, with time left."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(),
    )
    with console.bar(*columns) as progress:
        yield DownloadView(progress)


class DownloadView:
    """Shows the events of a download: a bar, a line for each mirror that fails, each odd pair, and the result."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, amount="")
        self._doing = ""

    def __call__(self, event: downloads.Event) -> None:
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
                console.note(f"{event.mirror}: {event.reason}")
            case inspection.Flagged():
                console.note(f"training leaves out {event.reason}")
            case inspection.Faulty():
                console.error(event.reason)
            case downloads.Finished(present=True):
                console.note(f"{event.place} is there already: {event.pairs} pairs, {event.verified}")
            case downloads.Finished():
                console.note(f"{event.place} has {event.pairs} pairs: {event.verified}")

    def _at(self, doing: str, done: int, total: int | None, unit: float = 1) -> None:
        if doing != self._doing:
            self._doing = doing
            self._progress.remove_task(self._task)  # neither an update nor a reset forgets a total
            self._task = self._progress.add_task(doing, total=None, amount="")
        amount = f"{done / unit:.0f}" + ("" if total is None else f"/{total / unit:.0f}") + " MB" * (unit > 1)
        self._progress.update(self._task, completed=done, total=total, amount=amount)


def sources_table(data: Path) -> Table:
    """What can be downloaded, and what is there."""
    table = Table(title="Data sets", caption=console.plain(f"under {data}"))
    table.add_column("name", no_wrap=True)
    for column in ("what", "size", "licence", "from", "here"):
        table.add_column(column, overflow="fold")
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
