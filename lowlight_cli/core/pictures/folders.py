"""What lies in folders: pictures, links, what may not be looked at, and what may be written."""

import os
from collections.abc import Iterator
from pathlib import Path

from ..files import exists
from . import images


def pictures(given: Path, out: Path | None) -> Iterator[Path]:
    """The pictures below a folder, in order, and the folders among them that cannot be read; or ``given`` itself,
    whatever it is, if it is no folder. Linked folders are searched too, none twice."""
    if not is_folder(given):
        yield given
        return
    apart = None if out is None or real(given).is_relative_to(real(out)) else real(out)
    closed: list[Path] = []
    files = [
        Path(folder, name) for _, folder, names in walked(given, closed) for name in names if not name.startswith(".")
    ]
    for path in sorted(closed + files):
        picture = path.suffix.lower() in images.LOOKED_FOR and (is_file(path) or missing(path) != "")  # a broken link
        if (picture or is_folder(path)) and not (apart is not None and real(path).is_relative_to(apart)):
            yield path


def walked(given: Path, closed: list[Path]) -> Iterator[tuple[Path, str, list[str]]]:
    """Every folder that is no hidden one, once, with the names of the files in it, and where the walk to it began:
    ``given``, or a linked folder. Those that cannot be read come into ``closed``."""
    searched: set[Path] = set()
    todo = [given]
    for start in todo:  # links come last, so that what they lead to has the name that it has here, if any
        if real(start) in searched:
            continue
        for folder, below, names in os.walk(start, onerror=lambda error: closed.append(Path(error.filename))):
            searched.add(real(Path(folder)))
            below[:] = [name for name in below if not name.startswith(".")]
            todo += [Path(folder, name) for name in below if is_link(Path(folder, name))]
            below[:] = [name for name in below if real(Path(folder, name)) not in searched]
            yield start, folder, names


def is_folder(path: Path) -> bool:
    """Whether this is a folder; False where permissions hide it."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Whether this is a file; of what may not be looked at, yes: whoever reads it says why not."""
    try:
        return path.is_file()
    except PermissionError:
        return True


def missing(path: Path) -> str:
    """What to say if there is nothing at this path; nothing if there is, or if it may not be looked at."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return f"{path}: no such file or folder"
    except OSError:  # reading it will tell
        pass
    return ""


def is_link(path: Path) -> bool:
    """Whether this is a link; False where permissions hide it."""
    return os.path.islink(path)  # noqa: PTH114


def real(path: Path) -> Path:
    """The path without links; unlike ``Path.resolve`` it does not mind links that go round in circles."""
    return Path(os.path.realpath(path))


def closed_folder(folder: Path) -> Path | None:
    """What must let a file or folder be made in it, for one to be made in ``folder``, if it does not."""
    place = next(place for place in (folder, *folder.parents) if exists(place))
    return None if is_folder(place) and os.access(place, os.W_OK) else place
