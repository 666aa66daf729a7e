"""Where the pairs are on disk, which pictures belong together, and what is in them."""

import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from torch import Tensor

from ..errors import DatasetError
from ..pictures import folders, images
from ..pictures.picture import quantised
from . import synthesis

Item = TypeVar("Item")
Value = TypeVar("Value")
Split = Literal["train", "test"]
LOL_FOLDERS = {"train": "our485", "test": "eval15"}
SIDES = {"low": "low", "input": "low", "high": "high", "normal": "high", "target": "high"}
"""What data sets call the folders of their dark and of their well-lit pictures, in any case, and what they are here."""
SIDE_IN_NAME = re.compile(rf"^(?:{'|'.join(SIDES)})[-_ ]?(?=.)|(?<=.)[-_ ]?(?:{'|'.join(SIDES)})$", re.IGNORECASE)
SAMPLES = Path(__file__).parents[2] / "samples"
"""The ten pairs of our own that come with the package."""
AHEAD = 4 * (os.cpu_count() or 1)
"""Pairs that are decoded at once."""


class Pair(NamedTuple):
    """One dark picture and its well-lit counterpart, by file."""

    name: str
    low: Path
    high: Path


class Photo(NamedTuple):
    """A well-lit photograph alone: its dark counterpart is synthesised, the same for the same seed."""

    name: str
    high: Path
    seed: int


class PixelPair(NamedTuple):
    """A decoded pair: uint8, (3, H, W) each."""

    low: Tensor
    high: Tensor


def folder(dataset: str, data: Path, split: Split) -> Path:
    """The folder that holds ``low/`` and ``high/`` of a named data set under the root ``data``, or of any folder."""
    if dataset == "samples":
        return SAMPLES
    if dataset == "synthetic":
        place = root(dataset, data)
        if not place.is_dir():
            raise DatasetError(
                f"no synthetic pairs in {place}: get the paper's with `lowlight download synthetic --data {data}`, or "
                "make some from your photographs with `lowlight synthesise PHOTOS` (or train with --photos PHOTOS)"
            )
        return place
    if dataset != "lol":
        return Path(dataset)
    home = root(dataset, data)
    place = home / LOL_FOLDERS[split]
    if not place.is_dir():
        raise DatasetError(
            f"LOL is not in {home}: get it with `lowlight download lol --data {data}`, or say where it is with --data"
        )
    return place


def root(dataset: str, data: Path) -> Path:
    """The folder of lol or synthetic: ``data/NAME``, or ``data`` itself if it is the data set."""
    parts = LOL_FOLDERS.values() if dataset == "lol" else ("low",)
    return data if any((data / part).is_dir() for part in parts) else data / dataset


def to_train_on(datasets: Sequence[str], data: Path, photos: Path | None) -> list[Pair | Photo]:
    """The training pairs of all ``datasets``; with ``photos``, those of "synthetic" are made from that folder, in the
    same light whatever the seed of a run, so that models of any seed can be compared."""
    found: list[Pair | Photo] = []
    for dataset in datasets:
        if dataset == "synthetic" and photos is not None:
            found += photographs(photos, seed=0)
        else:
            found += pairs(folder(dataset, data, "train"))
    return found


def photographs(place: Path, seed: int, copies: int = 1) -> list[Photo]:
    """Every picture of a folder, searched recursively, ``copies`` times with seeds of their own.

    The same name, copy and seed give the same dark counterpart, whatever else is in the folder, save for a picture
    whose name differs in its suffix alone.
    """
    if not place.is_dir():
        raise DatasetError(f"{place}: no folder: name one with well-lit photographs")
    found = pictures(place)
    names = [path.relative_to(place).with_suffix("").as_posix().replace("/", "_") for path in found]
    count = Counter(names)
    photos, taken = [], set()
    for path, name in zip(found, names, strict=True):
        distinct = name + path.suffix.replace(".", "_") if count[name] > 1 else name
        while distinct in taken:
            distinct += "_"
        taken.add(distinct)
        for copy in range(copies):
            numbered = f"{distinct}_{copy + 1}" if copies > 1 else distinct
            photos.append(Photo(numbered, path, seed ^ zlib.crc32(numbered.encode(errors="surrogateescape"))))
    return photos


def pictures(place: Path, apart: Path | None = None) -> list[Path]:
    """Every picture below a folder, all of which must be readable, save for those in ``apart``; or the file itself."""
    found = list(folders.pictures(place, apart))
    if not found:
        raise DatasetError(f"{place}: no pictures in this folder (looked for {images.FORMATS})")
    closed = next(filter(Path.is_dir, found), None)
    if closed is not None:
        raise DatasetError(f"{closed}: this folder cannot be read: change its permissions, or take it out")
    return found


def pairs(place: Path) -> list[Pair]:
    """The pairs of ``place/low`` and ``place/high``, matched by stem, in natural order. No picture may be alone."""
    found = sides(place)
    faults = alone(found)
    if faults:
        raise DatasetError(f"{faults[0]} ({len(faults)} such): add, remove or rename, so that both have the same names")
    return [Pair(name, found["low"][name], found["high"][name]) for name in common(found)]


def side_folders(place: Path) -> dict[str, Path]:
    """The folders of a data set that hold its dark pictures, "low", and its well-lit ones, "high", whatever their names
    (``SIDES``), as far as they are there."""
    named = {path.name.lower(): path for path in sorted(place.iterdir()) if path.is_dir()} if place.is_dir() else {}
    found: dict[str, Path] = {}
    for name, side in SIDES.items():
        if name in named:
            found.setdefault(side, named[name])
    return found


def sides(place: Path) -> dict[str, dict[str, Path]]:
    """The pictures of ``place/low`` and of ``place/high``, by stem, or, where no two are alike, by stem without the
    side's name, as in ``low00690.png`` and ``normal00690.png``."""
    found: dict[str, dict[str, Path]] = {}
    there = side_folders(place)
    if not place.is_dir():
        raise DatasetError(f"{place}: no such data set or folder: use lol, synthetic, samples or a folder of pairs")
    for side in ("low", "high"):
        if side not in there:
            raise DatasetError(f"{place}: no folder {side}/ in it: a data set has its pictures in low/ and high/")
        found[side] = {}
        for path in sorted(there[side].iterdir()):
            if path.suffix.lower() in images.SUFFIXES and not path.name.startswith("."):
                other = found[side].setdefault(path.stem, path)
                if other != path:
                    raise DatasetError(f"{path}: {other.name} has the same name: rename or remove one of them")
    if not found["low"] and not found["high"]:
        raise DatasetError(f"{place}: no pictures in low/ and high/ (looked for {images.FORMATS})")
    bare = {side: {SIDE_IN_NAME.sub("", name): path for name, path in named.items()} for side, named in found.items()}
    unlike = not common(found) and all(len(bare[side]) == len(found[side]) for side in found)
    return bare if unlike and common(bare) else found


def alone(found: dict[str, dict[str, Path]]) -> list[str]:
    """What to say of each picture without a partner."""
    said = []
    for side, other in (("low", "high"), ("high", "low")):
        for name in sorted(found[side].keys() - found[other].keys(), key=natural):
            said.append(f"{found[side][name]}: no picture of that name in {other}/")
    return said


def common(found: dict[str, dict[str, Path]]) -> list[str]:
    """The names that both sides have, in natural order."""
    return sorted(found["low"].keys() & found["high"].keys(), key=natural)


def natural(name: str) -> tuple[int, int, str]:
    """Sorts 2 before 10, and numbers before words."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)


def decode(pair: Pair | Photo, *, darkened: bool = True) -> PixelPair:
    """Both pictures as uint8, of one size. A photograph's dark counterpart is made here; unless ``darkened``, it is the
    photograph itself."""
    if isinstance(pair, Photo):
        high = quantised(synthesis.reduced(images.read(pair.high).pixels))
        return PixelPair(synthesis.counterpart(high, pair.seed) if darkened else high, high)
    low, high = (quantised(images.read(path).pixels) for path in (pair.low, pair.high))
    unequal = size_fault(pair.low, low.shape[1:], pair.high, high.shape[1:])
    if unequal:
        raise DatasetError(f"{unequal}: a pair has one size")
    return PixelPair(low, high)


def size_fault(first: Path, size: Sequence[int], second: Path, other: Sequence[int]) -> str:
    """What to say of two pictures of these sizes, height and width, that should have one; nothing if they have."""
    mine, theirs = ("x".join(map(str, each)) for each in (size, other))
    return f"{first} is {mine} but {second} is {theirs}" if mine != theirs else ""


def each_of(items: Sequence[Item], work: Callable[[Item], Value]) -> Iterator[Value]:
    """``work`` of each, in order, on all cores, some at a time: what nobody has asked for yet fills no memory."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), AHEAD):
            yield from pool.map(work, items[start : start + AHEAD])
