"""Data sets of pairs that are made from photographs, once and for all."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import DatasetError
from ..files import replacing_folder
from ..pictures import images
from ..pictures.encoding import Encoding
from ..pictures.picture import Picture
from . import synthesis
from .datasets import Photo
from .trainingset import examined


class LeftOut(NamedTuple):
    """A photograph that no pair was made of."""

    reason: str
    unreadable: bool  # rather than unfit


def synthesise(photos: Sequence[Photo], out: Path, jpeg: int | None) -> Iterator[LeftOut | None]:
    """Write ``out/low`` and ``out/high`` from photographs; for each None, or why it was left out.

    ``out`` appears when all is done; it must not be there or be empty. ``synthesis.json`` in it tells light and noise.
    """
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out}: not a folder: choose another --out")
    if out.exists() and any(out.iterdir()):
        raise DatasetError(f"{out} is not empty: choose another --out")
    if out.resolve() == Path.cwd():
        raise DatasetError(f"{out}: the folder that you are in cannot be replaced: name a new one with --out")
    suffix = ".png" if jpeg is None else ".jpg"
    record = {}
    try:
        with replacing_folder(out) as staging:
            for photo, (picture, reason) in zip(photos, examined(photos), strict=True):
                if picture is not None and reason is None:
                    low, high = (Picture(side) for side in picture)
                    images.write(staging / "low" / f"{photo.name}{suffix}", low, Encoding(quality=jpeg))
                    images.write(staging / "high" / f"{photo.name}.png", high)
                    record[photo.name] = {"seed": photo.seed, **synthesis.parameters(photo.seed)}
                yield LeftOut(reason, unreadable=picture is None) if reason else None
            if not record:
                raise DatasetError(f"none of {len(photos)} photographs is fit to make a pair of")
            (staging / "synthesis.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{out}: cannot be written: {error.strerror or error}: choose another --out") from error
