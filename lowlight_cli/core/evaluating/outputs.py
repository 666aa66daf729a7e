"""The files that an evaluation leaves: figures, pictures, and a page that shows both."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from ...settings import PIPE, EvaluateSettings
from ..errors import LowlightError
from ..files import replacing
from ..pictures import images
from ..pictures.folders import closed_folder
from ..pictures.picture import Picture
from .gallery import TALLEST, TALLEST_OF, Gallery, contact_sheet
from .page import page
from .results import Report, as_csv, as_json
from .summary import as_markdown


def check(settings: EvaluateSettings, inputs: set[Path], systems: Sequence[str]) -> None:
    """Refuse, before anything is computed, outputs that would replace a picture or mix with others: of an earlier
    evaluation, or of two of the ``systems`` whose pictures are saved."""
    asked = (settings.json_file, settings.csv, settings.markdown, settings.sheet, settings.report)
    named = [path.resolve() for path in (*asked, settings.save) if path is not None]
    if PIPE in (settings.sheet, settings.save):
        raise LowlightError("-: pictures do not go to standard output: name a file or folder for them")
    twice = next((path for path in named if named.count(path) > 1), None)
    if twice is not None:
        raise LowlightError(f"{twice}: two results cannot go into one place: choose another name for one")
    files = [path for path in asked if path is not None and path != PIPE]
    for path in files:
        if path.resolve() in inputs or path.is_dir():
            raise LowlightError(f"{path}: this is {'a folder' if path.is_dir() else 'an input'}: choose another name")
    for path in files if settings.save is None else [*files, settings.save]:
        if closed := closed_folder(path.resolve().parent):
            raise LowlightError(f"{path}: cannot be written: {closed} is not a folder that you may write to")
    if settings.sheet is not None:
        images.kind_of(settings.sheet)
    homes = [home(system) for system in systems]
    shared = next((path for path in homes if homes.count(path) > 1), None)
    if settings.save is not None and shared is not None:
        raise LowlightError(
            f"{settings.save / shared}: the pictures of two models cannot go into one folder: rename one"
        )
    if settings.save is not None and settings.save.exists():
        if not settings.save.is_dir():
            raise LowlightError(f"{settings.save}: not a folder: choose another --save")
        if any(path.is_relative_to(settings.save.resolve()) for path in inputs):
            raise LowlightError(f"{settings.save}: inputs lie in it: choose another --save")
        if any(settings.save.iterdir()) and not settings.overwrite:
            raise LowlightError(f"{settings.save}: not empty: choose another --save, or replace with --overwrite")


def home(system: str) -> str:
    """The folder, in that of ``--save``, for the pictures of a system."""
    return re.sub(r"[/\\]", "_", system).lstrip("._")


def save(folder: Path, system: str, picture: str, enhanced: Tensor) -> None:
    """Write one enhanced picture, uint8 (3, H, W), to ``folder/system/picture.png``."""
    images.write(folder / home(system) / f"{picture}.png", Picture(enhanced))


def write(settings: EvaluateSettings, report: Report, gallery: Gallery) -> Iterator[Path | LowlightError]:
    """Write every file that ``settings`` name, and say which, or why one could not be."""

    def sheet(path: Path) -> None:
        tallest = TALLEST_OF.get(images.kind_of(path), TALLEST)
        images.save(contact_sheet(report, gallery, tallest=tallest), path)

    asked: list[tuple[Path | None, Callable[[Path], None]]] = [
        (settings.json_file, partial(write_text, text=lambda: as_json(report))),
        (settings.csv, partial(write_text, text=lambda: as_csv(report))),
        (settings.markdown, partial(write_text, text=lambda: as_markdown(report))),
        (settings.report, partial(write_text, text=lambda: page(report, gallery))),
        (settings.sheet, sheet),
    ]
    for path, write_to in sorted(asked, key=lambda each: each[0] == PIPE):  # which may be closed, last
        if path is not None:
            try:
                write_to(path)
            except LowlightError as error:
                yield error
            else:
                yield path


def write_text(path: Path, text: Callable[[], str]) -> None:
    """Write a text file, whole or not at all; or to standard output."""
    try:
        if path == PIPE:
            sys.stdout.write(text().encode(errors="replace").decode())  # names of files may be no text
            sys.stdout.flush()
            return
        with replacing(path) as staged:
            staged.write_text(text(), encoding="utf-8", errors="replace")
    except BrokenPipeError:  # whoever read it has had enough
        raise
    except OSError as error:
        place = "standard output" if path == PIPE else path
        raise LowlightError(f"{place}: cannot be written: {error.strerror or error}") from error
