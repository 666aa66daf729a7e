"""What an evaluation works on: pictures, with their truth and true maps where these are known."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from .. import metrics
from ..data import datasets
from ..errors import DatasetError, PictureError
from ..pictures import images
from ..pictures.picture import quantised

TRUTHS = ("reflectance", "illumination")


class Sample(NamedTuple):
    """A picture to enhance, by file, and what is known of it."""

    name: str
    low: Path
    high: Path | None = None
    reflectance: Path | None = None
    illumination: Path | None = None
    scene: int | None = None  # which pairs are of one, where that is known

    @property
    def files(self) -> list[Path]:
        """All its pictures, the dark one first."""
        return [path for path in (self.low, self.high, self.reflectance, self.illumination) if path is not None]

    @property
    def pair(self) -> datasets.Pair:
        """Both files of a sample that must have a truth."""
        if self.high is None:
            raise DatasetError(f"{self.low}: scenes are held out of pairs only: give a folder with low/ and high/")
        return datasets.Pair(self.name, self.low, self.high)


class Pixels(NamedTuple):
    """A decoded sample, and the true maps, floats (3 or 1, H, W), where they are known."""

    sample: Sample
    low: Tensor  # (3, H, W) uint8, or uint16 if the file is of 16 bit
    high: Tensor | None  # (3, H, W) uint8
    maps: dict[str, Tensor]


def samples(place: Path, apart: Path | None = None) -> list[Sample]:
    """The pairs of ``place/low`` and ``place/high``, whatever these folders are called (``datasets.SIDES``), with their
    true maps where ``place/truth`` holds them, as ``NAME_reflectance.png`` and ``NAME_illumination.png``; or else every
    picture of a folder, without truth, save for what lies in ``apart``. Pairs must not lie deeper: of them, the truths
    would be taken for pictures to enhance."""
    if len(datasets.side_folders(place)) == 2 or (place / "low").is_dir() or (place / "high").is_dir():
        known = {path.stem: path for path in (place / "truth").glob("*.png")}
        return [
            Sample(*pair, known.get(f"{pair.name}_reflectance"), known.get(f"{pair.name}_illumination"))
            for pair in datasets.pairs(place)
        ]
    if not place.exists():
        raise DatasetError(f"{place}: no such data set or folder: use lol, samples, synthetic or a folder of pictures")
    found = datasets.pictures(place, apart)
    homes = dict.fromkeys(path.parent.parent for path in found if path.parent.name.lower() in datasets.SIDES)
    deeper = [str(home) for home in homes if place in home.parents and len(datasets.side_folders(home)) == 2]
    if deeper:
        raise DatasetError(f"{place}: pairs lie deeper in it: give one such folder: {', '.join(deeper[:5])}")
    names = [(path.relative_to(place) if place.is_dir() else Path(path.name)).as_posix() for path in found]
    stems = [name.rpartition(".")[0] for name in names]
    count = Counter((*stems, *names))
    return [
        Sample(stem if count[stem] == 1 else name, path) for name, stem, path in zip(names, stems, found, strict=True)
    ]


def stored(folder: Path, found: Sequence[Sample]) -> dict[str, Path]:
    """The result in ``folder`` of each sample, by the sample's name: files that are called like it, or like its dark or
    its true picture. Raises DatasetError if one is missing."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of results: give --results NAME=FOLDER")
    there: dict[str, Path] = {}
    for path in datasets.pictures(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if there.setdefault(name, path) != path:
            raise DatasetError(f"{path}: {there[name].name} has the same name: rename or remove one of them")
    results: dict[str, Path] = {}
    missing: list[str] = []
    for sample in found:
        called = (sample.name, *(path.stem for path in sample[1:3] if path is not None))
        known = [there[name] for name in called if name in there]
        if known:
            results[sample.name] = known[0]
        else:
            missing.append(sample.name)
    names = {path: name for name, path in results.items()}
    for name, path in results.items():
        if names[path] != name:
            raise DatasetError(f"{path}: the result of {name} or of {names[path]}? give each its own, called like that")
    if missing:
        raise DatasetError(
            f"{folder}: no result for {missing[0]} ({len(missing)} of {len(found)} such): add what is missing"
        )
    return results


def check_sizes(found: Sequence[Sample], results: Sequence[dict[str, Path]]) -> None:
    """Raise DatasetError if a truth, a map or a result is of another size than its picture, or if a pair is too small,
    by what the files' headers say: before anything is computed."""
    faults: list[str] = []
    for sample in found:
        others = sample.files[1:]
        others += [by_name[sample.name] for by_name in results]
        if not others or sample.low.suffix.lower() in images.RAW or (size := images.size(sample.low)) is None:
            continue
        for path in others:
            if other := images.size(path):
                faults.append(datasets.size_fault(sample.low, size, path, other))
        if sample.high is not None and min(size) < metrics.WINDOW:
            faults.append(f"{sample.low} is {size[0]}x{size[1]}, and SSIM needs {metrics.WINDOW} px a side")
    faults = [fault for fault in faults if fault]
    if faults:
        raise DatasetError(f"{faults[0]} ({len(faults)} such): take them out, or give them one size")


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
    high = like(low, sample, sample.high, quantised(images.read(sample.high).pixels))
    maps = {}
    for name, path in zip(TRUTHS, (sample.reflectance, sample.illumination), strict=True):
        if path is not None:
            pixels = like(low, sample, path, images.read(path).pixels)
            maps[name] = pixels if name == "reflectance" else pixels.mean(dim=0, keepdim=True)
    return Pixels(sample, low, high, maps)


def like(low: Tensor, sample: Sample, path: Path, pixels: Tensor) -> Tensor:
    """The pixels of ``path``, which must have the size of the sample's."""
    fault = datasets.size_fault(sample.low, low.shape[1:], path, pixels.shape[1:])
    if fault:
        raise DatasetError(f"{fault}: they must have one size")
    return pixels
