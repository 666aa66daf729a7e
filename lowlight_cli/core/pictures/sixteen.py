"""Pictures of 16 bits a channel, PNG and TIFF, which Pillow reads and writes with 8.

The TIFF writer serves 8 bit and floats as well: Pillow's drops the camera's EXIF from compressed files.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin, TiffTags

OPPOSITE = {"B": "L", "L": "B", "N": "B" if struct.pack("=H", 1) == b"\x01\x00" else "L"}
ROWS = 64
"""Rows that are compressed at once."""


def low_bytes(image: ImageFile.ImageFile) -> bool:
    """Set an opened, not yet loaded picture to decode the low bytes of its 16-bit colours, and say whether it has any.

    Pillow's own decoding of such pictures keeps the high bytes. Those of the opposite byte order are the low ones.
    """
    turned = []
    for part in image.tile:
        rest = part.args[1:] if isinstance(part.args, tuple) else ()
        raw = part.args[0] if isinstance(part.args, tuple) else part.args
        if raw not in [f"{bands};16{order}" for bands in ("RGB", "RGBA") for order in "BLN"]:
            return False
        opposite = raw[:-1] + OPPOSITE[raw[-1]]
        turned.append(part._replace(args=(opposite, *rest) if isinstance(part.args, tuple) else opposite))
    image.tile = turned
    return bool(turned)


def half_read(image: Image.Image) -> bool:
    """Whether this opened, not yet loaded picture is a PNG of 16 bits of which Pillow loses half: gray with alpha, or
    with one colour that is transparent."""
    raw = image.tile[0].args if isinstance(image, PngImagePlugin.PngImageFile) and image.tile else ""
    return str(raw).endswith(";16B") and (str(raw).startswith("LA") or "transparency" in image.info)


def read_png(content: bytes, transparent: int | tuple[int, ...] | None) -> np.ndarray:
    """A PNG of 16 bits as (H, W, C) uint16, with an alpha of 0 where it has the ``transparent`` colour."""
    import torch
    from torchvision.io import ImageReadMode, decode_png  # type: ignore[import-untyped]

    data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    values = decode_png(data, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
    if transparent is None:
        return values
    alpha = (values != np.array(transparent)).any(axis=2, keepdims=True)
    return np.concatenate([values, alpha.astype(np.uint16) * 65535], axis=2)


def bands(values: np.ndarray) -> Iterator[np.ndarray]:
    """(H, W, C), a few rows at a time."""
    for top in range(0, len(values), ROWS):
        yield values[top : top + ROWS]


def write_png(
    file: IO[bytes],
    values: np.ndarray,
    *,
    exif: bytes,
    icc: bytes,
    texts: PngImagePlugin.PngInfo,
    dpi: tuple[float, float],
) -> None:
    """Write (H, W, C) uint16 as PNG: C = 1 is gray, 2 gray and alpha, 3 RGB, 4 RGBA."""
    height, width, channels = values.shape

    def chunk(kind: bytes, content: bytes) -> None:
        file.write(struct.pack(">I", len(content)) + kind + content)
        file.write(struct.pack(">I", zlib.crc32(kind + content)))

    file.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0))
    if icc:
        chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc))
    if any(dpi):
        chunk(b"pHYs", struct.pack(">IIB", *(round(per_inch / 0.0254) for per_inch in dpi), 1))
    if exif:
        chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    for kind, content, *_ in texts.chunks:
        chunk(kind, content)
    packer = zlib.compressobj(4)
    for rows in bands(values):
        wide = np.array(rows, ">u2", order="C").view(np.uint8).reshape(len(rows), -1)
        lines = np.ones((len(rows), wide.shape[1] + 1), np.uint8)  # filter 1, Sub: less the pixel to the left
        lines[:, 1:] = wide
        lines[:, 1 + 2 * channels :] -= wide[:, : -2 * channels]
        chunk(b"IDAT", packer.compress(lines.tobytes()))
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")


def write_tiff(file: IO[bytes], values: np.ndarray, *, tags: Mapping[int, Any], alpha: bool = False) -> None:
    """Write (H, W, C) uint8, uint16 or float32 as a TIFF in deflated strips, with ``tags`` as Pillow knows them."""
    height, width, channels = values.shape
    whole = values.dtype.kind == "u"
    strips = []
    for rows in bands(values):
        if whole:  # predictor 2: less the pixel to the left
            rows = np.concatenate([rows[:, :1], rows[:, 1:] - rows[:, :-1]], axis=1)
        strips.append(zlib.compress(rows.astype(rows.dtype.newbyteorder("<"), copy=False).tobytes(), 4))
    sizes = [len(strip) for strip in strips]
    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        ifd[tag] = value
    ifd[256], ifd[257], ifd[277] = width, height, channels
    ifd[258] = (values.dtype.itemsize * 8,) * channels
    ifd[259] = 8  # deflate
    ifd[262] = 2 if channels - alpha == 3 else 1
    ifd[273] = tuple(accumulate(sizes[:-1], initial=0))  # Pillow adds where the strips begin
    ifd[278], ifd[279] = ROWS, tuple(sizes)
    ifd[284] = 1  # channels together
    ifd[317] = 2 if whole else 1
    ifd[339] = (1 if whole else 3,) * channels
    if alpha:
        ifd[338] = 2  # unassociated
    for tag in (273, 279):
        ifd.tagtype[tag] = TiffTags.LONG
    ifd.save(file)
    file.writelines(strips)
