"""Writing files so that a crash leaves the old state or the new one, never half of either."""

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = re.compile(r"\..*\.[0-9a-f]{8}\.part(\.\w+)?")


def exists(path: Path) -> bool:
    """Whether something is there. Path.exists raises for a name that is too long."""
    return os.path.exists(path)  # noqa: PTH110


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary path beside ``target``, renamed onto it if the block succeeds and removed if it does not. Of a link,
    what it leads to is meant.

    The temporary name starts with a dot, is no longer than names may be, and keeps the suffix, from which libraries
    guess formats.
    """
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.stem[:40]}.{secrets.token_hex(4)}.part{target.suffix}")
    try:
        yield partial
        with partial.open("rb+") as written:
            os.fsync(written.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def unfinished(folder: Path) -> list[Path]:
    """What ``replacing`` has left in a folder, of a process that was killed."""
    return [path for path in folder.glob(".*.part*") if PARTIAL.fullmatch(path.name)]


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside ``target``, renamed to it if the block succeeds and removed if it does not.

    ``target`` must not be there, or be empty: a folder with something in it is never replaced. Of a link, what it leads
    to is meant.
    """
    target = target.resolve()
    staging = target.with_name(f".{target.name}.part")
    shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
    staging.mkdir(parents=True)
    try:
        yield staging
        if hasattr(os, "sync"):
            os.sync()  # the files before their name
        if target.exists():
            target.rmdir()
        staging.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``path`` alone among all processes, or raise BlockingIOError. The lock ends with the block or the process;
    the file stays, since removing it could part two who hold it."""
    with path.open("a") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise BlockingIOError(*error.args) from error
        yield
