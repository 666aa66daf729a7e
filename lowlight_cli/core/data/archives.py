"""Zips of pairs: every layout that is going round, and nothing that is made to do harm."""

import lzma
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DownloadError
from ..pictures import images
from .datasets import SIDES
from .transfer import CHUNK, MOST_BYTES, room_for

MOST_FILES = 20_000
"""More than this, or than ``MOST_BYTES``, is a bomb, not a data set of this field (LOL: 1000 files, 0.35 GB)."""
PARTS = {"our485": "our485", "train": "our485", "eval15": "eval15", "test": "eval15"}
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What damage raises: OSError without a number is bzip2's, the last three are of unknown compression, encryption and
nonsense in the directory."""


@dataclass(frozen=True)
class Unpacking:
    """Bytes of pictures written so far."""

    done: int
    total: int


def unpack(archive: Path, target: Path, parts: Sequence[str]) -> Iterator[Unpacking]:
    """Write the pictures of a zip into the empty folder ``target``, as ``PART/low/NAME`` and ``PART/high/NAME``.

    ``parts`` names the folders to look for, "." for low/ and high/ alone. Raises DownloadError if the archive is
    damaged or harmful or holds something else; ``target`` is then of no use.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            chosen = contents(zipped.infolist(), parts)
            done, total = 0, sum(member.file_size for member, _ in chosen)
            room_for(target, total)
            for member, relative in chosen:
                path = target / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(member) as packed, path.open("wb") as file:
                    shutil.copyfileobj(packed, file, CHUNK)  # ends at the size that the directory tells
                done += member.file_size
                yield Unpacking(done, total)
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's
            raise
        raise DownloadError(f"not a zip, or a damaged one ({error}): fetch it again") from error


def contents(members: Sequence[zipfile.ZipInfo], parts: Sequence[str]) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The pictures of an archive and where each belongs. Refuses archives that are made to do harm."""
    if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
        raise DownloadError("it unpacks to more than any data set of pairs: refused")
    chosen = []
    taken: dict[PurePosixPath, str] = {}
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename:
            raise DownloadError(f"member {member.filename!r} points outside the data set: refused")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DownloadError(f"member {member.filename!r} is a link: refused")
        relative = placed(path, parts)
        if relative is None or member.is_dir():
            continue
        if relative in taken:
            raise DownloadError(f"{taken[relative]!r} and {member.filename!r} are one picture twice")
        taken[relative] = member.filename
        chosen.append((member, relative))
    if not chosen:
        names = ", ".join(member.filename for member in members[:3]) or "nothing"
        wanted = ", ".join((PurePosixPath(part) / side).as_posix() for part in parts for side in ("low", "high"))
        raise DownloadError(f"another archive than asked for: it has {names}, wanted {wanted}")
    return chosen


def placed(path: PurePosixPath, parts: Sequence[str]) -> PurePosixPath | None:
    """Where a member belongs in the data set, None if nowhere: what is no picture, hidden or of no known folder.

    Known: our485|eval15 or train|test, holding low|high, low|normal or input|target, in any case, under any folders.
    """
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    if hidden or path.suffix.lower() not in images.SUFFIXES:
        return None
    folders = [folder.lower() for folder in path.parts[:-1]]
    side = SIDES.get(folders[-1]) if folders else None
    if side is None:
        return None
    if "." in parts:
        return PurePosixPath(side, path.name)
    part = PARTS.get(folders[-2]) if len(folders) > 1 else None
    return PurePosixPath(part, side, path.name) if part is not None and part in parts else None
