"""Waiting for pictures to arrive in a folder."""

import queue
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import LowlightError
from ..pictures.folders import real, walked

QUIET = 1.0
"""Seconds without a change after which what has arrived is taken to be whole."""
PATIENCE = 10.0
"""Seconds after which it is looked at even so: what is not whole then fails, and is tried again once it has changed."""


def changes(folders: Sequence[Path]) -> Iterator[None]:
    """Yield once at the start, and again whenever something in the folders, or in what is linked from them now, has
    changed and then been quiet."""
    try:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer
    except ImportError as error:
        raise LowlightError("--watch needs one more package: pip install 'lowlight[watch]'") from error
    arrived: queue.SimpleQueue[None] = queue.SimpleQueue()

    class Notice(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if event.event_type in ("created", "modified", "moved", "closed"):
                arrived.put(None)

    observer = Observer()
    for folder in folders:
        if not folder.is_dir():
            raise LowlightError(f"{folder}: --watch needs a folder")
        for place in {real(start) for start, *_ in walked(folder, [])}:  # watchers follow no links
            observer.schedule(Notice(), str(place), recursive=True)

    def something_came() -> bool:
        try:
            arrived.get(timeout=QUIET)
        except queue.Empty:  # a wait without end would not hear Ctrl-C everywhere
            return False
        return True

    observer.start()
    try:
        yield
        while True:
            if something_came():
                latest = time.monotonic() + PATIENCE
                while something_came() and time.monotonic() < latest:
                    pass
                yield
    finally:
        observer.stop()
        observer.join()


def changed(path: Path) -> int:
    """When a file was changed last, in ns; 0 if it is none, 1 if it may not be looked at."""
    try:
        found = path.stat()
    except PermissionError:
        return 1
    except OSError:  # gone, or never there
        return 0
    return found.st_mtime_ns if stat.S_ISREG(found.st_mode) else 0
