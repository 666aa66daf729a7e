"""Pictures to streams, in each format that can be written, with the metadata and as fine as what they come from."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import IO, Any, cast

import numpy as np
import torch
from PIL import Image

from ...settings import Depth, Subsampling
from ..errors import PictureError
from . import decoding, sixteen
from .metadata import Origin, captioned, png_texts, resolved, shortened, tiff_tags
from .picture import Picture, converted, quantised, scaled, to_image

SIXTEEN_BIT = frozenset({"PNG", "TIFF"})
WITH_ALPHA = frozenset({"PNG", "WEBP", "TIFF", "AVIF", "HEIF", "JPEG2000"})
SEGMENT = 65_000
"""Bytes of EXIF, or of XMP, that a JPEG holds."""
WITHOUT_PROFILE = frozenset({"BMP", "JPEG2000"})
"""Formats whose files, as Pillow writes them, hold no colour profile: what goes into them becomes sRGB."""


@dataclass(frozen=True)
class Encoding:
    """How to store a picture."""

    quality: int | None = None  # without, JPEG and lossless WebP are as fine as what they come from; all else has 95
    subsampling: Subsampling = "keep"
    depth: Depth = "keep"
    strip: bool = False  # leave out EXIF, XMP, IPTC, comment and texts

    def dtype(self, kind: str, own: torch.dtype) -> torch.dtype:
        """What to compute for a format: uint16 if it is wanted and the format holds it."""
        wide = self.depth == "16" or (self.depth == "keep" and own == torch.uint16)
        return torch.uint16 if wide and kind in SIXTEEN_BIT else torch.uint8


USUAL = Encoding()


@contextlib.contextmanager
def encoding_faults() -> Iterator[None]:
    """What encoders raise, for sides too long for the format or metadata that it cannot hold, as PictureError."""
    try:
        yield
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError("too large for this machine's memory") from error
    except Exception as error:  # ValueError, RuntimeError, OverflowError, struct.error ...
        if isinstance(error, OSError) and error.errno is not None:  # the disk's, not the encoder's
            raise
        fault = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"cannot be encoded ({fault}): choose another format, or leave out its metadata") from error


@encoding_faults()
def encode(file: IO[bytes], picture: Picture, kind: str, encoding: Encoding = USUAL) -> None:
    """Encode to a seekable stream, in a format of ``images.WRITTEN``. Raises PictureError."""
    quality = encoding.quality
    origin = picture.origin.stripped() if encoding.strip else picture.origin
    channels = picture.srgb if kind in WITHOUT_PROFILE and len(picture.samples) == 3 else picture.samples
    if picture.alpha is not None and kind in WITH_ALPHA:
        wide_tiff = kind == "TIFF" and channels.dtype != torch.uint8  # Pillow reads no 16-bit gray with transparency
        if len(channels) == 1 and (wide_tiff or kind not in ("PNG", "TIFF")):
            channels = channels.expand(3, -1, -1)
        channels = torch.cat([channels, converted(picture.alpha, channels.dtype)])
    elif picture.alpha is not None and scaled(picture.alpha).min() < 1:
        raise PictureError(f"{kind} holds no transparency: choose png, webp, tif or avif")
    if channels.is_floating_point() or (channels.dtype == torch.uint16 and kind not in SIXTEEN_BIT):
        channels = quantised(scaled(channels))
    if origin.icc[16:20] == b"GRAY" and (len(channels) > 2 or kind == "WEBP"):  # which has three colours in any case
        origin = replace(origin, icc=b"")
    values = channels.permute(1, 2, 0).cpu().numpy()
    if kind == "TIFF":
        sixteen.write_tiff(file, values, tags=tiff_tags(origin), alpha=values.shape[2] in (2, 4))
        return
    if values.dtype == np.uint16:
        sixteen.write_png(file, values, exif=origin.exif, icc=origin.icc, texts=png_texts(origin), dpi=origin.dpi)
        return
    options = origin.kept()
    if kind == "JPEG":
        options = jpeg_options(origin, encoding)
    elif kind == "PNG":
        options["pnginfo"] = png_texts(origin)
    elif kind == "WEBP" and origin.lossless and quality is None:
        options |= {"lossless": True, "exact": True}  # what is transparent keeps its colours, too
    elif kind in ("WEBP", "AVIF", "HEIF"):
        options["quality"] = quality or 95
    if kind in ("WEBP", "AVIF", "HEIF") and any(origin.dpi):
        options["exif"] = resolved(origin)
    if kind == "HEIF":
        decoding.register_heif()
    by_pillow(to_image(channels), file, kind, **options)


def by_pillow(image: Image.Image, file: IO[bytes], kind: str, **options: Any) -> None:
    """Encode with Pillow. Its encoders get no descriptor of a file, to which they would write themselves: on a full
    disk they leave half a JPEG without a word. That of JPEG 2000 goes on for ever whenever a write fails, and so gets
    memory, where none does."""
    if kind == "JPEG2000":
        memory = io.BytesIO()
        image.save(memory, format=kind, **options)
        file.write(memory.getbuffer())
    else:
        plain = SimpleNamespace(write=file.write, seek=file.seek, tell=file.tell, flush=file.flush)
        image.save(cast(IO[bytes], plain), format=kind, **options)


def jpeg_options(origin: Origin, encoding: Encoding) -> dict[str, Any]:
    """What Pillow is told for a JPEG: the tables and metadata of the original, as far as a JPEG holds them."""
    options = origin.kept() | {"subsampling": 0} | origin.jpeg
    if encoding.quality is not None or not origin.jpeg:
        options["quality"] = encoding.quality or 95
        options.pop("qtables", None)
    if encoding.subsampling != "keep":
        options["subsampling"] = {"444": 0, "422": 1, "420": 2}[encoding.subsampling]
    options |= {"exif": shortened(origin.exif, SEGMENT), "xmp": origin.xmp if len(origin.xmp) <= SEGMENT else b""}
    options |= {"extra": captioned(origin.iptc), "comment": origin.comment}
    options = {name: value for name, value in options.items() if value or name not in ("exif", "xmp", "comment")}
    if max(origin.dpi) >= 1 << 16:  # of a microscope: more than JPEG can say
        del options["dpi"]
    return options
