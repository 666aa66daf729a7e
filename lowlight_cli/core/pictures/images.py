"""Picture files to tensors and back, with all that must survive on the way.

The file's type decides the range (8 bit / 255, 16 bit / 65535), never its brightest value: dark 16-bit files are dark.
"""

import contextlib
import errno
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from torch import Tensor

from ..errors import FullDiskError, PictureError
from ..files import replacing
from . import decoding
from .encoding import USUAL, Encoding, by_pillow, encode, encoding_faults
from .metadata import verbatim
from .picture import Picture, from_array, from_channels, to_channels, to_image

WRITTEN = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
    ".jp2": "JPEG2000",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
}
"""What can be written: Pillow's format of each suffix. HEIF needs the extra ``heic``."""
RAW = frozenset(
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos"  # noqa: SIM905
    " .mrw .nef .nrw .orf .pef .raf .rw2 .rwl .sr2 .srf .srw .x3f".split()
)
"""Camera raw files, which the extra ``raw`` reads."""
SUFFIXES = frozenset(WRITTEN) | RAW
"""What data sets consist of."""
BESIDES = {".mpo": ".jpg", ".gif": ".png"}
"""What else is looked for in folders of photographs, and the suffix of its results."""
LOOKED_FOR = SUFFIXES | BESIDES.keys()
"""What is looked for there."""
FORMATS = "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, JPEG 2000, HEIC, camera raw"


def read(source: Path | IO[bytes], formats: list[str] | None = None) -> Picture:
    """Decode a picture, turned upright; of ``formats`` alone, as Pillow calls them, if they are given. Raises
    PictureError naming the file and the fault."""
    path = source if isinstance(source, Path) else Path("standard input")
    lacking: PictureError | None = None
    try:
        given = source if isinstance(source, Path) else io.BytesIO(source.read())
        if isinstance(given, Path) and not path.is_file():
            path.stat()  # raises if there is nothing
            raise PictureError("not a file that can be read")
        if (path.stat().st_size if isinstance(given, Path) else given.getbuffer().nbytes) == 0:
            raise PictureError("the file is empty: copy it again")
        if isinstance(given, Path) and path.suffix.lower() in RAW:
            return decoding.developed(given)
        if WRITTEN.get(path.suffix.lower()) == "HEIF" or decoding.is_heif(given):
            try:
                decoding.register_heif()
            except PictureError as error:  # which matters only if it is HEIC after all
                lacking = error
        return decoding.from_file(given, formats)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise PictureError(f"{path}: no such file or folder") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: {lacking or decoding.unknown(given)}") from error
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"{path}: more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels: reduce it first"
        ) from error
    except PermissionError as error:
        raise PictureError(f"{path}: you may not read this file: see its permissions") from error
    except MemoryError as error:
        raise PictureError(f"{path}: too large for this machine's memory") from error
    except Exception as error:  # damaged files make decoders raise anything: SyntaxError, struct.error, IndexError ...
        raise PictureError(f"{path}: {damaged(error)}") from error


def damaged(error: Exception) -> PictureError:
    """What to say where a decoder has failed."""
    fault = " ".join(str(error).split()) or type(error).__name__
    return PictureError(f"damaged or unreadable ({fault}): copy or export it again")


def to_pillow(picture: Picture) -> Image.Image:
    """A picture as Pillow image with its EXIF, profile and the like."""
    image = to_image(to_channels(picture))
    image.info.update(picture.origin.kept())
    return image


def size(path: Path) -> tuple[int, int] | None:
    """The height and width, upright, that a file's header promises, for camera raw perhaps those of the picture lying;
    None if it cannot be told."""
    try:
        if not path.is_file():  # opening a named pipe would wait for ever
            return None
        if path.suffix.lower() in RAW:  # whose first picture is a small one
            import rawpy

            with rawpy.imread(str(path)) as raw:
                return int(raw.sizes.height), int(raw.sizes.width)
        if decoding.is_heif(path):
            with contextlib.suppress(PictureError):
                decoding.register_heif()
        with Image.open(path) as image:
            lying = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            return (image.width, image.height) if lying else (image.height, image.width)
    except Exception:  # reading it will say what is wrong
        return None


def pixels(path: Path) -> int:
    """How many pixels a file's header promises; 0 if it cannot be told."""
    height, width = size(path) or (0, 0)
    return height * width


def copied(image: Image.Image) -> Image.Image:
    """A decoded copy that keeps the file's format, TIFF tags and EXIF, which Pillow's own copies drop. Raises
    PictureError."""
    try:
        image.load()  # which until now may have read a header alone
    except MemoryError:
        raise
    except Exception as error:
        raise damaged(error) from error
    copy = image.copy()
    copy.format = image.format
    if image.format == "TIFF":
        copy.tag_v2 = getattr(image, "tag_v2", {})  # type: ignore[attr-defined]
    if "exif" not in copy.info and (exif := image.getexif()):
        with contextlib.suppress(Exception):  # damaged metadata: the picture goes through without
            copy.info["exif"] = verbatim(exif).tobytes()
    return copy


def taken(image: Any) -> tuple[Picture, Callable[[Picture], Any]]:
    """A path, Pillow image, array or tensor as a Picture, and what turns a Picture into the same kind of thing again.

    A path turns into a Pillow image.
    """
    match image:
        case str() | Path():
            return read(Path(image)), to_pillow
        case Image.Image():
            return decoding.from_image(copied(image)), to_pillow
        case np.ndarray():
            return from_array(image), lambda picture: to_channels(picture).permute(1, 2, 0).numpy().reshape(image.shape)
        case Tensor():
            return from_channels(image), lambda picture: to_channels(picture).to(image.device)
    raise TypeError(f"{type(image).__name__} is not a picture: give a path, Pillow image, array or tensor")


def kind_of(path: Path) -> str:
    """Pillow's name of the format that a suffix asks for. Raises PictureError if it cannot be written."""
    try:
        return WRITTEN[path.suffix.lower()]
    except KeyError:
        fault = f"cannot write {path.suffix or 'a name without suffix'}: use one of {', '.join(WRITTEN)}"
        raise PictureError(f"{path}: {fault}") from None


def kept_as(picture: Picture) -> str:
    """Pillow's name of the format in which a picture is stored unless told otherwise: its own, PNG where that cannot be
    written."""
    return picture.origin.kind if picture.origin.kind in WRITTEN.values() else "PNG"


def write(target: Path, picture: Picture, encoding: Encoding = USUAL) -> None:
    """Encode to the format of the suffix, whole or not at all, in as many bits as it holds."""
    kind = kind_of(target)
    with storing(target) as file:
        encode(file, picture, kind, encoding)


def save(image: Image.Image, target: Path) -> None:
    """Write a Pillow image, whole or not at all."""
    kind = kind_of(target)
    with storing(target) as file, encoding_faults():
        if kind == "HEIF":
            decoding.register_heif()
        by_pillow(image, file, kind, quality=92)


@contextlib.contextmanager
def storing(target: Path) -> Iterator[IO[bytes]]:
    """A file that becomes ``target`` if the block succeeds. Failures become PictureError with the name in it."""
    try:
        with replacing(target) as partial, partial.open("wb") as file:
            yield file
    except PictureError as error:
        raise PictureError(f"{target}: {error}") from error
    except OSError as error:
        said = f"{target}: cannot be written: {error.strerror or error}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FullDiskError(f"{said}: make room") from error
        raise PictureError(f"{said}: choose another place") from error
