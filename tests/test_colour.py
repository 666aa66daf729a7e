"""Colour profiles, against LittleCMS."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from lowlight_cli.core.data import datasets
from lowlight_cli.core.evaluating import testset
from lowlight_cli.core.pictures import colour
from lowlight_cli.core.pictures.colour import Profile
from lowlight_cli.core.pictures.metadata import Origin
from lowlight_cli.core.pictures.picture import Picture, converted

ADOBE = ((0.60974, 0.20528, 0.14919), (0.31111, 0.62567, 0.06322), (0.01947, 0.06087, 0.74457))
P3 = ((0.51512, 0.29198, 0.15710), (0.24120, 0.69225, 0.06657), (-0.00105, 0.04189, 0.78407))


def fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65536))


def gamma(exponent: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"


def table(exponent: float) -> bytes:
    steps = (np.linspace(0, 1, 1024) ** exponent * 65535).round().astype(int)
    return b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *steps)


def parametric(kind: int, *numbers: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(fixed, numbers))


def profile(matrix: tuple[tuple[float, ...], ...], curve: bytes) -> bytes:
    """A version 2 or 4 display profile, as cameras embed."""
    text = "a profile".encode("utf-16-be")
    tags = {
        b"desc": b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text,
        b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642) + fixed(1.0) + fixed(0.8249),
    }
    for index, name in enumerate("rgb"):
        tags[f"{name}XYZ".encode()] = b"XYZ \0\0\0\0" + b"".join(fixed(row[index]) for row in matrix)
        tags[f"{name}TRC".encode()] = curve
    offset, directory, content = 132 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        directory += name + struct.pack(">II", offset + len(content), len(value))
        content += value
    size = offset + len(content)
    white = fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    head = struct.pack(">I4s", size, b"lcms") + b"\4\x30\0\0" + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += white + bytes(128 - len(head) - len(white))
    return head + struct.pack(">I", len(tags)) + directory + content


CASES = {
    "Adobe RGB": profile(ADOBE, gamma(2.19921875)),
    "Display P3": profile(P3, parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)),
    "a table": profile(ADOBE, table(1.8)),
}


@pytest.mark.parametrize("name", CASES)
def test_conversion_agrees_with_littlecms(name: str) -> None:
    rng = np.random.default_rng(0)
    muted = rng.integers(60, 180, (40, 50, 1)) + rng.integers(-15, 15, (40, 50, 3))  # inside sRGB
    image = Image.fromarray(muted.clip(0, 255).astype(np.uint8))
    ours = Profile.of(CASES[name])
    assert ours is not None
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    srgb = ImageCms.createProfile("sRGB")
    theirs = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(CASES[name])), srgb)
    assert theirs is not None
    difference = ours.to_srgb(pixels).permute(1, 2, 0).numpy() * 255 - np.asarray(theirs)
    assert np.abs(difference).max() < 1.1
    assert np.abs(np.asarray(theirs).astype(int) - np.asarray(image)).max() > 3, "the profile should matter"


@pytest.mark.parametrize("name", CASES)
def test_there_and_back_changes_nothing_that_a_file_could_hold(name: str) -> None:
    ours = Profile.of(CASES[name])
    assert ours is not None
    pixels = torch.rand(3, 60, 60, generator=torch.Generator().manual_seed(0))  # colours that sRGB lacks among them
    difference = (ours.from_srgb(ours.to_srgb(pixels)) - pixels).abs()
    assert difference.max() < 0.5 / 255
    assert difference[:, pixels.amin(0) > 0.05].max() < 0.5 / 65535


def test_srgb_and_no_profile_need_no_conversion() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert Profile.of(srgb) is None
    assert colour.is_matrix(srgb)
    assert Profile.of(b"") is None
    assert Profile.of(None) is None


def test_a_profile_is_read_once() -> None:
    assert Profile.of(CASES["Adobe RGB"]) is Profile.of(bytes(bytearray(CASES["Adobe RGB"])))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_a_picture_knows_its_colours_as_srgb(dtype: torch.dtype) -> None:
    values = torch.tensor([[234, 51, 35], [128, 128, 128], [255, 0, 0]]).T.reshape(
        3, 1, 3
    )  # P3; the first is sRGB's red
    picture = Picture(converted(values.to(torch.uint8), dtype), origin=Origin(icc=CASES["Display P3"]))
    assert picture.srgb.dtype == dtype
    expected = torch.tensor([[255, 0, 0], [128, 128, 128], [255, 0, 0]]).T.reshape(3, 1, 3)
    assert (picture.pixels * 255 - expected).abs().max() <= 2
    assert torch.equal(Picture(picture.samples).srgb, picture.samples), "of no profile"


def test_data_sets_are_what_their_profiles_say(tmp_path: Path) -> None:
    for side, red in (("low", (117, 26, 18)), ("high", (234, 51, 35))):
        (tmp_path / side).mkdir()
        image = Image.new("RGB", (32, 24), red)
        image.save(tmp_path / side / "a.png", icc_profile=CASES["Display P3"])
    (pair,), (sample,) = datasets.pairs(tmp_path), testset.samples(tmp_path)
    photo = datasets.decode(datasets.Photo("a", pair.high, seed=0))
    found = (*datasets.decode(pair), *testset.decode(sample)[1:3], photo.high)
    for picture in found:
        assert picture is not None and picture[1:].max() <= 12, "of a red that sRGB has, too"
    assert [int(picture[0, 0, 0]) // 120 for picture in found] == [1, 2, 1, 2, 2]


def test_damaged_profiles_are_no_profiles() -> None:
    whole = CASES["Display P3"]
    rng = np.random.default_rng(0)
    for length in range(0, len(whole), 7):
        Profile.of(whole[:length])
    for _ in range(200):
        bent = bytearray(whole)
        bent[rng.integers(len(bent))] ^= 1 << int(rng.integers(8))
        found = Profile.of(bytes(bent))
        if found is not None:
            assert found.to_srgb(torch.rand(3, 2, 2)).isfinite().all()


def test_a_damaged_curve_makes_no_profile() -> None:
    flat = parametric(1, 2.4, 0.0, 0.1)  # divides by zero
    assert Profile.of(profile(P3, flat)) is None


def test_tone_curves_of_every_kind_are_those_of_the_standard() -> None:
    axis = torch.linspace(0, 1, colour.SAMPLES, dtype=torch.float64)
    parts = torch.where(axis >= 0.25, (0.75 * axis) ** 2 + 0.25, 0.5 * axis + 0.125)
    for curve, expected in (
        (b"curv\0\0\0\0" + bytes(4), axis),
        (parametric(0, 2.0), axis**2),
        (parametric(1, 2.0, 1.25, -0.25), (1.25 * axis - 0.25).clamp(min=0) ** 2),
        (parametric(2, 2.0, 0.75, -0.25, 0.5), (0.75 * axis - 0.25).clamp(min=0) ** 2 + 0.5),
        (parametric(4, 2.0, 0.75, 0.0, 0.5, 0.25, 0.25, 0.125), parts),
    ):
        torch.testing.assert_close(colour.tone_curve(curve), expected)
