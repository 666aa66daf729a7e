"""Damaged and odd files: each is enhanced or reported, none stops the others, none leaves anything half-written."""

import io
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from lowlight_cli.app import main
from lowlight_cli.core.pictures import images

FORMATS = {
    ".jpg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
    ".jp2": "JPEG2000",
}
BOMB = 80_000_000
"""Bytes that a small file holds packed."""


def photo(mode: str = "RGB", size: tuple[int, int] = (60, 44)) -> Image.Image:
    rng = np.random.default_rng(3)
    return Image.fromarray(rng.integers(0, 70, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)


def encoded(suffix: str, image: Image.Image | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    (image or photo()).save(file, FORMATS[suffix], **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes, crc: int | None = None) -> bytes:
    check = zlib.crc32(kind + content) if crc is None else crc
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(width: int, height: int, rows: bytes, *more: bytes, depth: int = 8, colour: int = 2) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def damaged() -> dict[str, bytes]:
    """Cut and bent files of every format, always the same."""
    rng = np.random.default_rng(7)
    files = {}
    for suffix in FORMATS:
        whole = encoded(suffix)
        for share in (0.03, 0.3, 0.9):
            files[f"cut{int(share * 100)}{suffix}"] = whole[: int(len(whole) * share)]
        for number in range(5):
            bent = bytearray(whole)
            for place in rng.integers(0, len(bent) if number % 2 else min(len(bent), 300), 1 + 3 * number):
                bent[place] ^= 1 << int(rng.integers(8))
            files[f"bent{number}{suffix}"] = bytes(bent)
    return files


def odd() -> dict[str, bytes]:
    """Whole but unusual files, and impostors."""
    row = b"\0" + bytes(3 * 8)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 77
    wide = io.BytesIO()
    tifffile.imwrite(wide, np.full((9, 12, 3), 300, np.uint16), photometric="rgb", compression="zlib")
    gif = io.BytesIO()
    photo("P").save(gif, "GIF")
    palette = photo().quantize(7)
    palette.info["transparency"] = 3
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    return {
        "empty.jpg": b"",
        "one byte.png": b"\x89",
        "text.webp": b"words, words, words\n" * 50,
        "html.jpg": b"<!doctype html><title>404</title>",
        "jpeg as png.png": encoded(".jpg"),
        "png as jpeg.jpg": encoded(".png"),
        "gif.png": gif.getvalue(),
        "bomb.png": png(60000, 60000, row),
        "bomb.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 90000, 90000, 1, 24, 0, 0, 1, 1, 0, 0),
        "nothing wide.png": png(0, 5, row),
        "short of rows.png": png(8, 80, row * 3),
        "no end.png": png(8, 2, row * 2)[:-12],
        "wrong check.png": png(8, 2, row * 2, chunk(b"gAMA", b"\0\0\0\1", crc=1)),
        "text bomb.png": png(8, 2, row * 2, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(BOMB)))),
        "profile bomb.png": png(8, 2, row * 2, chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(BOMB)))),
        "broken exif.png": png(8, 2, row * 2, chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")),
        "gray alpha 16.png": png(4, 2, (b"\0" + bytes(range(16))) * 2, depth=16, colour=4),
        "rgba 16.png": png(2, 2, (b"\0" + bytes(range(16))) * 2, depth=16, colour=6),
        "transparent 16.png": png(4, 2, (b"\0" + bytes(24)) * 2, chunk(b"tRNS", bytes(6)), depth=16),
        "two bits.png": png(8, 2, b"\0\x1b\x1b" * 2, depth=2, colour=0),
        "no palette.png": png(8, 2, b"\0" + bytes(8), depth=8, colour=3),
        "transparent palette.png": encoded(".png", palette),
        "one pixel.jpg": encoded(".jpg", photo(size=(1, 1))),
        "one column.webp": encoded(".webp", photo(size=(1, 300))),
        "one row.tif": encoded(".tif", photo(size=(300, 1))),
        "progressive.jpg": encoded(".jpg", progressive=True),
        "cmyk.jpg": encoded(".jpg", photo("CMYK")),
        "cmyk.tif": encoded(".tif", photo("CMYK"), compression="tiff_lzw"),
        "ycbcr.tif": encoded(".tif", photo("YCbCr")),
        "gray.jp2": encoded(".jp2", photo("L")),
        "float.tif": encoded(".tif", photo("F")),
        "int.tif": encoded(".tif", photo("I")),
        "bilevel.tif": encoded(".tif", photo("1"), compression="group4"),
        "deep.tif": wide.getvalue(),
        "pages.tif": encoded(".tif", save_all=True, append_images=[photo("L", (9, 9))]),
        "many frames.webp": encoded(".webp", save_all=True, append_images=[photo("L", (60, 44))]),
        "many frames.png": encoded(".png", save_all=True, append_images=[photo("L", (60, 44))]),
        "strange turn.jpg": encoded(".jpg", exif=exif),
        "broken exif.jpg": encoded(".jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(256))),
        "broken profile.jpg": encoded(".jpg", icc_profile=b"not a profile" * 30),
        "other profile.jpg": encoded(".jpg", icc_profile=icc),
        "broken xmp.jpg": encoded(".jpg", xmp=b"\xff\xfe<x" * 100),
        "more behind.jpg": encoded(".jpg") + bytes(5000),
        "[red]name[bold].jpg": encoded(".jpg"),
        "line\nbreak.png": encoded(".png"),
        "ünïcödé 图.png": encoded(".png"),
        "loop.tif": b"II*\0\x08\0\0\0" + b"\0\0" + struct.pack("<I", 8),
        "far.tif": b"II*\0\xf0\xff\xff\xff",
        "heic.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
        "raw.dng": b"II*\0" + bytes(500),
        "other.cr3": b"\0\0\0\x18ftypcrx " + bytes(500),
    }


@pytest.mark.filterwarnings("ignore")  # encoders warn of some of these
def test_a_corpus_of_damaged_and_odd_files(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = damaged() | odd()
    assert len(corpus) >= 100
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in corpus.items():
        (folder / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["enhance", "in", "--out", "out", "--model", str(tiny_model), "--device", "cpu"])
    *faults, summary = capfd.readouterr().err.splitlines()
    done = {path.name for path in (tmp_path / "out").iterdir()}
    failed = {name for name in corpus if any(name.replace("\n", " ") in fault for fault in faults)}
    assert left.value.code == 1
    assert [fault for fault in faults if not fault.startswith("error: in/")] == []
    assert summary == f"{len(done)} done, {len(faults)} failed: out"
    assert len(done) + len(faults) == len(corpus)
    assert {Path(name).stem for name in corpus} == {Path(name).stem for name in done | failed}
    for name in ("bomb.png", "bomb.bmp", "empty.jpg", "html.jpg", "cut30.jpg", "cut30.png", "float.tif", "int.tif"):
        assert name in failed
    assert "many frames.webp" in failed
    for name in ("progressive.jpg", "[red]name[bold].jpg", "line\nbreak.png", "one pixel.jpg", "deep.tif"):
        assert name in done
    for name in done:
        assert not name.startswith("."), "nothing half-written"
        images.read(tmp_path / "out" / name)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_bomb_in_the_metadata_is_not_unpacked(kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(odd()["text bomb.png" if kind == b"zTXt" else "profile bomb.png"])
    tracemalloc.start()
    try:
        images.read(path)
    except images.PictureError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < BOMB / 4


def test_what_is_no_file_is_reported(
    tiny_model: Path, tmp_path: Path, lowlight: Callable[..., tuple[int, str, str]]
) -> None:
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe.jpg")
    (tmp_path / "in" / "endless.png").symlink_to("/dev/zero")
    (tmp_path / "in" / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in" / "round.png").symlink_to(tmp_path / "in" / "round.png")
    (tmp_path / "in" / "folder.png").mkdir()
    for name in ("pipe.jpg", "endless.png", "gone.png", "round.png"):
        path = tmp_path / "in" / name
        code, _, talk = lowlight("enhance", path, "--out", tmp_path / "out", "--model", tiny_model)
        assert code == 1
        assert len(talk.splitlines()) == 1
        assert str(path) in talk
    assert not (tmp_path / "out").exists()


def test_random_bytes_are_never_a_crash(tmp_path: Path) -> None:
    """Every prefix and many bends of a JPEG and a TIFF: read or refused."""
    rng = np.random.default_rng(11)
    for suffix in (".jpg", ".tif", ".png"):
        whole = encoded(suffix, photo(size=(17, 13)), exif=Image.Exif())
        path = tmp_path / f"a{suffix}"
        for _ in range(60):
            bent = bytearray(whole)
            for place in rng.integers(0, len(bent), 3):
                bent[place] = int(rng.integers(256))
            path.write_bytes(bytes(bent))
            try:
                picture = images.read(path)
            except images.PictureError as error:
                assert "\n" not in str(error)
            else:
                images.write(tmp_path / f"b{suffix}", picture)
