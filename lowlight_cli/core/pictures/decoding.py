"""What a picture file holds, as a Picture: every kind that Pillow opens, what of it Pillow loses, and camera raw."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps

from ..errors import PictureError
from . import colour, sixteen
from .metadata import Origin, exif_of, lossless_webp, origin_of
from .picture import Picture, check_range, from_array

HEIF = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc")
"""How HEIC goes on after four bytes."""
BAND = 256
"""Rows of a decoded picture that become an array at once: of all, Pillow would hold three copies."""
PAGES = 16
"""Pages of a TIFF above which it is no picture with smaller ones of itself."""


def from_file(source: Path | io.BytesIO, formats: list[str] | None = None) -> Picture:
    """The picture of any file that Pillow opens, or of these formats alone."""
    with (
        opened(source) as file,
        opened(source) as twin,
        Image.open(file, formats=formats) as image,
        Image.open(twin, formats=formats) as again,
    ):
        if image.format in ("PNG", "WEBP", "AVIF", "GIF") and getattr(image, "is_animated", False):
            raise PictureError("an animation: take its frames apart first")
        if image.format == "TIFF" and of_sensor(image):
            raise PictureError(
                "camera raw, whose small preview alone can be read here: give it the camera's own name, or develop it"
            )
        if image.format == "TIFF" and several_pages(image):
            raise PictureError("several pages: take them apart first")
        if image.format == "TIFF" and image.mode == "I":
            raise PictureError("whole numbers of which nobody knows what white is: save it with 8 or 16 bits, unsigned")
        if sixteen.half_read(image):
            twin.seek(0)
            return wide_png(twin.read(), image)
        if image.mode not in ("RGB", "RGBA") or "transparency" in image.info or not sixteen.low_bytes(again):
            if getattr(image, "tag_v2", {}).get(258, ())[1:2] == (16,):
                raise PictureError("16-bit colour of a rare layout: save it as RGB with interleaved channels")
            picture = from_image(image)
            if picture.origin.kind == "WEBP":
                twin.seek(0)
                picture = replace(picture, origin=replace(picture.origin, lossless=lossless_webp(twin.read())))
            return picture
        upright(image)
        origin, values = origin_of(image), array(image).astype(np.uint16)
        image.close()
        values <<= 8
        upright(again)
        for rows, part in bands(again):
            values[rows] |= part
        return from_array(values, origin)


def unknown(source: Path | io.BytesIO) -> str:
    """What to say of a file that Pillow does not open."""
    with opened(source) as file:
        tiff = file.read(4) in (b"II*\0", b"MM\0*")
    if tiff:
        return "a TIFF of a kind that is not read here: save it as RGB or gray of 8 or 16 bits"
    return "not a picture, whatever its name says, or its beginning is damaged"


def opened(source: Path | io.BytesIO) -> IO[bytes]:
    """A stream of its own. Not a path: of one, Pillow maps plain TIFFs into memory, which EXIF must then not turn
    (Pillow 13.0 scrambles them)."""
    return io.BytesIO(source.getvalue()) if isinstance(source, io.BytesIO) else source.open("rb")


def of_sensor(image: Image.Image) -> bool:
    """Whether a TIFF is a camera's raw file: it is a DNG, or begins with a smaller version of what is meant."""
    return 50706 in getattr(image, "tag_v2", {}) or reduced(image)


def reduced(page: Image.Image) -> bool:
    """Whether this page of a TIFF says that it is a smaller version of another."""
    return bool(getattr(page, "tag_v2", {}).get(254, 0) & 1)


def several_pages(image: Image.Image) -> bool:
    """Whether a TIFF has another page that is no smaller version of the first, or more than ``PAGES``, each of which
    takes time to find; cameras add a small one to look at."""
    width, height = image.size
    try:
        for number in range(1, PAGES + 1):
            image.seek(number)
            if not reduced(image) and max(image.width / width, image.height / height) > 1 / 2:
                return True
    except EOFError:
        return False
    finally:
        image.seek(0)
    return True


def wide_png(content: bytes, image: Image.Image) -> Picture:
    """A PNG of which Pillow, that has opened it as ``image``, loses half."""
    values = sixteen.read_png(content, image.info.get("transparency"))
    planes = [Image.fromarray(plane) for plane in np.moveaxis(values, 2, 0)]
    image.load()  # EXIF may stand behind the pixels, and XMP tell of the orientation as well
    way = Image.Exif()
    way[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    for plane in planes:
        plane.info["exif"] = way.tobytes()
        upright(plane)
    upright(image)
    return from_array(np.stack([array(plane) for plane in planes], axis=2), origin_of(image))


def from_image(image: Image.Image) -> Picture:
    """A Pillow image of any mode, turned as its EXIF says. Changes the image."""
    upright(image)
    plain, origin = simplified(image, origin_of(image))
    return from_array(array(plain), origin)


def upright(image: Image.Image) -> None:
    """Decode, and turn as EXIF says."""
    image.load()
    ImageOps.exif_transpose(image, in_place=True)


def simplified(image: Image.Image, origin: Origin) -> tuple[Image.Image, Origin]:
    """A decoded picture of any mode as L, LA, I;16, RGB or RGBA."""
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=1, neginf=0)
        if image.mode == "F":
            check_range(values.min(), values.max())
            values = values * 65535
        return Image.fromarray(np.clip(values, 0, 65535).round().astype(np.uint16)), origin
    if image.mode.startswith("I;16"):
        return levelled(image), origin
    if image.mode in ("1", "L", "LA", "La"):
        return image.convert("LA" if image.has_transparency_data else "L"), origin
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode == "CMYK" or (origin.icc and image.mode == mode and not colour.is_matrix(origin.icc)):
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(origin.icc))
            image = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=mode) or image
            origin = replace(origin, icc=b"", jpeg={})
        except (ImageCms.PyCMSError, OSError, ValueError):  # no usable profile: Pillow's own idea of the colours
            origin = replace(origin, icc=b"" if image.mode == "CMYK" else origin.icc, jpeg={})
    if origin.icc[36:40] == b"acsp" and origin.icc[16:20] != b"RGB ":  # Lab's, say, which the colours are no more
        origin = replace(origin, icc=b"")
    return image if image.mode == mode else image.convert(mode), origin


def levelled(image: Image.Image) -> Image.Image:
    """Gray of 16 bits from 0, black, to 65535, white: of TIFFs of 12 bits, or with white at 0, Pillow gives it raw."""
    tags = getattr(image, "tag_v2", {})
    twelve, inverse = tags.get(258) == (12,), tags.get(262) == 0
    if not (twelve or inverse):
        return image
    values = array(image)
    values = values << 4 | values >> 8 if twelve else values
    return Image.fromarray(~values if inverse else values)


def bands(image: Image.Image) -> Iterator[tuple[slice, np.ndarray]]:
    """A decoded picture as arrays of ``BAND`` rows each, and which rows they are."""
    for top in range(0, image.height, BAND):
        bottom = min(top + BAND, image.height)
        yield slice(top, bottom), np.asarray(image.crop((0, top, image.width, bottom)))


def array(image: Image.Image) -> np.ndarray:
    """A decoded picture as (H, W) or (H, W, C), uint8 or uint16."""
    channels = len(image.getbands())
    shape = (image.height, image.width) if channels == 1 else (image.height, image.width, channels)
    values = np.empty(shape, np.uint16 if image.mode.startswith("I;16") else np.uint8)
    for rows, part in bands(image):
        values[rows] = part
    return values


def is_heif(source: Path | io.BytesIO) -> bool:
    """Whether a file is HEIC by its content: phones and messengers give it other names."""
    with opened(source) as file:
        return file.read(12)[4:] in HEIF


def register_heif() -> None:
    """Teach Pillow HEIC."""
    try:
        import pillow_heif
    except ImportError as error:
        raise PictureError("HEIC needs one more package: pip install 'lowlight[heic]'") from error
    Image.init()  # Pillow's own first: an AVIF may call itself mif1 as well, which libheif has no decoder for
    pillow_heif.register_heif_opener()


def developed(path: Path) -> Picture:
    """A camera raw file in 16 bit, with the camera's white balance and its own exposure."""
    try:
        import rawpy
    except ImportError as error:
        raise PictureError("camera raw needs one more package: pip install 'lowlight[raw]'") from error
    try:
        with rawpy.imread(str(path)) as raw:
            values = raw.postprocess(output_bps=16, no_auto_bright=True, use_camera_wb=True, gamma=(2.4, 12.92))
    except rawpy.LibRawError as error:
        raise PictureError("a damaged raw file, or one of a camera that LibRaw does not know") from error
    exif = b""
    with contextlib.suppress(Exception), Image.open(path) as preview:  # most are TIFF with the camera's EXIF
        exif = exif_of(preview, values.shape[:2])
    return from_array(values, Origin(kind="TIFF", exif=exif))  # the format that holds as much of it
