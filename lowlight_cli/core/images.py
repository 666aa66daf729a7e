"""Picture files to tensors and back, with all that must survive on the way.

The file's type decides the range (8 bit / 255, 16 bit / 65535), never its brightest value: dark 16-bit files are dark.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from . import colour, sixteen
from .errors import PictureError
from .files import replacing

WRITTEN = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
    ".jp2": "JPEG2000",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
"""What can be written: Pillow's format of each suffix. HEIF needs the extra ``heic``."""
RAW = frozenset({".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"})
"""Camera raw files, which the extra ``raw`` reads."""
SUFFIXES = frozenset(WRITTEN) | RAW
"""What is looked for in folders."""
FORMATS = "JPEG, PNG, WebP, TIFF, BMP, AVIF, JPEG 2000, HEIC, camera raw"
SIXTEEN_BIT = frozenset({"PNG", "TIFF"})
WITH_ALPHA = frozenset({"PNG", "WEBP", "TIFF", "AVIF", "HEIF"})
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601

Depth = Literal["keep", "8", "16"]
Subsampling = Literal["keep", "444", "422", "420"]
STORAGE = frozenset({*range(254, 260), 262, 266, 273, 277, 278, 279, 284, 317, 320, *range(322, 326), 330, 338, 339})
"""Tags by which a TIFF describes its own storage, which a new file must not inherit."""
ELSEWHERE = frozenset({347, 529, 530, 531, 532, 700, 34675, 50341})
"""Tags of JPEG in TIFF, printing, and XMP and ICC, which are kept by themselves."""


@dataclass(frozen=True)
class Origin:
    """What a file says about its picture, apart from the pixels."""

    kind: str = "PNG"  # Pillow's name of the format, or the nearest that can be written
    exif: bytes = b""  # orientation already applied and reset
    xmp: bytes = b""
    icc: bytes = b""
    dpi: tuple[float, float] = (0, 0)
    jpeg: dict[str, Any] = field(default_factory=dict)  # quantisation tables and subsampling

    def kept(self) -> dict[str, Any]:
        """What there is, by Pillow's names."""
        named = {"exif": self.exif, "xmp": self.xmp, "icc_profile": self.icc, "dpi": self.dpi}
        return {name: value for name, value in named.items() if value and value != (0, 0)}


NOTHING = Origin()


@dataclass(frozen=True)
class Picture:
    """An upright picture, as it was stored."""

    samples: Tensor  # (C, H, W) uint8, uint16, or floats in [0, 1]: C = 3 is RGB, C = 1 gray
    alpha: Tensor | None = None  # (1, H, W) of the same type
    origin: Origin = NOTHING

    @property
    def pixels(self) -> Tensor:
        """RGB, (3, H, W) float32 in [0, 1]."""
        return scaled(self.samples).expand(3, -1, -1).contiguous()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.samples.shape[1], self.samples.shape[2]


def scaled(samples: Tensor) -> Tensor:
    """uint8 or uint16 of any shape as float32 in [0, 1]; floats unchanged."""
    return samples if samples.is_floating_point() else samples.float() / torch.iinfo(samples.dtype).max


def quantised(pixels: Tensor, dtype: torch.dtype = torch.uint8) -> Tensor:
    """[0, 1] floats of any shape to the uint8 or uint16 that a file stores: clamped and rounded."""
    values = (pixels.clamp(0, 1) * torch.iinfo(dtype).max).round()
    return values.to(torch.uint8) if dtype == torch.uint8 else values.to(torch.int32).to(dtype)


def converted(samples: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy in another type of the same range: uint8, uint16, or floats in [0, 1]; interleaved, as files want it."""
    if samples.dtype == dtype:
        values = samples.clone()
    elif dtype.is_floating_point:
        values = scaled(samples).to(dtype)
    elif samples.dtype == torch.uint8:
        values = (samples.to(torch.int32) * 257).to(dtype)
    else:
        values = quantised(scaled(samples), dtype)
    return values.permute(1, 2, 0).contiguous().permute(2, 0, 1)


def brightness(samples: Tensor) -> float:
    """The mean of (C, H, W) in [0, 1], weighted as the eye does; large pictures are sampled."""
    step = max(min(samples.shape[1:]) // 512, 1)
    values = scaled(samples[:, ::step, ::step]).float()
    return float(luma(values).mean() if len(values) == 3 else values.mean())


def luma(pixels: Tensor) -> Tensor:
    """(..., 3, H, W) to gray, (..., 1, H, W)."""
    return (pixels * pixels.new_tensor(LUMA).view(3, 1, 1)).sum(-3, keepdim=True)


def read(source: Path | IO[bytes]) -> Picture:
    """Decode a picture, turned upright. Raises PictureError naming the file and the fault."""
    path = source if isinstance(source, Path) else Path("-")
    try:
        if not isinstance(source, Path):
            source = io.BytesIO(source.read())
        if isinstance(source, Path) and not path.is_file():
            path.stat()  # raises if there is nothing
            raise PictureError("not a file")
        if (path.stat().st_size if isinstance(source, Path) else source.getbuffer().nbytes) == 0:
            raise PictureError("the file is empty")
        if isinstance(source, Path) and path.suffix.lower() in RAW:
            return developed(source)
        if WRITTEN.get(path.suffix.lower()) == "HEIF":
            know_heif()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata and sizes below Pillow's refusal are no reason to talk
            return decoded(source)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise PictureError(f"{path}: no such file or folder") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: not a picture, whatever its name says") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path}: more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, refused") from error
    except MemoryError as error:
        raise PictureError(f"{path}: too large for this machine's memory") from error
    except Exception as error:  # damaged files make decoders raise anything: SyntaxError, struct.error, IndexError ...
        fault = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{path}: damaged or unreadable ({fault})") from error


def decoded(source: Path | io.BytesIO) -> Picture:
    """The picture of any file that Pillow opens."""
    with Image.open(source) as image, Image.open(source) as again:
        if image.format in ("PNG", "WEBP", "AVIF") and getattr(image, "is_animated", False):
            raise PictureError("an animation: take its frames apart first")
        if image.mode not in ("RGB", "RGBA") or "transparency" in image.info or not sixteen.low_bytes(again):
            if getattr(image, "tag_v2", {}).get(258, ())[1:2] == (16,):
                raise PictureError("16-bit colour of a rare layout: save it as RGB with interleaved channels")
            return from_image(image)
        upright(image)
        origin, values = origin_of(image), array(image).astype(np.uint16)
        image.close()
        values <<= 8
        upright(again)
        for rows, part in bands(again):
            values[rows] |= part
        return from_array(values, origin)


def from_image(image: Image.Image) -> Picture:
    """A Pillow image of any mode, turned as its EXIF says. Changes the image."""
    upright(image)
    plain, origin = simplified(image, origin_of(image))
    return from_array(array(plain), origin)


def to_image(channels: Tensor) -> Image.Image:
    """(C, H, W) as Pillow image of 8 bit, or I;16 for gray of 16: C = 1 is gray, 2 gray and alpha, 3 RGB, 4 RGBA."""
    if channels.is_floating_point() or (channels.dtype == torch.uint16 and len(channels) > 1):
        channels = quantised(scaled(channels))
    values = channels.permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def described(picture: Picture) -> Image.Image:
    """A picture as Pillow image with its EXIF, profile and the like."""
    image = to_image(to_channels(picture))
    image.info.update(picture.origin.kept())
    return image


def pixels(path: Path) -> int:
    """How many pixels a file's header promises; 0 if it cannot be told."""
    if not path.is_file():  # opening a named pipe would wait for ever
        return 0
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            return image.width * image.height
    except Exception:  # reading it will say what is wrong
        return 0


def upright(image: Image.Image) -> None:
    """Decode, and turn as EXIF says."""
    image.load()
    ImageOps.exif_transpose(image, in_place=True)


def simplified(image: Image.Image, origin: Origin) -> tuple[Image.Image, Origin]:
    """A decoded picture of any mode as L, LA, I;16, RGB or RGBA."""
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        whole = np.clip(values * (65535 if image.mode == "F" else 1), 0, 65535).round().astype(np.uint16)
        return Image.fromarray(whole), origin
    if image.mode.startswith("I;16"):
        return image, origin
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
    return image if image.mode == mode else image.convert(mode), origin


def bands(image: Image.Image, rows: int = 256) -> Iterator[tuple[slice, np.ndarray]]:
    """A decoded picture as arrays of a few rows each; at once, Pillow would hold it three times."""
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        yield slice(top, bottom), np.asarray(image.crop((0, top, image.width, bottom)))


def array(image: Image.Image) -> np.ndarray:
    """A decoded picture as (H, W) or (H, W, C), uint8 or uint16."""
    channels = len(image.getbands())
    shape = (image.height, image.width) if channels == 1 else (image.height, image.width, channels)
    values = np.empty(shape, np.uint16 if image.mode.startswith("I;16") else np.uint8)
    for rows, part in bands(image):
        values[rows] = part
    return values


def from_array(values: np.ndarray, origin: Origin = NOTHING) -> Picture:
    """(H, W) gray or (H, W, C) as a Picture: C = 2 is gray and alpha, 3 RGB, 4 RGBA."""
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.dtype not in (np.uint8, np.uint16, np.float16, np.float32, np.float64):
        raise PictureError(f"{values.dtype} array of shape {values.shape}: give uint8, uint16 or floats, (H, W, C)")
    return from_channels(torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1), origin)


def from_channels(channels: Tensor, origin: Origin = NOTHING) -> Picture:
    """(C, H, W) as a Picture: C = 1 is gray, 2 gray and alpha, 3 RGB, 4 RGBA."""
    if channels.ndim != 3 or len(channels) not in (1, 2, 3, 4) or 0 in channels.shape:
        raise PictureError(f"{tuple(channels.shape)} is no picture: channels, height, width, with 1 to 4 channels")
    if not channels.is_floating_point() and channels.dtype not in (torch.uint8, torch.uint16):
        raise PictureError(f"{channels.dtype} is no picture: give uint8, uint16 or floats in [0, 1]")
    colours = 1 if len(channels) < 3 else 3
    return Picture(channels[:colours], channels[colours:] if len(channels) > colours else None, origin)


def taken(image: Any) -> tuple[Picture, Callable[[Picture], Any]]:
    """A path, Pillow image, array or tensor as a Picture, and what turns a Picture into the same kind of thing again.

    A path turns into a Pillow image.
    """
    match image:
        case str() | Path():
            return read(Path(image)), described
        case Image.Image():
            return from_image(image.copy()), described
        case np.ndarray():
            return from_array(image), lambda picture: to_channels(picture).permute(1, 2, 0).numpy().reshape(image.shape)
        case Tensor():
            return from_channels(image), lambda picture: to_channels(picture).to(image.device)
    raise TypeError(f"{type(image).__name__} is no picture: give a path, Pillow image, array or tensor")


def to_channels(picture: Picture) -> Tensor:
    """(C, H, W), the alpha as last channel if there is one."""
    return picture.samples if picture.alpha is None else torch.cat([picture.samples, picture.alpha])


def origin_of(image: Image.Image) -> Origin:
    """The metadata of an upright picture, as far as it can be read."""
    info = image.info
    xmp, icc, dpi = info.get("xmp"), info.get("icc_profile"), info.get("dpi")
    jpeg: dict[str, Any] = {}
    if isinstance(image, JpegImagePlugin.JpegImageFile) and image.mode in ("L", "RGB"):
        sampling = JpegImagePlugin.get_sampling(image)
        jpeg = {"qtables": image.quantization, "subsampling": sampling if sampling in (0, 1, 2) else 0}
    kind = "JPEG" if image.format == "MPO" else image.format
    return Origin(
        kind=kind if kind in WRITTEN.values() and kind else "PNG",
        exif=exif_of(image),
        xmp=xmp if isinstance(xmp, bytes) else b"",
        icc=icc if isinstance(icc, bytes) else b"",
        dpi=(float(dpi[0]), float(dpi[1])) if isinstance(dpi, tuple) and len(dpi) == 2 else (0, 0),
        jpeg=jpeg,
    )


def exif_of(image: Image.Image) -> bytes:
    """EXIF without thumbnail and without the tags by which a TIFF describes its own storage."""
    try:
        exif = image.getexif()
        for tag in STORAGE | ELSEWHERE:
            exif.pop(tag, None)
        camera = exif.get_ifd(ExifTags.IFD.Exif)
        for tag, side in (ExifTags.Base.ExifImageWidth, image.width), (ExifTags.Base.ExifImageHeight, image.height):
            if tag in camera:
                camera[tag] = side
        return exif.tobytes() if len(exif) else b""
    except Exception:  # damaged metadata: the picture goes through without
        return b""


def know_heif() -> None:
    """Teach Pillow HEIC."""
    try:
        import pillow_heif
    except ImportError as error:
        raise PictureError("HEIC needs one more package: pip install 'lowlight[heic]'") from error
    pillow_heif.register_heif_opener()


def developed(path: Path) -> Picture:
    """A camera raw file in 16 bit, with the camera's white balance and its own exposure."""
    try:
        import rawpy
    except ImportError as error:
        raise PictureError("camera raw needs one more package: pip install 'lowlight[raw]'") from error
    with rawpy.imread(str(path)) as raw:
        values = raw.postprocess(output_bps=16, no_auto_bright=True, use_camera_wb=True, gamma=(2.4, 12.92))
    exif = b""
    with contextlib.suppress(Exception), Image.open(path) as preview:  # most are TIFF with the camera's EXIF
        exif = exif_of(preview)
    return from_array(values, Origin(exif=exif))


# ------------------------------------------------------------------------------------------------------------ writing


@dataclass(frozen=True)
class Encoding:
    """How to store a picture."""

    quality: int | None = None  # without, a JPEG is as fine as the JPEG it came from, and everything else 95
    subsampling: Subsampling = "keep"
    depth: Depth = "keep"
    strip: bool = False  # leave out EXIF and XMP

    def dtype(self, kind: str, own: torch.dtype) -> torch.dtype:
        """What to compute for a format: uint16 if it is wanted and the format holds it."""
        wide = self.depth == "16" or (self.depth == "keep" and own == torch.uint16)
        return torch.uint16 if wide and kind in SIXTEEN_BIT else torch.uint8


USUAL = Encoding()


def kind_of(path: Path) -> str:
    """Pillow's name of the format that a suffix asks for. Raises PictureError if it cannot be written."""
    try:
        return WRITTEN[path.suffix.lower()]
    except KeyError:
        fault = f"cannot write {path.suffix or 'a name without suffix'}: use one of {', '.join(WRITTEN)}"
        raise PictureError(f"{path}: {fault}") from None


def write(target: Path, picture: Picture, encoding: Encoding = USUAL) -> None:
    """Encode to the format of the suffix, whole or not at all, in as many bits as it holds."""
    kind = kind_of(target)
    with storing(target) as file:
        encode(file, picture, kind, encoding)


def save(image: Image.Image, target: Path) -> None:
    """Write a Pillow image, whole or not at all."""
    kind = kind_of(target)
    with storing(target) as file:
        image.save(file, format=kind, quality=92)


@contextlib.contextmanager
def storing(target: Path) -> Iterator[IO[bytes]]:
    """A file that becomes ``target`` if the block succeeds. Failures become PictureError with the name in it."""
    try:
        with replacing(target) as partial, partial.open("wb") as file:
            yield file
    except PictureError as error:
        raise PictureError(f"{target}: {error}") from error
    except OSError as error:
        raise PictureError(f"{target}: cannot be written: {error.strerror or error}") from error
    except ValueError as error:  # more pixels a side than the format can hold
        raise PictureError(f"{target}: cannot be written: {error}: choose another format") from error


def encode(file: IO[bytes], picture: Picture, kind: str, encoding: Encoding = USUAL) -> None:
    """Encode to a stream, in one of the formats in ``WRITTEN``."""
    quality, subsampling = encoding.quality, encoding.subsampling
    origin = replace(picture.origin, exif=b"", xmp=b"") if encoding.strip else picture.origin
    channels = picture.samples
    if picture.alpha is not None and kind in WITH_ALPHA:
        opaque = channels.expand(3, -1, -1) if len(channels) == 1 and kind not in ("PNG", "TIFF") else channels
        channels = torch.cat([opaque, picture.alpha])
    if channels.is_floating_point() or (channels.dtype == torch.uint16 and kind not in SIXTEEN_BIT):
        channels = quantised(scaled(channels))
    values = channels.permute(1, 2, 0).cpu().numpy()
    if kind == "TIFF":
        sixteen.write_tiff(file, values, tags=tiff_tags(origin), alpha=values.shape[2] in (2, 4))
        return
    if values.dtype == np.uint16:
        sixteen.write_png(file, values, exif=origin.exif, icc=origin.icc, xmp=origin.xmp, dpi=origin.dpi)
        return
    options = origin.kept()
    if kind == "JPEG":
        options |= origin.jpeg if quality is None and origin.jpeg else {"quality": quality or 95, "subsampling": 0}
        if subsampling != "keep":
            options["subsampling"] = {"444": 0, "422": 1, "420": 2}[subsampling]
        options = {name: value for name, value in options.items() if name not in ("exif", "xmp") or len(value) < 65000}
    elif kind == "PNG" and origin.xmp:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", origin.xmp)
    elif kind in ("WEBP", "AVIF", "HEIF"):
        options["quality"] = quality or 95
    if kind == "HEIF":
        know_heif()
    to_image(channels).save(file, format=kind, **options)


def tiff_tags(origin: Origin) -> dict[int, Any]:
    """Metadata as the tags of a TIFF."""
    exif = Image.Exif()
    exif.load(origin.exif)
    nested = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
    tags = {tag: exif.get_ifd(tag) if tag in nested else value for tag, value in exif.items()}
    if origin.xmp:
        tags[700] = origin.xmp
    if origin.icc:
        tags[34675] = origin.icc
    if any(origin.dpi):
        tags |= {
            ExifTags.Base.XResolution: origin.dpi[0],
            ExifTags.Base.YResolution: origin.dpi[1],
            ExifTags.Base.ResolutionUnit: 2,
        }
    return tags
