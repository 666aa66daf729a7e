"""What goes back: one picture, or several, in a zip, or as multipart/form-data, which browsers take apart by
themselves."""

import io
import json
import secrets
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from typing import IO

from flask import Response, send_file
from torch import Tensor
from werkzeug.datastructures import Headers
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartEncoder, Preamble

from ..core.enhancing.look import Look
from ..core.pictures import images
from ..core.pictures.encoding import WITHOUT_PROFILE, Encoding, encode
from ..core.pictures.metadata import Origin
from ..core.pictures.panel import columns, panel
from ..core.pictures.picture import Picture, brightness, log_average, to_image
from ..settings import Denoise

SUFFIX = {kind: suffix for suffix, kind in reversed(images.WRITTEN.items())}
MULTIPART = "multipart/form-data"
LOOKING = Encoding(quality=95)
"""Fine enough to look at; results to keep are encoded otherwise."""
LONGEST = 65_500
"""Side in px that a JPEG can have; of longer pictures every other pixel will do, or fewer."""


def multipart(file: IO[bytes], about: Mapping[str, object], pictures: Mapping[str, Picture | Tensor]) -> str:
    """Write the field ``about``, JSON, and one JPEG a picture; returns the answer's type."""
    boundary = secrets.token_hex(16)
    encoder = MultipartEncoder(boundary.encode())
    file.write(encoder.send_event(Preamble(b"")))
    file.write(encoder.send_event(Field(name="about", headers=Headers({"Content-Type": "application/json"}))))
    file.write(encoder.send_event(Data(json.dumps(about).encode(), more_data=False)))
    for name, pixels in pictures.items():
        picture = io.BytesIO()
        whole = Picture(pixels) if isinstance(pixels, Tensor) else pixels
        step = ceil(max(whole.size) / LONGEST)
        encode(picture, whole.thinned(step, step), "JPEG", LOOKING)
        headers = Headers({"Content-Type": "image/jpeg"})
        file.write(encoder.send_event(File(name=name, filename=f"{name}.jpg", headers=headers)))
        file.write(encoder.send_event(Data(picture.getvalue(), more_data=False)))
    file.write(encoder.send_event(Epilogue(b"")))
    return f"{MULTIPART}; boundary={boundary}"


def zipped(file: IO[bytes], picture: Picture, maps: dict[str, Tensor]) -> None:
    """Write what ``lowlight decompose`` writes: each map and a panel of them, as PNG, in one zip."""
    with zipfile.ZipFile(file, "w") as archive:  # stored: PNG does not shrink
        for name, pixels in maps.items():
            with archive.open(f"{name}.png", "w") as entry:
                to_image(pixels).save(entry, "PNG")
        with archive.open("panel.png", "w") as entry:
            panel(columns(picture, maps)).save(entry, "PNG")


def facts(picture: Picture, denoise: Denoise) -> dict[str, object]:
    """What the page needs to know of a picture beside its maps."""
    height, width = picture.size
    origin = picture.origin
    kept = {"EXIF": origin.exif, "colour profile": origin.icc} if origin.kind not in WITHOUT_PROFILE else {}
    return {
        "height": height,
        "width": width,
        "suffix": SUFFIX[images.kept_as(picture)],
        "keeps": [name for name, value in kept.items() if value],  # in a result of that format
        "brightness": brightness(picture),
        "light": Look().suited(log_average(picture)).strength,  # what a strength of 1 comes to for this picture
        "denoise": denoise,
    }


def seen(picture: Picture) -> Picture:
    """A picture for a screen: opaque, 8 bit, its colours still described by its profile."""
    return replace(picture, alpha=None, origin=Origin(icc=picture.origin.icc))


@contextmanager
def to_send() -> Iterator[IO[bytes]]:
    """A temporary file, which ``send_file`` closes unless the block fails."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        yield file
    except BaseException:
        file.close()
        raise


def sent(file: IO[bytes], mimetype: str, name: str | None = None) -> Response:
    """A finished temporary file as answer; it has no name on disk and ends with the answer."""
    file.seek(0)
    return send_file(file, mimetype, download_name=name, etag=False, max_age=None)
