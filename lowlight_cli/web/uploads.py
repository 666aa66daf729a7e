"""From an upload to a picture: its kind decided by content, its size by its header, before a pixel is decoded."""

import io
from typing import IO, NoReturn

from flask import Request, abort
from PIL import Image, UnidentifiedImageError
from werkzeug.datastructures import FileStorage

from ..core.errors import PictureError
from ..core.pictures import decoding, images
from ..core.pictures.picture import Picture

KNOWN = (*dict.fromkeys(images.WRITTEN.values()), "MPO", "GIF")
"""Pillow's names of what is read; MPO is how some cameras store JPEG."""
FORMATS = images.FORMATS.removesuffix(", camera raw")
CURL = "with curl as -F image=@night.jpg"


def found(request: Request) -> FileStorage:
    """The picture of a form. Aborts with 400 unless it is the only file there, under ``image``."""
    if request.mimetype == "multipart/form-data" and not (request.form or request.files):
        abort(400, f"the form is empty, cut off, or a name in it is not UTF-8: send the picture {CURL}")
    files = request.files.getlist("image")
    if "image" in request.form:
        abort(400, f'"image" is text, not a file: send the file itself, {CURL}')
    for name in request.files:
        if name != "image":
            abort(400, f'a file under "{short(str(name))}": send the picture under "image", and no other file')
    if not files:
        abort(400, 'send the picture as the file of a form field named "image"')
    if len(files) > 1:
        abort(400, f'{len(files)} pictures under "image": send one per request')
    return files[0]


def short(text: str) -> str:
    """What a client sent, as an answer may repeat it."""
    return text if len(text) <= 40 else f"{text[:40]}…"


def read(stream: IO[bytes], megapixels: float) -> Picture:
    """Decode a picture. Aborts with 413 if it is too large, 415 if it is of no known kind, 422 if it is damaged."""
    formats = kinds(stream)
    check(stream, megapixels, formats)
    try:
        return images.read(stream, formats)  # of those only: what else Pillow takes the file for may be far larger
    except PictureError as error:
        abort(422, str(error).removeprefix("standard input: "))


def check(stream: IO[bytes], megapixels: float, formats: list[str]) -> None:
    """Abort unless the header is that of a picture that may be decoded. Leaves the stream at its start."""
    try:
        with Image.open(stream, formats=formats) as header:
            width, height = header.size
    except UnidentifiedImageError:
        unknown()
    except Image.DecompressionBombError:
        abort(413, f"the picture has far more than the {megapixels:g} megapixels that are allowed here")
    except Exception as error:  # damaged headers make parsers raise anything
        abort(422, f"damaged or unreadable ({' '.join(str(error).split()) or type(error).__name__})")
    if width * height > megapixels * 1e6:
        abort(
            413,
            f"the picture has {width * height / 1e6:.1f} megapixels, {megapixels:g} are allowed here: "
            "send a smaller one, or start the server with a larger --max-megapixels",
        )
    stream.seek(0)


def kinds(stream: IO[bytes]) -> list[str]:
    """What Pillow may take the stream for."""
    stream.seek(0)
    start = io.BytesIO(stream.read(12))
    stream.seek(0)
    if not start.getbuffer().nbytes:
        abort(422, "the file is empty: copy it again")
    if decoding.is_heif(start):
        try:
            decoding.register_heif()
        except PictureError as error:
            abort(415, str(error))
    Image.init()
    return [kind for kind in KNOWN if kind in Image.OPEN]


def unknown() -> NoReturn:
    abort(415, f"not a picture of a kind that is read here, whatever its name says: send {FORMATS}")
