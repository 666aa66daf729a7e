"""The files that an evaluation leaves: figures, pictures, and a page that shows both."""

import os
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from ..settings import EvaluateSettings
from . import images
from .errors import LowlightError
from .files import replacing
from .gallery import Gallery, contact_sheet
from .page import page
from .results import Report, as_csv, as_json
from .summary import as_markdown


def check(settings: EvaluateSettings, inputs: set[Path]) -> None:
    """Refuse, before anything is computed, outputs that would replace a picture or mix with earlier ones."""
    files = (settings.json_file, settings.csv, settings.markdown, settings.sheet, settings.report)
    for path in files:
        if path is not None and (path.resolve() in inputs or path.is_dir()):
            raise LowlightError(f"{path}: this is {'a folder' if path.is_dir() else 'an input'}: choose another name")
    for path in (*files, settings.save):
        if path is not None:
            place = next(parent for parent in path.resolve().parents if parent.exists())
            if not (place.is_dir() and os.access(place, os.W_OK)):
                raise LowlightError(f"{path}: cannot be written: {place} is no folder that you may write to")
    if settings.sheet is not None:
        images.kind_of(settings.sheet)
    if settings.save is not None and settings.save.exists():
        if not settings.save.is_dir():
            raise LowlightError(f"{settings.save}: not a folder: choose another --save")
        if any(settings.save.iterdir()) and not settings.overwrite:
            raise LowlightError(f"{settings.save}: not empty: choose another --save, or replace with --overwrite")


def save(folder: Path, system: str, picture: str, enhanced: Tensor) -> None:
    """Write one enhanced picture, uint8 (3, H, W), to ``folder/system/picture.png``."""
    path = folder / system.replace("/", "_") / f"{picture}.png"
    images.write(path, images.Picture(enhanced))


def write(settings: EvaluateSettings, report: Report, gallery: Gallery) -> Iterator[Path]:
    """Write every file that ``settings`` name, and say which."""
    for path, text in ((settings.json_file, as_json), (settings.csv, as_csv), (settings.markdown, as_markdown)):
        if path is not None:
            write_text(path, text(report))
            yield path
    if settings.sheet is not None:
        images.save(contact_sheet(report, gallery), settings.sheet)
        yield settings.sheet
    if settings.report is not None:
        write_text(settings.report, page(report, gallery))
        yield settings.report


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    try:
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LowlightError(f"{path}: cannot be written: {error.strerror or error}") from error
