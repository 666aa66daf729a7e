"""Pictures in and out, against Pillow."""

import io
import math
import os
import shutil
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps, JpegImagePlugin, PngImagePlugin
from test_colour import CASES

from lowlight_cli.core.errors import PictureError
from lowlight_cli.core.pictures import decoding, images, metadata
from lowlight_cli.core.pictures.colour import Profile
from lowlight_cli.core.pictures.encoding import Encoding
from lowlight_cli.core.pictures.metadata import NOTHING, Origin, captioned
from lowlight_cli.core.pictures.picture import converted, quantised, scaled


def photo(height: int = 24, width: int = 31, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    """A smooth picture with some noise in it, so that lossy formats stay close."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
    planes = [0.2 + 0.5 * rows + 0.05 * channel + 0.2 * columns for channel in range(channels)]
    values = np.stack(planes, -1) + rng.uniform(0, 0.02, (height, width, channels))
    return (values.clip(0, 1) * np.iinfo(dtype).max).astype(dtype)


def test_reading_gives_the_values_pillow_gives(tmp_path: Path) -> None:
    values = photo()
    Image.fromarray(values).save(tmp_path / "a.png")
    picture = images.read(tmp_path / "a.png")
    assert picture.pixels.dtype == torch.float32
    assert picture.alpha is None
    np.testing.assert_array_equal(picture.pixels.permute(1, 2, 0).numpy(), values.astype(np.float32) / 255)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".JPG"])
def test_what_is_written_reads_back(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(photo()).save(tmp_path / "a.png")
    picture = images.read(tmp_path / "a.png")
    images.write(tmp_path / f"b{suffix}", picture)
    again = images.read(tmp_path / f"b{suffix}")
    tolerance = 0.03 if suffix.lower() in (".jpg", ".jpeg", ".jfif", ".webp") else 0.0
    assert (again.pixels - picture.pixels).abs().max() <= tolerance
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    expected = {".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP"}
    with Image.open(tmp_path / f"b{suffix}") as file:
        assert file.format == expected.get(suffix.lower(), "TIFF")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    sides = ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight
    exif.get_ifd(ExifTags.IFD.Exif).update(zip(sides, (31, 24), strict=True))
    source = Image.fromarray(photo())
    source.save(tmp_path / "a.png", exif=exif)
    picture = images.read(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as file:
        upright = np.asarray(ImageOps.exif_transpose(file))
    assert picture.pixels.shape[-2:] == ((24, 31) if orientation < 5 else (31, 24))
    np.testing.assert_array_equal(quantised(picture.pixels).permute(1, 2, 0).numpy(), upright)
    images.write(tmp_path / "b.png", picture)
    with Image.open(tmp_path / "b.png") as written:
        assert written.getexif().get(0x0112, 1) == 1
        assert written.getexif()[0x010F] == "Maker"
        assert tuple(map(written.getexif().get_ifd(ExifTags.IFD.Exif).get, sides)) == written.size
        np.testing.assert_array_equal(np.asarray(written), upright)


def test_exif_and_icc_survive_in_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0132] = "2026:01:02 03:04:05"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(photo()).save(tmp_path / "a.jpg", exif=exif, icc_profile=profile)
    images.write(tmp_path / "b.jpg", images.read(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "b.jpg") as written:
        assert written.getexif()[0x0132] == "2026:01:02 03:04:05"
        assert written.info["icc_profile"] == profile


def test_gray_stays_gray_and_alpha_is_untouched(tmp_path: Path) -> None:
    for mode, channels in (("L", 1), ("LA", 2), ("RGBA", 4)):
        values = photo(channels=channels)
        Image.fromarray(values[..., 0] if channels == 1 else values, mode).save(tmp_path / f"{mode}.png")
        picture = images.read(tmp_path / f"{mode}.png")
        images.write(tmp_path / f"{mode}_out.png", replace(picture, samples=picture.samples // 2))
        with Image.open(tmp_path / f"{mode}_out.png") as written:
            assert written.mode == mode
            if channels in (2, 4):
                np.testing.assert_array_equal(np.asarray(written)[..., -1], values[..., -1])


def test_palette_cmyk_and_bilevel_become_what_pillow_makes_of_them(tmp_path: Path) -> None:
    source = Image.fromarray(photo())
    source.quantize(16).save(tmp_path / "palette.png")
    source.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    source.convert("1").save(tmp_path / "bilevel.png")
    for name in ("palette.png", "cmyk.jpg", "bilevel.png"):
        with Image.open(tmp_path / name) as file:
            expected = np.asarray(file.convert("RGB"))
        found = quantised(images.read(tmp_path / name).pixels).permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(found, expected)


def test_the_type_decides_the_range_not_the_brightest_value(tmp_path: Path) -> None:
    dark = np.full((9, 10), 200, dtype=np.uint16)
    Image.fromarray(dark).save(tmp_path / "dark.png")
    assert images.read(tmp_path / "dark.png").pixels.max() == pytest.approx(200 / 65535)


def damaged(folder: Path) -> dict[str, Path]:
    """Files that are no whole picture, by what is wrong with them."""
    Image.fromarray(photo(200, 200)).save(folder / "whole.jpg", quality=95)
    whole = (folder / "whole.jpg").read_bytes()
    (folder / "whole.jpg").unlink()
    contents = {"text.jpg": b"these are words\n" * 20, "truncated.jpg": whole[: len(whole) // 2], "empty.jpg": b""}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def plain_tiff(values: np.ndarray, bits: int, photometric: int, sample_format: int, content: bytes = b"") -> bytes:
    """A little-endian TIFF of one strip, uncompressed."""
    content = content or values.tobytes()
    height, width = values.shape
    short, long = 3, 4
    tags = [(256, short, width), (257, short, height), (258, short, bits), (259, short, 1), (262, short, photometric)]
    tags += [(273, long, 8), (277, short, 1), (278, short, height), (279, long, len(content))]
    tags += [(339, short, sample_format)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(content)) + content + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_gray_tiffs_of_every_depth_have_black_at_0_and_white_at_1(tmp_path: Path) -> None:
    values = (np.arange(48, dtype=np.uint16) * 87).reshape(6, 8)  # 0 to 4089
    pairs = values.reshape(-1, 2).tolist()
    packed = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
    unsigned, floats = 1, 3
    for content, expected in (
        (plain_tiff(values, 16, 1, unsigned), values / 65535),
        (plain_tiff(values, 16, 0, unsigned), 1 - values / 65535),
        (plain_tiff(values, 12, 1, unsigned, packed), values / 4095),
        (plain_tiff(values.astype(np.float32) / 4096, 32, 1, floats), values / 4096),
    ):
        (tmp_path / "a.tif").write_bytes(content)
        read = scaled(images.read(tmp_path / "a.tif").samples)[0].numpy()
        np.testing.assert_allclose(read, expected, atol=1.5e-5)


def test_tiffs_whose_white_nobody_knows_are_refused(tmp_path: Path) -> None:
    values = np.arange(48).reshape(6, 8)
    unsigned, signed, floats = 1, 2, 3
    for content, fault in (
        (plain_tiff(values.astype(np.uint32), 32, 1, unsigned), "nobody knows what white is"),
        (plain_tiff(values.astype(np.int16), 16, 1, signed), "nobody knows what white is"),
        (plain_tiff(values.astype(np.float32), 32, 1, floats), "floats up to 47"),
        (plain_tiff(values.astype(np.float64), 64, 1, floats), "a TIFF of a kind that is not read here"),
    ):
        (tmp_path / "a.tif").write_bytes(content)
        with pytest.raises(PictureError, match=fault):
            images.read(tmp_path / "a.tif")


def sixteen_bit_png(values: np.ndarray, colour: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of (H, W, C) uint16 with further chunks before its pixels."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def test_sixteen_bit_png_with_transparency_is_read_whole(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (5, 4, 3), dtype=np.uint16)
    values[2, 1] = clear = (513, 3, 9000)
    opaque = (values != clear).any(axis=2)
    turn = (b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0")  # upside down
    path = tmp_path / "a.png"
    for content, samples, alpha in (
        (sixteen_bit_png(values[..., :2], 4), values[..., :1], values[..., 1]),
        (sixteen_bit_png(values[..., :2], 4, turn), values[::-1, ::-1, :1], values[::-1, ::-1, 1]),
        (sixteen_bit_png(values, 2, (b"tRNS", struct.pack(">3H", *clear))), values, opaque * 65535),
        (sixteen_bit_png(values[..., :1], 0, (b"tRNS", struct.pack(">H", 513))), values[..., :1], opaque * 65535),
    ):
        path.write_bytes(content)
        picture = images.read(path)
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.samples.permute(1, 2, 0).numpy(), samples)
        np.testing.assert_array_equal(picture.alpha[0].numpy(), alpha)


@pytest.mark.parametrize("name", ["text.jpg", "truncated.jpg", "empty.jpg", "missing.jpg"])
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, name: str) -> None:
    damaged(tmp_path)
    with pytest.raises(PictureError, match=name):
        images.read(tmp_path / name)


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (300, 300)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(PictureError, match=r"bomb\.png: more than 2,000 pixels: reduce"):
        images.read(tmp_path / "bomb.png")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    Image.fromarray(photo()).save(tmp_path / "a.png")
    picture = images.read(tmp_path / "a.png")
    target = tmp_path / "old.webp"
    target.write_bytes(b"old")
    too_wide = replace(picture, samples=picture.samples[:, :1, :1].expand(3, 1, 20000))  # WebP ends at 16383 px
    with pytest.raises(PictureError, match=r"old\.webp"):
        images.write(target, too_wide)
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "old.webp"]


def test_unknown_formats_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"cannot write \.gif: use"):
        images.kind_of(tmp_path / "a.gif")


LOSSY = {".jpg": 0.04, ".webp": 0.04, ".avif": 0.05, ".heic": 0.06}


def tagged() -> tuple[Image.Image, dict[str, object]]:
    """A picture with everything that a camera writes, and how Pillow is told so."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:01:02 03:04:05"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rating>5</rating></x:xmpmeta>'
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return Image.fromarray(photo()), {"exif": exif, "xmp": xmp, "icc_profile": icc, "dpi": (300, 300)}


def test_heic_is_known_by_its_content(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    code = """
import io, sys
from pathlib import Path
from lowlight_cli.core.pictures import images
path = Path(sys.argv[1])
assert images.size(path) == (24, 31)  # before anything has taught Pillow what it is
assert images.read(path).origin.kind == images.read(io.BytesIO(path.read_bytes())).origin.kind == "HEIF"
"""
    images.write(tmp_path / "a.heic", decoding.from_image(Image.fromarray(photo())))
    (tmp_path / "a.heic").rename(tmp_path / "a.jpg")
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.jpg"], check=True)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif", ".heic"])
def test_metadata_goes_along_into_every_format(tmp_path: Path, suffix: str, wide: bool) -> None:
    if suffix == ".heic":
        pytest.importorskip("pillow_heif")
    if wide and suffix not in (".png", ".tif"):
        pytest.skip("8 bit only")
    image, tags = tagged()
    image.save(tmp_path / "a.jpg", quality=95, **tags)
    picture = images.read(tmp_path / "a.jpg")
    if wide:
        picture = replace(picture, samples=converted(picture.samples, torch.uint16))
    images.write(tmp_path / f"b{suffix}", picture)
    again = images.read(tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as written:
        exif = written.getexif()
        assert exif[ExifTags.Base.Make] == "Maker"
        assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2026:01:02 03:04:05"
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
        assert written.info["icc_profile"] == tags["icc_profile"]
        assert b"<rating>5</rating>" in written.info["xmp"]
        if suffix in (".webp", ".avif", ".heic"):
            assert [exif[tag] for tag in (282, 283, 296)] == [300, 300, 2]
        else:
            assert written.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert again.origin.exif
    difference = again.pixels - picture.pixels
    assert difference.abs().mean() < LOSSY.get(suffix, 1e-9)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize(("mode", "alpha"), [("LAB", False), ("L", False), ("L", True)])
def test_no_profile_of_other_colours_than_the_picture_has(tmp_path: Path, suffix: str, mode: str, alpha: bool) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    icc = icc if mode == "LAB" else icc[:16] + b"GRAY" + icc[20:]
    Image.fromarray(photo()).convert("L" if mode == "L" else "RGB").convert(mode).save(
        tmp_path / "a.tif", icc_profile=icc
    )
    picture = images.read(tmp_path / "a.tif")
    if alpha:
        if suffix == ".jpg":
            pytest.skip("no transparency")
        picture = replace(picture, alpha=torch.full_like(picture.samples[:1], 200))
    images.write(tmp_path / f"b{suffix}", picture)
    with Image.open(tmp_path / f"b{suffix}") as written:
        kept = (written.info.get("icc_profile") or b"")[16:20]
        assert kept == (b"GRAY" if written.mode in ("L", "LA") else b"")


def test_captions_and_comments_of_a_jpeg_stay(tmp_path: Path) -> None:
    image, tags = tagged()
    record = b"\x1c\x02\x78\x00\x05night" + b"\x1c\x02\x50\x00\x03Ann"  # caption and by-line, odd in length
    segment = captioned(record)
    for path, more in ((tmp_path / "a.jpg", tags), (tmp_path / "plain.jpg", {})):
        image.save(path, extra=segment, comment=b"by hand", **more)
        for strip in (False, True):
            images.write(tmp_path / "b.jpg", images.read(path), Encoding(strip=strip))
            with Image.open(tmp_path / "b.jpg") as written:
                assert written.info.get("photoshop", {}).get(1028) == (None if strip else record)
                assert written.info.get("comment") == (None if strip else b"by hand")
                assert written.info.get("icc_profile") == more.get("icc_profile")
        images.write(tmp_path / "b.tif", images.read(path))
        with Image.open(tmp_path / "b.tif") as written:
            found = written.tag_v2[33723]  # type: ignore[attr-defined]
        assert bytes(found) == record


@pytest.mark.parametrize("depth", ["8", "16"])
def test_the_texts_of_a_png_stay(tmp_path: Path, depth: str) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Title", "night")
    chunks.add_itxt("Author", "Šárka", lang="cs")
    chunks.add_text("Copyright", "2026, Ann", zip=True)
    chunks.add_text("Raw profile type exif", "of ImageMagick")
    chunks.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    Image.fromarray(photo()).save(tmp_path / "a.png", pnginfo=chunks)
    picture = images.read(tmp_path / "a.png")
    picture = replace(picture, samples=converted(picture.samples, torch.uint16)) if depth == "16" else picture
    for strip in (False, True):
        images.write(tmp_path / "b.png", picture, Encoding(strip=strip))
        with Image.open(tmp_path / "b.png") as written:
            assert isinstance(written, PngImagePlugin.PngImageFile)
            texts = dict(written.text)
            assert (written.info.get("xmp"), texts.pop("XML:com.adobe.xmp", None)) == (
                (None, None) if strip else (b"<x:xmpmeta/>", "<x:xmpmeta/>")
            )
        assert texts == ({} if strip else {"Title": "night", "Author": "Šárka", "Copyright": "2026, Ann"})


def test_xmp_tells_of_no_video_or_gain_map_that_is_gone(tmp_path: Path) -> None:
    xmp = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"
 xmlns:Container="http://ns.google.com/photos/1.0/container/" xmlns:Item="http://ns.google.com/photos/1.0/container/item/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion='1' hdrgm:Version="1.0"
 xmp:Rating="5" GCamera:MicroVideoOffset = "4" GCamera:SpecialTypeID="kept">
<GCamera:MicroVideo>1</GCamera:MicroVideo><hdrgm:OffsetSDR><rdf:Seq><rdf:li>0</rdf:li></rdf:Seq></hdrgm:OffsetSDR>
<Container:Directory><rdf:Seq><rdf:li><Container:Item Item:Mime="video/mp4"/></rdf:li></rdf:Seq></Container:Directory>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
    Image.fromarray(photo()).save(tmp_path / "a.jpg", xmp=xmp)
    images.write(tmp_path / "b.jpg", images.read(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "b.jpg") as written:
        left = written.info["xmp"]
    (description,) = next(iter(ElementTree.fromstring(left)))
    assert sorted(name.rpartition("}")[2] for name in description.attrib) == ["Rating", "SpecialTypeID"]
    assert len(description) == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"<a><hdrgm:x>1</hdrgm:x >2<hdrgm:y/>3</a>", b"<a>23</a>"),
        (b"<hdrgm:x>1<hdrgm:x>2</hdrgm:x>3</hdrgm:x>", b"3</hdrgm:x>"),
        (b"<hdrgm:x>1</hdrgm:xx>2", b"<hdrgm:x>1</hdrgm:xx>2"),
        (b"<hdrgm:x>1<hdrgm:y>2</hdrgm:y>3", b"<hdrgm:x>13"),
        (b"</hdrgm:x><hdrgm:x>", b"</hdrgm:x><hdrgm:x>"),
    ],
)
def test_elements_without_an_end_stay(before: bytes, after: bytes) -> None:
    assert metadata.detached(before) == after


def test_xmp_is_read_in_time_whatever_is_in_it() -> None:
    """All together take a moment; if every end were looked for anew, it would be minutes."""
    for xmp in (
        b"<hdrgm:a>" * 100_000,
        b"".join(b"<hdrgm:a%d>" % number for number in range(100_000)),
        b' hdrgm:a="' * 100_000,
        b"<hdrgm:a " * 100_000,
        b"</hdrgm:a" * 100_000,
    ):
        assert metadata.detached(xmp) == (b"" if b"=" in xmp else xmp)


def test_a_caption_too_long_for_a_jpeg_is_left_out(tmp_path: Path) -> None:
    picture = replace(decoding.from_image(Image.fromarray(photo())), origin=replace(NOTHING, iptc=bytes(70_000)))
    images.write(tmp_path / "b.jpg", picture)
    assert "photoshop" not in images.to_pillow(images.read(tmp_path / "b.jpg")).info
    assert not images.read(tmp_path / "b.jpg").origin.iptc


def test_strip_leaves_out_where_and_when_but_not_the_colours(tmp_path: Path) -> None:
    image, tags = tagged()
    image.save(tmp_path / "a.jpg", **tags)
    for suffix in (".jpg", ".png", ".tif", ".webp"):
        images.write(tmp_path / f"b{suffix}", images.read(tmp_path / "a.jpg"), Encoding(strip=True))
        content = (tmp_path / f"b{suffix}").read_bytes()
        assert b"Maker" not in content
        assert b"rating" not in content
        with Image.open(tmp_path / f"b{suffix}") as written:
            assert written.info["icc_profile"] == tags["icc_profile"]


def test_a_tiff_does_not_hand_its_storage_tags_on(tmp_path: Path) -> None:
    image, tags = tagged()
    image.save(tmp_path / "a.tif", compression="tiff_lzw", **tags)
    images.write(tmp_path / "b.jpg", images.read(tmp_path / "a.tif"))
    with Image.open(tmp_path / "b.jpg") as written:
        exif = written.getexif()
        assert exif[ExifTags.Base.Make] == "Maker"
        assert not {ExifTags.Base.StripOffsets, ExifTags.Base.Compression, ExifTags.Base.ImageWidth} & set(exif)


def test_the_thumbnail_of_the_dark_picture_goes(tmp_path: Path) -> None:
    thumbnail = io.BytesIO()
    Image.new("RGB", (16, 12), (1, 2, 3)).save(thumbnail, "JPEG")
    block = tiff_with_thumbnail(thumbnail.getvalue())
    Image.fromarray(photo()).save(tmp_path / "a.jpg", exif=block)
    assert thumbnail.getvalue() in (tmp_path / "a.jpg").read_bytes()
    images.write(tmp_path / "b.jpg", images.read(tmp_path / "a.jpg"))
    content = (tmp_path / "b.jpg").read_bytes()
    assert b"Maker" in content
    assert content.count(b"\xff\xd8\xff") == 1


def tiff_with_thumbnail(jpeg: bytes) -> bytes:
    """An EXIF block of one tag, Make, and a second directory with a thumbnail."""
    first = struct.pack("<HHHII", 1, 0x010F, 2, 6, 26) + struct.pack("<I", 32) + b"Maker\0"
    entries = ((0x0103, 3, 6), (0x0201, 4, 74), (0x0202, 4, len(jpeg)))
    second = struct.pack("<H", 3) + b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + second + bytes(4) + jpeg


@pytest.mark.parametrize(("subsampling", "progressive"), [(0, False), (1, True), (2, False)])
def test_a_jpeg_keeps_its_quality_and_its_kind_unless_told(tmp_path: Path, subsampling: int, progressive: bool) -> None:
    how = {"quality": 61, "subsampling": subsampling, "progressive": progressive}
    Image.fromarray(photo(64, 64)).save(tmp_path / "a.jpg", **how)
    picture = images.read(tmp_path / "a.jpg")
    images.write(tmp_path / "kept.jpg", picture)
    images.write(tmp_path / "chosen.jpg", picture, Encoding(quality=90, subsampling="444"))
    with (
        Image.open(tmp_path / "a.jpg") as a,
        Image.open(tmp_path / "kept.jpg") as kept,
        Image.open(tmp_path / "chosen.jpg") as chosen,
    ):
        assert kept.quantization == a.quantization
        assert JpegImagePlugin.get_sampling(kept) == subsampling
        assert bool(kept.info.get("progressive")) == bool(chosen.info.get("progressive")) == progressive
        assert chosen.quantization != a.quantization
        assert JpegImagePlugin.get_sampling(chosen) == 0


def test_what_was_no_jpeg_becomes_one_of_quality_95_with_all_its_colour(tmp_path: Path) -> None:
    images.write(tmp_path / "a.jpg", images.from_array(photo()))
    Image.fromarray(photo()).save(tmp_path / "b.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as ours, Image.open(tmp_path / "b.jpg") as theirs:
        assert ours.quantization == theirs.quantization
        assert JpegImagePlugin.get_sampling(ours) == 0


@pytest.mark.parametrize("more", [{}, {"exif": b"Exif\0\0II*\0" + struct.pack("<IHI", 8, 0, 0), "xmp": b"<x/>"}])
def test_a_webp_without_loss_stays_so_unless_told(tmp_path: Path, more: dict[str, bytes]) -> None:
    for name, lossless in (("exact", True), ("lossy", False)):
        Image.fromarray(photo()).save(tmp_path / f"{name}.webp", lossless=lossless, **more)
    picture = images.read(tmp_path / "exact.webp")
    images.write(tmp_path / "kept.webp", picture)
    images.write(tmp_path / "chosen.webp", picture, Encoding(quality=90))
    assert torch.equal(images.read(tmp_path / "kept.webp").samples, picture.samples)
    found = {path.stem: images.read(path).origin.lossless for path in tmp_path.iterdir()}
    assert found == {"exact": True, "kept": True, "lossy": False, "chosen": False}


def test_cmyk_with_a_profile_becomes_srgb(tmp_path: Path) -> None:
    Image.fromarray(photo()).convert("CMYK").save(tmp_path / "a.tif", icc_profile=b"no profile at all")
    picture = images.read(tmp_path / "a.tif")
    assert picture.origin.icc == b""
    assert picture.samples.shape == (3, 24, 31)


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (0, 200)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match="animation"):
        images.read(tmp_path / "a.webp")


def test_a_raw_file_is_developed_in_sixteen_bits(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    sensor = np.full((64, 64), 900, np.uint16)
    sensor[:, 32:] = 3000
    write_dng(tmp_path / "a.dng", sensor)
    shutil.copy(tmp_path / "a.dng", tmp_path / "a.RWL")
    picture, again = images.read(tmp_path / "a.dng"), images.read(tmp_path / "a.RWL")
    assert torch.equal(picture.samples, again.samples), "whatever the camera calls it"
    assert picture.samples.dtype == torch.uint16
    for columns, light in ((slice(4, 24), 900 / 4095), (slice(40, 60), 3000 / 4095)):  # as exposed, not stretched
        expected = 1.055 * light ** (1 / 2.4) - 0.055
        assert picture.pixels[:, 8:-8, columns].mean() == pytest.approx(expected, abs=0.02)


MATRIX = tuple(part for value in np.eye(3).ravel() for part in (round(value * 10000), 10000))
SENSOR = [
    (33421, "H", 2, (2, 2), True),
    (33422, "B", 4, (0, 1, 1, 2), True),
    (50714, "H", 1, 0, True),
    (50717, "H", 1, 4095, True),
]
CAMERA = [
    (50706, "B", 4, (1, 4, 0, 0), True),
    (50708, "s", 0, "Test Camera", True),
    (50721, "2i", 9, MATRIX, True),
    (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
    (50778, "H", 1, 21, True),
]


def write_dng(path: Path, sensor: np.ndarray, white: tuple[int, ...] = (1, 1, 1, 1, 1, 1)) -> None:
    """A minimal camera raw file: an RGGB sensor of 12 bits, and what it sees of white, as three fractions."""
    camera = [*(tag for tag in CAMERA if tag[0] != 50728), (50728, "2I", 3, white, True)]
    tifffile.imwrite(path, sensor, photometric=32803, extratags=SENSOR + camera)


def write_dng_with_thumbnail(path: Path, sensor: np.ndarray, orientation: int) -> None:
    """A camera raw file as cameras write it: first a small picture and what is known of both, then the sensor."""
    known = [(274, "H", 1, orientation, True), (271, "s", 0, "Test", True)]
    with tifffile.TiffWriter(path) as file:
        small = np.full((32, 48, 3), 120, np.uint8)
        file.write(small, photometric="rgb", subifds=1, metadata=None, subfiletype=1, extratags=known + CAMERA)
        file.write(sensor, photometric=32803, subfiletype=0, metadata=None, extratags=SENSOR)


def test_what_is_white_to_a_camera_is_gray_in_its_raw_file(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    sensor = np.full((64, 64), 2000, np.uint16)
    sensor[::2, ::2] = sensor[1::2, 1::2] = 1000
    write_dng(tmp_path / "a.dng", sensor, white=(1, 2, 1, 1, 1, 2))
    red, green, blue = images.read(tmp_path / "a.dng").pixels[:, 8:-8, 8:-8].mean(dim=(1, 2)).tolist()
    assert red == pytest.approx(green, rel=0.03) and blue == pytest.approx(green, rel=0.03)


def test_a_raw_file_taken_upright_is_turned_once(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    sensor = np.full((64, 96), 900, np.uint16)
    sensor[:, :48] = 3000
    write_dng_with_thumbnail(tmp_path / "a.dng", sensor, orientation=6)
    assert images.pixels(tmp_path / "a.dng") == 64 * 96, "not of the small picture"
    picture = images.read(tmp_path / "a.dng")
    assert picture.size == (96, 64)
    assert picture.pixels[:, :10].mean() > 1.5 * picture.pixels[:, -10:].mean()
    for name in ("a.tif", "a.jpg"):
        images.write(tmp_path / name, picture)
        assert images.read(tmp_path / name).size == (96, 64)
        with Image.open(tmp_path / name) as written:
            tags = written.getexif()
            assert tags[271] == "Test"
            assert 50706 not in tags, "it is no raw file any more"


def test_the_preview_in_a_raw_file_is_not_taken_for_the_picture(tmp_path: Path) -> None:
    write_dng_with_thumbnail(tmp_path / "a.tif", np.full((64, 96), 900, np.uint16), orientation=1)
    tifffile.imwrite(tmp_path / "b.tif", photo(), photometric="rgb", subfiletype=1)  # without DNG's tags
    for source in (tmp_path / "a.tif", tmp_path / "b.tif", io.BytesIO((tmp_path / "a.tif").read_bytes())):
        with pytest.raises(PictureError, match="preview"):
            images.read(source)


def test_layers_of_the_old_picture_do_not_go_with_the_new_one(tmp_path: Path) -> None:
    layers = b"Adobe Photoshop Document Data Block\0" + bytes(100_000)
    tags = [(271, "s", 0, "Test", True), (37724, "B", len(layers), layers, True)]
    tifffile.imwrite(tmp_path / "a.tif", photo(), photometric="rgb", metadata=None, extratags=tags)
    picture = images.read(tmp_path / "a.tif")
    for name in ("b.tif", "b.png", "b.jpg"):
        images.write(tmp_path / name, picture)
        with Image.open(tmp_path / name) as written:
            assert written.getexif().get(271) == "Test", name
            assert 37724 not in written.getexif()


def test_exif_too_long_for_a_jpeg_loses_the_makers_notes_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271] = "Test"
    exif.get_ifd(ExifTags.IFD.Exif).update({37500: bytes(70_000), 37121: b"note"})
    Image.fromarray(photo()).save(tmp_path / "a.png", exif=exif)
    images.write(tmp_path / "b.jpg", images.read(tmp_path / "a.png"))
    with Image.open(tmp_path / "b.jpg") as written:
        assert written.getexif()[271] == "Test"
        camera = written.getexif().get_ifd(ExifTags.IFD.Exif)
        assert 37500 not in camera and camera[37121] == b"note"


def test_no_tag_of_a_tiff_points_into_the_old_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update({33434: (1, 30), ExifTags.IFD.Interop: {1: "R98"}})
    Image.fromarray(photo()).save(tmp_path / "a.jpg", exif=exif)
    images.write(tmp_path / "b.tif", images.read(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "b.tif") as written:
        camera = written.getexif().get_ifd(ExifTags.IFD.Exif)
        assert 33434 in camera and ExifTags.IFD.Interop not in camera


@pytest.mark.parametrize(("name", "module", "extra"), [("a.heic", "pillow_heif", "heic"), ("a.dng", "rawpy", "raw")])
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(PictureError, match=rf"a\.\w+: .*pip install 'lowlight\[{extra}\]'"):
        images.read(tmp_path / name)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_eight_bit_transparency_beside_sixteen_bit_colour(tmp_path: Path, mode: str) -> None:
    channels = len(mode)
    Image.fromarray(photo(channels=channels), mode=None).convert(mode).save(tmp_path / "a.png")
    picture = images.read(tmp_path / "a.png")
    wide = replace(picture, samples=converted(picture.samples, torch.uint16))
    for name in ("b.png", "b.tif"):
        images.write(tmp_path / name, wide, Encoding(depth="16"))
        again = images.read(tmp_path / name)
        assert picture.alpha is not None and again.alpha is not None
        torch.testing.assert_close(scaled(again.alpha).float(), scaled(picture.alpha).float(), rtol=0, atol=1 / 255)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colour_from_a_stream(tmp_path: Path, suffix: str, channels: int) -> None:
    values = photo(channels=channels, dtype=np.uint16)
    images.write(tmp_path / f"a{suffix}", images.from_array(values))
    streamed = images.read(io.BytesIO((tmp_path / f"a{suffix}").read_bytes()))
    named = images.read(tmp_path / f"a{suffix}")
    assert streamed.samples.dtype == torch.uint16
    assert torch.equal(streamed.samples, named.samples)
    assert torch.equal(streamed.pixels, named.pixels)


def test_a_fault_in_a_stream_names_the_stream() -> None:
    with pytest.raises(PictureError, match="standard input: not a picture"):
        images.read(io.BytesIO(b"words"))


def test_transparency_is_never_dropped_in_silence(tmp_path: Path) -> None:
    picture = images.from_array(photo(channels=4))
    with pytest.raises(PictureError, match=r"a\.jpg: JPEG holds no transparency: choose png"):
        images.write(tmp_path / "a.jpg", picture)
    assert not list(tmp_path.iterdir())
    opaque = photo(channels=4)
    opaque[..., 3] = 128  # the same everywhere, and still not opaque
    with pytest.raises(PictureError, match="holds no transparency"):
        images.write(tmp_path / "a.jpg", images.from_array(opaque))
    opaque[..., 3] = 255
    images.write(tmp_path / "a.jpg", images.from_array(opaque))


@pytest.mark.parametrize("name", ["a.webp", "a.jpg"])
def test_sides_that_a_format_cannot_hold(tmp_path: Path, name: str) -> None:
    picture = images.Picture(torch.zeros(3, 1, 70000, dtype=torch.uint8))
    with pytest.raises(PictureError, match=rf"{name}: cannot be encoded .*choose another format"):
        images.write(tmp_path / name, picture)
    assert not list(tmp_path.iterdir())


def test_several_frames_or_pages_are_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(photo()), Image.fromarray(photo())]
    pages[1].putpixel((0, 0), (255, 0, 0))
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(PictureError, match="several pages"):
        images.read(tmp_path / "a.tif")
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=[pages[1].resize((8, 8))])  # as cameras do
    assert images.read(tmp_path / "b.tif").size == (24, 31)
    small = [pages[0].resize((1, 1))] * (decoding.PAGES + 1)
    pages[0].save(tmp_path / "many.tif", save_all=True, append_images=small)
    with pytest.raises(PictureError, match="several pages"):
        images.read(tmp_path / "many.tif")
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:])
    with pytest.raises(PictureError, match="an animation"):
        images.read(tmp_path / "a.gif")


def test_pages_of_other_sizes_are_pages_too(tmp_path: Path) -> None:
    first = Image.fromarray(photo())
    first.save(tmp_path / "scan.tif", save_all=True, append_images=[first.resize((30, 25))])
    with pytest.raises(PictureError, match="several pages"):
        images.read(tmp_path / "scan.tif")
    reduced = first.resize((20, 16))
    reduced.encoderinfo = {"tiffinfo": {254: 1}}
    first.save(tmp_path / "a.tif", save_all=True, append_images=[reduced])
    assert images.read(tmp_path / "a.tif").size == (24, 31)


@pytest.mark.parametrize("dpi", [(math.nan, math.nan), (math.inf, 72), (0, 72), (-1, -1), (1e12, 1e12)])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
def test_a_resolution_that_cannot_be_is_none(tmp_path: Path, dpi: tuple[float, float], suffix: str) -> None:
    image = Image.fromarray(photo())
    image.info["dpi"] = dpi
    picture = decoding.from_image(image)
    assert picture.origin.dpi == (0, 0)
    images.write(tmp_path / f"a{suffix}", picture)


def test_a_resolution_that_jpeg_cannot_say_stands_in_its_exif(tmp_path: Path) -> None:
    image = Image.fromarray(photo())
    image.save(tmp_path / "a.tif", dpi=(390_769, 390_769))
    picture = images.read(tmp_path / "a.tif")
    images.write(tmp_path / "a.jpg", picture)
    images.write(tmp_path / "a.png", picture)
    with Image.open(tmp_path / "a.jpg") as jpeg, Image.open(tmp_path / "a.png") as png:
        assert jpeg.info["jfif_unit"] == 0 and jpeg.info["dpi"] == (390_769, 390_769)
        assert png.info["dpi"] == pytest.approx((390_769, 390_769), rel=1e-4)


def test_lossless_webp_keeps_what_is_transparent(tmp_path: Path) -> None:
    values = np.dstack([photo(), np.zeros((24, 31), np.uint8)])
    Image.fromarray(values).save(tmp_path / "a.webp", lossless=True, exact=True)
    images.write(tmp_path / "b.webp", images.read(tmp_path / "a.webp"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.webp")), values)


def test_sixteen_bit_gray_with_alpha_is_turned_wherever_its_exif_stands(tmp_path: Path) -> None:
    values = np.arange(24 * 31 * 2, dtype=np.uint16).reshape(24, 31, 2) * 40
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    images.write(tmp_path / "a.png", replace(images.from_array(values), origin=Origin(exif=exif.tobytes())))
    content = (tmp_path / "a.png").read_bytes()
    at = content.index(b"eXIf") - 4
    chunk = content[at : at + 12 + int.from_bytes(content[at : at + 4])]
    end = content.index(b"IEND") - 4
    late = content[:at] + content[at + len(chunk) : end] + chunk + content[end:]
    assert content.index(b"IDAT") > at and late.index(b"IDAT") < late.index(b"eXIf")
    (tmp_path / "b.png").write_bytes(late)
    early, behind = (images.read(tmp_path / name) for name in ("a.png", "b.png"))
    assert behind.size == early.size == (31, 24)
    assert torch.equal(behind.samples, early.samples)


def test_a_quality_leaves_the_subsampling(tmp_path: Path) -> None:
    Image.fromarray(photo(64, 64)).save(tmp_path / "a.jpg", quality=61, subsampling=2)
    images.write(tmp_path / "b.jpg", images.read(tmp_path / "a.jpg"), Encoding(quality=80))
    with Image.open(tmp_path / "b.jpg") as written:
        assert JpegImagePlugin.get_sampling(written) == 2


@pytest.mark.parametrize("mode", ["L", "I;16", "RGBA"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_plain_tiff_is_turned_as_its_exif_says(tmp_path: Path, mode: str, orientation: int) -> None:
    """By its path, Pillow maps such files into memory."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    values = np.arange(31 * 24, dtype=np.uint16).reshape(24, 31) * 80
    source = (
        Image.fromarray(values) if mode == "I;16" else Image.fromarray((values >> 8).astype(np.uint8)).convert(mode)
    )
    source.save(tmp_path / "a.tif", exif=exif)
    way = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}[orientation]
    wanted = np.asarray(source.transpose(way))
    found = images.read(tmp_path / "a.tif").samples[0].numpy()
    np.testing.assert_array_equal(found, wanted[..., 0] if mode == "RGBA" else wanted)


@pytest.mark.parametrize("suffix", [".bmp", ".jp2"])
def test_what_holds_no_profile_becomes_srgb(tmp_path: Path, suffix: str) -> None:
    values = torch.full((3, 8, 8), 0.25)
    values[0] = 0.7
    profile = Profile.of(CASES["Adobe RGB"])
    assert profile is not None
    images.write(tmp_path / f"a{suffix}", images.Picture(values, origin=Origin(icc=CASES["Adobe RGB"])))
    found = images.read(tmp_path / f"a{suffix}")
    assert not found.origin.icc
    torch.testing.assert_close(found.pixels, profile.to_srgb(values).clamp(0, 1), atol=0.01, rtol=0)
    assert (found.pixels - values).abs().max() > 0.03


def test_jpeg_2000_keeps_transparency(tmp_path: Path) -> None:
    Image.fromarray(photo()).convert("RGBA").save(tmp_path / "a.png")
    picture = images.read(tmp_path / "a.png")
    assert picture.alpha is not None
    picture.alpha[..., :5] = 0
    images.write(tmp_path / "b.jp2", picture)
    alpha = images.read(tmp_path / "b.jp2").alpha
    assert alpha is not None
    assert (alpha[..., :4] < 60).all()
    assert (alpha[..., 8:] > 200).all()


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_metadata_of_a_big_tiff_is_kept_as_that_of_any_other(tmp_path: Path, suffix: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", photo(), bigtiff=True, description="A night", photometric="rgb")
    images.write(tmp_path / f"b{suffix}", images.read(tmp_path / "a.tif"))
    with Image.open(tmp_path / f"b{suffix}") as written:
        assert written.getexif()[0x010E] == "A night"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="whoever may read everything")
def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    Image.fromarray(photo()).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(PictureError, match="permissions"):
        images.read(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_texts_of_exif_keep_their_bytes(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    words = "Jörg".encode(), "©2024".encode()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = (word.decode("latin-1") for word in words)
    exif[ExifTags.Base.Orientation] = 1
    plain = exif.tobytes()
    for word in words:  # which Pillow writes with question marks
        plain = plain.replace(word.decode("latin-1").encode("ascii", "replace"), word)
    assert all(word in plain for word in words)
    Image.fromarray(photo()).save(tmp_path / "a.jpg", exif=plain, dpi=(300, 300))
    images.write(tmp_path / f"b{suffix}", images.read(tmp_path / "a.jpg"))
    content = (tmp_path / f"b{suffix}").read_bytes()
    assert all(word in content for word in words)
    images.write(tmp_path / f"c{suffix}", images.read(tmp_path / f"b{suffix}"))
    assert all(word in (tmp_path / f"c{suffix}").read_bytes() for word in words)


def test_words_that_a_program_has_set_are_utf_8() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "日本"
    assert "日本".encode() in metadata.verbatim(exif).tobytes()


def test_a_file_opened_with_pillow_is_read_like_its_path(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "Camera"
    gray = Image.fromarray(photo()).convert("L")
    Image.fromarray(photo()).save(tmp_path / "colour.tif", exif=exif)
    gray.convert("RGB").save(tmp_path / "gray.webp", quality=70)
    tifffile.imwrite(tmp_path / "white.tif", np.arange(64, dtype=np.uint16).reshape(8, 8), photometric="miniswhite")
    for name in ("colour.tif", "gray.webp", "white.tif"):
        by_path, back = images.taken(tmp_path / name)
        with Image.open(tmp_path / name) as image:
            given, _ = images.taken(image)
        assert torch.equal(given.samples, by_path.samples), name
        assert given.gray == by_path.gray == (name != "colour.tif")
        assert back(given).getexif().get(ExifTags.Base.Model) == (None if name != "colour.tif" else "Camera")


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_quantisation_tables_belong_to_components(tmp_path: Path, mode: str) -> None:
    """A JPEG may number its tables as it likes."""
    fine, coarse = [2] * 64, [8] * 64
    file = io.BytesIO()
    tables = [fine, coarse] if mode == "RGB" else [fine]
    Image.fromarray(photo()).convert(mode).save(file, "JPEG", qtables=tables)
    content = bytearray(file.getvalue())
    at = 2
    while content[at + 1] != 0xDA:  # segments up to the scan
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] == 0xDB:
            for place in range(at + 4, at + 2 + length, 65):
                content[place] ^= 1
        if content[at + 1] == 0xC0:
            for place in range(at + 10, at + 10 + 3 * content[at + 9], 3):
                content[place + 2] ^= 1
        at += 2 + length
    (tmp_path / "a.jpg").write_bytes(content)
    images.write(tmp_path / "b.jpg", images.read(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "b.jpg") as image:
        assert [set(image.quantization[part[3]]) for part in image.layer] == [{2}, {8}, {8}][: len(image.layer)]


def test_what_is_no_heic_needs_no_package_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    Image.fromarray(photo()).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.heic")
    Image.fromarray(photo()).save(tmp_path / "b.avif")
    content = bytearray((tmp_path / "b.avif").read_bytes())
    content[8:12] = b"mif1"
    (tmp_path / "b.avif").write_bytes(content)
    for name in ("a.heic", "b.avif"):
        assert images.read(tmp_path / name).size == photo().shape[:2] == images.size(tmp_path / name)
    (tmp_path / "c.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(PictureError, match="HEIC needs one more package"):
        images.read(tmp_path / "c.jpg")


def test_what_a_tiff_says_of_its_samples_is_not_inherited(tmp_path: Path) -> None:
    tags = [(281, "H", 1, 6000, True), (341, "H", 1, 6000, True), (271, "s", 0, "Microscope", True)]
    tifffile.imwrite(tmp_path / "a.tif", np.arange(64, dtype=np.uint16).reshape(8, 8), extratags=tags)
    images.write(tmp_path / "b.tif", images.read(tmp_path / "a.tif"))
    with Image.open(tmp_path / "b.tif") as image:
        assert image.tag_v2[271] == "Microscope"
        assert not {281, 341} & set(image.tag_v2)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
@pytest.mark.parametrize("suffix", sorted({*images.WRITTEN} - {".heic", ".heif"}))
def test_a_full_disk_leaves_no_half_a_picture(tmp_path: Path, suffix: str) -> None:
    """Files may have 4 KiB here: Pillow's own encoders would write as much of a JPEG and say nothing."""
    import resource

    noise = images.Picture(torch.randint(0, 256, (3, 200, 300), dtype=torch.uint8))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(PictureError, match="cannot be written: File too large"):
            images.write(tmp_path / f"a{suffix}", noise)
        with pytest.raises(PictureError, match="cannot be written: File too large"):
            images.save(Image.effect_noise((300, 200), 90).convert("RGB"), tmp_path / f"b{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
