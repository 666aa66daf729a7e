"""What an evaluation works on: pictures, with their truth and true maps where these are known."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from . import datasets, images, metrics
from .errors import DatasetError, PictureError

MAPS = ("reflectance", "illumination")


class Sample(NamedTuple):
    """A picture to enhance, by file, and what is known of it."""

    name: str
    low: Path
    high: Path | None = None
    reflectance: Path | None = None
    illumination: Path | None = None


class Pixels(NamedTuple):
    """A decoded sample, and the true maps, floats (3 or 1, H, W), where they are known."""

    sample: Sample
    low: Tensor  # (3, H, W) uint8, or uint16 if the file is of 16 bit
    high: Tensor | None  # (3, H, W) uint8
    maps: dict[str, Tensor]


def samples(place: Path, apart: Path | None = None) -> list[Sample]:
    """The pairs of ``place/low`` and ``place/high``, with their true maps where ``place/truth`` holds them, as
    ``NAME_reflectance.png`` and ``NAME_illumination.png``; or else every picture of a folder, without truth, save for
    what lies in ``apart``."""
    if (place / "low").is_dir() or (place / "high").is_dir():
        known = {path.stem: path for path in (place / "truth").glob("*.png")}
        return [Sample(*pair, *(known.get(f"{pair.name}_{name}") for name in MAPS)) for pair in datasets.pairs(place)]
    if not place.exists():
        raise DatasetError(f"{place}: no such data set or folder: use lol, samples, synthetic or a folder of pictures")
    found = datasets.pictures(place, apart)
    names = [(path.relative_to(place) if place.is_dir() else Path(path.name)).as_posix() for path in found]
    stems = [name.rpartition(".")[0] for name in names]
    count = Counter((*stems, *names))
    return [
        Sample(stem if count[stem] == 1 else name, path) for name, stem, path in zip(names, stems, found, strict=True)
    ]


def held_out_scenes(found: Sequence[Sample], fraction: float) -> Iterator[Sample | int]:
    """Decode all pairs, yielding how many are done; then those of the scenes that training holds out.

    They are the ones that ``lowlight train`` with the same ``fraction`` never learns from.
    """
    pairs = [datasets.Pair(sample.name, *paired(sample)) for sample in found]
    pictures, faults = [], []
    for picture, fault in datasets.examined(pairs):
        pictures.append(picture)
        faults.append(fault)
        yield len(pictures)
    names = set(datasets.split(pairs, pictures, faults, fraction=fraction).validation_names)
    yield from (sample for sample in found if sample.name in names)


def known_as(sample: Sample) -> str:
    """What the files of models call a sample with truth."""
    return datasets.known_as(datasets.Pair(sample.name, *paired(sample)))


def paired(sample: Sample) -> tuple[Path, Path]:
    """Both files of a sample that must have a truth."""
    if sample.high is None:
        raise DatasetError(f"{sample.low}: scenes are held out of pairs only: give a folder with low/ and high/")
    return sample.low, sample.high


def decode_or_fault(sample: Sample) -> Pixels | PictureError:
    """The pictures of a sample, or what is wrong with one that has no truth: a benchmark is whole or none."""
    try:
        return decode(sample)
    except PictureError as error:
        if sample.high is not None:
            raise
        return error


def decode(sample: Sample) -> Pixels:
    """The pictures of a sample. All must have one size."""
    low = images.read(sample.low).srgb
    if sample.high is None:
        return Pixels(sample, low, None, {})
    high = images.quantised(images.read(sample.high).pixels)
    if low.shape != high.shape:
        sizes = ["x".join(map(str, picture.shape[1:])) for picture in (low, high)]
        raise DatasetError(f"{sample.low} is {sizes[0]} but {sample.high} is {sizes[1]}: a pair has one size")
    if min(low.shape[-2:]) < metrics.WINDOW:
        raise DatasetError(f"{sample.low}: SSIM needs at least {metrics.WINDOW} px a side")
    maps = {}
    for name, path in zip(MAPS, (sample.reflectance, sample.illumination), strict=True):
        if path is not None:
            pixels = images.read(path).pixels
            maps[name] = pixels if name == "reflectance" else pixels.mean(dim=0, keepdim=True)
            if pixels.shape != low.shape:
                raise DatasetError(f"{path}: the map has another size than {sample.low}")
    return Pixels(sample, low, high, maps)
