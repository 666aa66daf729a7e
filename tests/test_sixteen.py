"""16-bit colour, against tifffile and torchvision's PNG decoder."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torchvision.io import decode_image

from lowlight_cli.core.errors import PictureError
from lowlight_cli.core.pictures import images, sixteen
from lowlight_cli.core.pictures.picture import from_array

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")  # of torchvision


def values(channels: int = 3, height: int = 70, width: int = 33) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, (height, width, channels)).astype(np.uint16)


TIFFS = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "deflate": {"compression": "zlib", "predictor": True},
    "tiles": {"tile": (16, 16), "compression": "zlib"},
    "strips": {"rowsperstrip": 7},
}


@pytest.mark.parametrize("layout", TIFFS)
def test_every_layout_of_tiff_is_read_whole(tmp_path: Path, layout: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values(), photometric="rgb", **TIFFS[layout])
    found = images.read(tmp_path / "a.tif").samples
    assert found.dtype == torch.uint16
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), values())


def test_alpha_of_a_tiff_is_read_whole(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values(4), photometric="rgb", extrasamples=["unassalpha"])
    picture = images.read(tmp_path / "a.tif")
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha[0].numpy(), values(4)[..., 3])


def test_planes_apart_are_refused_rather_than_misread(tmp_path: Path) -> None:
    planes = np.ascontiguousarray(values().transpose(2, 0, 1))
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(PictureError, match="rare layout"):
        images.read(tmp_path / "a.tif")


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_survive(tmp_path: Path, channels: int, suffix: str) -> None:
    picture = from_array(values(channels))
    images.write(tmp_path / f"a{suffix}", picture)
    again = images.read(tmp_path / f"a{suffix}")
    assert torch.equal(again.samples.int(), picture.samples.int())
    assert (again.alpha is None) == (channels != 4)
    if picture.alpha is not None and again.alpha is not None:
        assert torch.equal(again.alpha.int(), picture.alpha.int())
    if suffix == ".png":
        decoded = decode_image(tmp_path / "a.png").permute(1, 2, 0).numpy()
    else:
        decoded = tifffile.imread(tmp_path / "a.tif")
    np.testing.assert_array_equal(decoded.reshape(values(channels).shape), values(channels))


def test_gray_with_alpha_is_a_whole_png(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", from_array(values(2)))
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png").permute(1, 2, 0).numpy(), values(2))


def test_one_pixel_is_a_picture_too(tmp_path: Path) -> None:
    for suffix in (".png", ".tif"):
        images.write(tmp_path / f"a{suffix}", from_array(values(3, 1, 1)))
        np.testing.assert_array_equal(images.read(tmp_path / f"a{suffix}").samples[:, 0, 0], values(3, 1, 1)[0, 0])


def test_formats_of_eight_bits_get_the_nearest(tmp_path: Path) -> None:
    images.write(tmp_path / "a.bmp", from_array(values()))
    with Image.open(tmp_path / "a.bmp") as image:
        np.testing.assert_array_equal(np.asarray(image), np.round(values() / 257).astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_tiff_of_other_types(dtype: type) -> None:
    given = (values() / 65535 * (255 if dtype == np.uint8 else 1)).astype(dtype)
    file = io.BytesIO()
    sixteen.write_tiff(file, given, tags={})
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(file.getvalue())), given)
