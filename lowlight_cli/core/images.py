"""Picture files to float tensors and back. Inside the core a picture is float32 RGB, (3, H, W), in [0, 1].

The file's type decides the range (8 bit / 255, 16 bit / 65535), never its brightest value: dark 16-bit files are dark.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .errors import PictureError
from .files import replacing

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
"""What is looked for in folders, and what can be written."""
FORMATS = "JPEG, PNG, WebP, TIFF, BMP"
WITH_ALPHA = frozenset({".png", ".webp", ".tif", ".tiff"})
SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class Picture:
    """A picture and what must survive its enhancement."""

    pixels: Tensor  # (3, H, W) float32 in [0, 1]
    alpha: Tensor | None = None  # (1, H, W) float32 in [0, 1]
    gray: bool = False
    exif: bytes | None = None  # orientation already applied and reset
    icc: bytes | None = None


def read(path: Path) -> Picture:
    """Decode a picture, turned upright. Raises PictureError naming the file and the fault."""
    try:
        if path.stat().st_size == 0:
            raise PictureError(f"{path}: the file is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata and sizes below Pillow's refusal are no reason to talk
            with Image.open(path) as file:
                file.load()
                image = ImageOps.exif_transpose(file)
                return decoded(image)
    except FileNotFoundError as error:
        raise PictureError(f"{path}: no such file or folder") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: not a picture, whatever its name says") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path}: more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, refused") from error
    except MemoryError as error:
        raise PictureError(f"{path}: too large for this machine's memory") from error
    except PictureError:
        raise
    except Exception as error:  # damaged files make decoders raise anything: SyntaxError, struct.error, IndexError ...
        fault = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{path}: damaged or unreadable ({fault})") from error


def decoded(image: Image.Image) -> Picture:
    """A loaded, upright Pillow image of any mode as a Picture."""
    exif = image.getexif().tobytes() or None
    icc = image.info.get("icc_profile")
    gray = image.mode in ("1", "L", "LA", "La", "F", *SIXTEEN_BIT)
    alpha = None
    if image.mode in SIXTEEN_BIT:
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 65535.0)[None].expand(3, -1, -1)
    elif image.mode == "F":
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32).copy())[None].expand(3, -1, -1)
    else:
        if image.mode == "CMYK":
            icc = None  # describes inks, not the RGB that the picture becomes
        if image.has_transparency_data:
            rgba = from_bytes(image.convert("RGBA"))
            pixels, alpha = rgba[:3], rgba[3:]
        else:
            pixels = from_bytes(image.convert("RGB"))
    return Picture(pixels.clamp(0, 1).contiguous(), alpha, gray, exif, icc)


def from_bytes(image: Image.Image) -> Tensor:
    """An 8-bit Pillow image as (C, H, W) float32 in [0, 1]."""
    values = torch.from_numpy(np.array(image, dtype=np.uint8))
    return values.view(image.height, image.width, -1).permute(2, 0, 1).float() / 255


def quantised(pixels: Tensor) -> Tensor:
    """[0, 1] floats of any shape to the uint8 that a file stores: clamped and rounded."""
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)


def writable(path: Path) -> None:
    """Raise PictureError unless ``path`` names a format that can be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise PictureError(
            f"{path}: cannot write {path.suffix or 'a name without suffix'}: use one of {', '.join(sorted(SUFFIXES))}"
        )


def write(path: Path, picture: Picture) -> None:
    """Encode to the format of the suffix, whole or not at all. JPEG and WebP at quality 95, full colour resolution."""
    writable(path)
    suffix = path.suffix.lower()
    pixels = picture.pixels
    if picture.gray:
        pixels = (pixels * pixels.new_tensor((0.299, 0.587, 0.114)).view(3, 1, 1)).sum(0, keepdim=True)
    if picture.alpha is not None and suffix in WITH_ALPHA:
        opaque = pixels.expand(3, -1, -1) if suffix == ".webp" else pixels
        pixels = torch.cat([opaque, picture.alpha.to(pixels)])
    options: dict[str, Any] = {}
    if suffix in (".jpg", ".jpeg"):
        options = {"quality": 95, "subsampling": 0}
    elif suffix == ".webp":
        options = {"quality": 95, "method": 4}
    elif suffix in (".tif", ".tiff"):
        options = {"compression": "tiff_adobe_deflate"}
    if suffix != ".bmp":
        options |= {name: value for name, value in (("exif", picture.exif), ("icc_profile", picture.icc)) if value}
    save(to_image(pixels), path, **options)


def save(image: Image.Image, path: Path, **options: Any) -> None:
    """Encode a Pillow image, whole or not at all."""
    try:
        with replacing(path) as partial:
            image.save(partial, **options)
    except OSError as error:
        raise PictureError(f"{path}: cannot be written: {error.strerror or error}") from error
    except ValueError as error:  # more pixels a side than the format can hold
        raise PictureError(f"{path}: cannot be written: {error}: choose another format") from error


def to_image(pixels: Tensor) -> Image.Image:
    """(C, H, W) floats in [0, 1] as an 8-bit Pillow image: C = 1 is L, 2 LA, 3 RGB, 4 RGBA."""
    values = quantised(pixels).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
