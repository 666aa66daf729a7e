"""Pictures in and out, against Pillow."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

from lowlight_cli.core import images
from lowlight_cli.core.errors import PictureError


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


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".JPG"])
def test_what_is_written_reads_back(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(photo()).save(tmp_path / "a.png")
    picture = images.read(tmp_path / "a.png")
    images.write(tmp_path / f"b{suffix}", picture)
    again = images.read(tmp_path / f"b{suffix}")
    tolerance = 0.03 if suffix.lower() in (".jpg", ".jpeg", ".webp") else 0.0
    assert (again.pixels - picture.pixels).abs().max() <= tolerance
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    expected = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP"}
    with Image.open(tmp_path / f"b{suffix}") as file:
        assert file.format == expected.get(suffix.lower(), "TIFF")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    source = Image.fromarray(photo())
    source.save(tmp_path / "a.png", exif=exif)
    picture = images.read(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as file:
        upright = np.asarray(ImageOps.exif_transpose(file))
    assert picture.pixels.shape[-2:] == ((24, 31) if orientation < 5 else (31, 24))
    np.testing.assert_array_equal(images.quantised(picture.pixels).permute(1, 2, 0).numpy(), upright)
    images.write(tmp_path / "b.png", picture)
    with Image.open(tmp_path / "b.png") as written:
        assert written.getexif().get(0x0112, 1) == 1
        assert written.getexif()[0x010F] == "Maker"
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
        found = images.quantised(images.read(tmp_path / name).pixels).permute(1, 2, 0).numpy()
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


@pytest.mark.parametrize("name", ["text.jpg", "truncated.jpg", "empty.jpg", "missing.jpg"])
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, name: str) -> None:
    damaged(tmp_path)
    with pytest.raises(PictureError, match=name):
        images.read(tmp_path / name)


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (300, 300)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(PictureError, match=r"bomb\.png: more than 2,000 pixels"):
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
