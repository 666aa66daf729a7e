"""What a picture file says apart from the pixels, and must survive: EXIF, XMP, IPTC, colour profile, resolution."""

import re
import struct
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import ExifTags, Image, JpegImagePlugin, PngImagePlugin

STORAGE = frozenset({*range(254, 260), 262, 266, 273, *range(277, 282), 284, *range(288, 292), 301, 317, 320})
STORAGE |= {*range(322, 326), 330, *range(332, 342), *range(512, 522)}
"""Tags by which a TIFF describes its own storage and samples, which a new file must not inherit."""
ELSEWHERE = frozenset({347, 529, 530, 531, 532, 700, 34377, 34675, 37724, 50341, *range(50706, 52600)})
"""Tags of JPEG in TIFF, printing, Photoshop's layers and camera raw, which tell of the picture as it was, and XMP and
ICC, which are kept by themselves."""
CAPTION, IPTC_IN_TIFF = 1028, 33723
"""Where Photoshop's resources in a JPEG, and a TIFF's tags, have the IPTC record: caption, keywords, credit."""
FINEST = 1e7
"""Pixels an inch that no picture has: a hundredth of a light wave each."""
XMP_IN_PNG = "XML:com.adobe.xmp"
ATTRIBUTE = re.compile(rb"""\s(?:hdrgm:\w+|GCamera:(?:MotionPhoto|MicroVideo)\w*)\s*=\s*("[^"]*"|'[^']*')""")
ELEMENT = re.compile(rb"<(hdrgm:\w+|GCamera:(?:MotionPhoto|MicroVideo)\w*|Container:Directory)\b[^<>]*>")
END = re.compile(rb"</((?:hdrgm|GCamera|Container):\w+)\s*>")
"""What XMP says of a phone's video or gain map behind the picture (developer.android.com, "Motion Photo format" and
"Ultra HDR image format"), neither of which a new file has; viewers would look for them."""


@dataclass(frozen=True)
class Origin:
    """What a file says about its picture, apart from the pixels."""

    kind: str = ""  # Pillow's name of the format
    exif: bytes = b""  # orientation already applied and gone
    xmp: bytes = b""
    icc: bytes = b""
    dpi: tuple[float, float] = (0, 0)
    iptc: bytes = b""  # of a JPEG; a TIFF's is among its tags
    comment: bytes = b""  # of a JPEG
    texts: tuple[tuple[str, str], ...] = ()  # of a PNG: title, author, copyright and the like
    jpeg: dict[str, Any] = field(default_factory=dict)  # quantisation tables, subsampling, whether it is progressive
    lossless: bool = False  # a WebP of the kind that is

    def stripped(self) -> "Origin":
        """Without what tells of people, places and cameras."""
        return replace(self, exif=b"", xmp=b"", iptc=b"", comment=b"", texts=())

    def kept(self) -> dict[str, Any]:
        """What there is, by Pillow's names."""
        named = {"exif": self.exif, "xmp": self.xmp, "icc_profile": self.icc, "dpi": self.dpi}
        return {name: value for name, value in named.items() if value and value != (0, 0)}


NOTHING = Origin()


def origin_of(image: Image.Image) -> Origin:
    """The metadata of an upright picture, as far as it can be read."""
    info = image.info
    xmp, icc, dpi = info.get("xmp"), info.get("icc_profile"), info.get("dpi")
    jpeg: dict[str, Any] = {}
    if isinstance(image, JpegImagePlugin.JpegImageFile) and image.mode in ("L", "RGB"):
        sampling = JpegImagePlugin.get_sampling(image)
        tables = [image.quantization[part[3]] for part in image.layer]  # of each component: they may have any number
        while len(tables) > 1 and tables[-1] == tables[-2]:  # Pillow takes the last for all further ones
            tables.pop()
        known = sampling if sampling in (0, 1, 2) else 0
        jpeg = {"qtables": tables, "subsampling": known, "progressive": bool(info.get("progressive"))}
    of_jpeg = info if image.format in ("JPEG", "MPO") else {}
    comment, resources = of_jpeg.get("comment"), of_jpeg.get("photoshop")
    iptc = resources.get(CAPTION) if isinstance(resources, dict) else None
    return Origin(
        kind="JPEG" if image.format == "MPO" else image.format or "",
        exif=exif_of(image),
        xmp=detached(xmp) if isinstance(xmp, bytes) else b"",
        icc=icc if isinstance(icc, bytes) else b"",
        dpi=resolution(dpi),
        iptc=iptc if isinstance(iptc, bytes) else b"",
        comment=comment if isinstance(comment, bytes) else b"",
        texts=texts_of(image) if isinstance(image, PngImagePlugin.PngImageFile) else (),
        jpeg=jpeg,
    )


def resolution(dpi: object) -> tuple[float, float]:
    """Pixels an inch, across and down, as Pillow gives them; 0 if that cannot be: a fraction over 0 is no number."""
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return 0, 0
    across, down = map(float, dpi)
    return (across, down) if 0 < across < FINEST and 0 < down < FINEST else (0, 0)


def lossless_webp(content: bytes) -> bool:
    """Whether a WebP file is of the kind without loss: a chunk says so, which others may precede (RFC 9649)."""
    at = 12
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        if name in (b"VP8 ", b"VP8L"):
            return bool(name == b"VP8L")
        at += 8 + length + length % 2
    return False


def detached(xmp: bytes) -> bytes:
    """XMP without ``ATTRIBUTE`` and ``ELEMENT``, in time proportional to its length, whatever a stranger has put there:
    a single regular expression with both ends of an element would look for each missing end anew."""
    xmp = ATTRIBUTE.sub(b"", xmp)
    ends: dict[bytes, list[int]] = {}
    for end in END.finditer(xmp):
        ends.setdefault(end[1], []).append(end.end())
    kept, at = [], 0
    for begin in ELEMENT.finditer(xmp):
        if begin.start() < at:  # within one that has gone
            continue
        after = begin.end()
        if not begin[0].endswith(b"/>"):
            later = ends.get(begin[1], [])
            place = bisect_right(later, after)
            if place == len(later):
                continue
            after = later[place]
        kept.append(xmp[at : begin.start()])
        at = after
    return b"".join([*kept, xmp[at:]])


def texts_of(image: PngImagePlugin.PngImageFile) -> tuple[tuple[str, str], ...]:
    """The text chunks of a PNG, keyword and text, less those that stand for XMP, EXIF or IPTC."""
    named = {name: str(text) for name, text in image.text.items() if not name.startswith("Raw profile type")}
    return tuple((name, text) for name, text in named.items() if name != XMP_IN_PNG)


def png_texts(origin: Origin) -> PngImagePlugin.PngInfo:
    """XMP and texts as the chunks of a PNG."""
    chunks = PngImagePlugin.PngInfo()
    if origin.xmp:
        chunks.add(b"iTXt", XMP_IN_PNG.encode() + bytes(5) + origin.xmp)
    for name, text in origin.texts:
        chunks.add_text(name, text)
    return chunks


class Verbatim(str):
    """Text of EXIF that is written as the bytes that it was read from, UTF-8 mostly. Pillow reads them as Latin-1, and
    writes a question mark for whatever is not ASCII."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        try:
            return super().encode("latin-1")
        except UnicodeEncodeError:  # not from a file, but set by a program
            return super().encode()


def verbatim(exif: Image.Exif) -> Image.Exif:
    """EXIF whose texts are written as they were read, and not as a BigTIFF has it, which no other format knows."""
    exif.bigtiff = False
    for part in (exif, *(exif.get_ifd(name) for name in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) if name in exif)):
        for tag, value in list(part.items()):
            if isinstance(value, str):
                part[tag] = Verbatim(value)
    return exif


def exif_of(image: Image.Image, size: tuple[int, int] | None = None) -> bytes:
    """EXIF without thumbnail and without the tags by which a TIFF describes its own storage. If it is to describe an
    upright picture of another ``size``, height and width, it says so."""
    height, width = size or (image.height, image.width)
    try:
        exif = image.getexif()
        for tag in STORAGE | ELSEWHERE | {ExifTags.Base.Orientation}:
            exif.pop(tag, None)
        camera = exif.get_ifd(ExifTags.IFD.Exif) if ExifTags.IFD.Exif in exif else {}
        for tag, side in (ExifTags.Base.ExifImageWidth, width), (ExifTags.Base.ExifImageHeight, height):
            if tag in camera:
                camera[tag] = side
        return verbatim(exif).tobytes() if len(exif) else b""
    except Exception:  # damaged metadata: the picture goes through without
        return b""


def shortened(exif: bytes, most: int) -> bytes:
    """EXIF of at most ``most`` bytes: if need be without the maker's notes, and if that is not enough, none."""
    if len(exif) > most:
        whole = Image.Exif()
        whole.load(exif)
        whole.get_ifd(ExifTags.IFD.Exif).pop(ExifTags.Base.MakerNote, None)
        exif = verbatim(whole).tobytes()
    return exif if len(exif) <= most else b""


def captioned(iptc: bytes) -> bytes:
    """An IPTC record as the segment of a JPEG, as Photoshop writes it; nothing if there is none, or one too long."""
    padded = iptc + b"\0" * (len(iptc) % 2)
    resource = b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", CAPTION, 0, len(iptc)) + padded
    fits = len(resource) + 2 < 1 << 16
    return b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource if iptc and fits else b""


def resolution_tags(origin: Origin) -> dict[int, Any]:
    """The resolution as TIFF and EXIF have it, in inches; nothing if it is not known."""
    if not any(origin.dpi):
        return {}
    across, down = origin.dpi
    return {
        ExifTags.Base.XResolution: across,
        ExifTags.Base.YResolution: down,
        ExifTags.Base.ResolutionUnit: 2,
    }


def resolved(origin: Origin) -> bytes:
    """EXIF that tells the resolution too, for files that have no other place for it."""
    exif = Image.Exif()
    exif.load(origin.exif)
    exif.update(resolution_tags(origin))
    return verbatim(exif).tobytes()


def tiff_tags(origin: Origin) -> dict[int, Any]:
    """Metadata as the tags of a TIFF."""
    exif = Image.Exif()
    exif.load(origin.exif)
    nested = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
    tags = {tag: exif.get_ifd(tag) if tag in nested else value for tag, value in verbatim(exif).items()}
    tags.get(ExifTags.IFD.Exif, {}).pop(ExifTags.IFD.Interop, None)  # a place in the old file
    if origin.xmp:
        tags[700] = origin.xmp
    if origin.icc:
        tags[34675] = origin.icc
    if origin.iptc:
        tags[IPTC_IN_TIFF] = origin.iptc
    return tags | resolution_tags(origin)
