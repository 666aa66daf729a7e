"""Where the pairs are on disk, which belong together, which are fit to learn from, and which show the same scene."""

import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from . import folders, images, likeness, synthesis
from .errors import DatasetError, PictureError
from .files import replacing_folder
from .picture import Picture, quantised

Item = TypeVar("Item")
Value = TypeVar("Value")
Split = Literal["train", "test"]
LOL_FOLDERS = {"train": "our485", "test": "eval15"}
SIDES = {"low": "low", "input": "low", "high": "high", "normal": "high", "target": "high"}
"""What data sets call the folders of their dark and of their well-lit pictures, in any case, and what they are here."""
SIDE_IN_NAME = re.compile(rf"^(?:{'|'.join(SIDES)})[-_ ]?(?=.)|(?<=.)[-_ ]?(?:{'|'.join(SIDES)})$", re.IGNORECASE)
SAMPLES = Path(__file__).parents[1] / "samples"
"""The ten pairs of our own that come with the package."""

AHEAD = 4 * (os.cpu_count() or 1)
"""Pairs that are decoded at once."""
MISALIGNED = 8
"""A pair whose pictures are shifted against each other by more than this many px is unfit for training."""
DIM = 0.2
"""A photograph darker than this, on average, cannot stand for a well-lit one."""


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


def to_train_on(datasets: Sequence[str], data: Path, photos: Path | None, seed: int) -> list[Pair | Photo]:
    """The training pairs of all ``datasets``; with ``photos``, those of "synthetic" are made from that folder."""
    found: list[Pair | Photo] = []
    for dataset in datasets:
        if dataset == "synthetic" and photos is not None:
            found += photographs(photos, seed)
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


def synthesise(photos: Sequence[Photo], out: Path, jpeg: int | None) -> Iterator[str | None]:
    """Write ``out/low`` and ``out/high`` from photographs; for each None, or why it was left out.

    ``out`` appears when all is done; it must not be there or be empty. ``synthesis.json`` in it tells light and noise.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} is not empty: choose another --out")
    if out.resolve() == Path.cwd():
        raise DatasetError(f"{out}: the folder that you are in cannot be replaced: name a new one with --out")
    suffix = ".png" if jpeg is None else ".jpg"
    record = {}
    try:
        with replacing_folder(out) as staging:
            for photo, (picture, reason) in zip(photos, examined(photos), strict=True):
                if picture is not None and reason is None:
                    low, high = (Picture(side) for side in picture)
                    images.write(staging / "low" / f"{photo.name}{suffix}", low, images.Encoding(quality=jpeg))
                    images.write(staging / "high" / f"{photo.name}.png", high)
                    record[photo.name] = {"seed": photo.seed, **synthesis.parameters(photo.seed)}
                yield reason
            if not record:
                raise DatasetError(f"none of {len(photos)} photographs is fit to make a pair of")
            (staging / "synthesis.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{out}: cannot be written: {error.strerror or error}: choose another --out") from error


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
    folders = side_folders(place)
    if not place.is_dir():
        raise DatasetError(f"{place}: no such data set or folder: use lol, synthetic, samples or a folder of pairs")
    for side in ("low", "high"):
        if side not in folders:
            raise DatasetError(f"{place}: no folder {side}/ in it: a data set has its pictures in low/ and high/")
        found[side] = {}
        for path in sorted(folders[side].iterdir()):
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
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)


def decode(pair: Pair | Photo, *, darkened: bool = True) -> PixelPair:
    """Both pictures as uint8. They must have one size; a photograph's dark counterpart is made here, or, unless
    ``darkened``, it stands for that itself."""
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


def examined(of: Sequence[Pair | Photo], *, darkened: bool = True) -> Iterator[tuple[PixelPair | None, str | None]]:
    """Every pair, in order, ``decode``d on all cores, and why it is unfit to learn from, None if it is fit.

    A photograph that cannot be read is None; a pair that cannot is an error, as data sets are meant to be whole.
    """

    def examine(pair: Pair | Photo) -> tuple[PixelPair | None, str | None]:
        try:
            picture = decode(pair, darkened=darkened)
        except PictureError as error:
            if isinstance(pair, Pair):
                raise
            return None, str(error)
        return picture, fault(pair, picture)

    yield from each_of(of, examine)


def each_of(items: Sequence[Item], work: Callable[[Item], Value]) -> Iterator[Value]:
    """``work`` of each, in order, on all cores, some at a time: what nobody has asked for yet fills no memory."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), AHEAD):
            yield from pool.map(work, items[start : start + AHEAD])


def fault(pair: Pair | Photo, picture: PixelPair) -> str | None:
    """Why a pair is unfit to learn from, None if it is fit."""
    if isinstance(pair, Photo):
        dim = picture.high.float().mean() < DIM * 255
        return f"{pair.high}: too dark to stand for a well-lit photograph" if dim else None
    if picture.low.float().mean() >= picture.high.float().mean():
        return f"{pair.low}: not darker than its partner {pair.high}"
    down, right = likeness.shift(*picture)
    if max(abs(down), abs(right)) > MISALIGNED:
        ways = (down, "down"), (-down, "up"), (right, "right"), (-right, "left")
        way = " and ".join(f"{by} px {name}" for by, name in ways if by > 0)
        return f"{pair.low}: misaligned, {way} of its partner"
    if likeness.strangers(*picture):
        return f"{pair.low}: shows something else than its partner {pair.high}"
    return None


def held_out(scene_of: Sequence[int], fraction: float) -> set[int]:
    """Indices of whole scenes, in a random order, until they make up ``fraction`` of the pictures.

    The order is the same whatever the seed of a run, so that models of any seed can be compared on these scenes, and
    averaged; a larger fraction adds to a smaller one.
    """
    wanted = fraction * len(scene_of)
    names = sorted(set(scene_of))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).tolist()
    taken: set[int] = set()
    for name in (names[i] for i in order):
        if len(taken) >= wanted:
            break
        taken |= {index for index, scene in enumerate(scene_of) if scene == name}
    return taken


def known_as(pair: Pair | Photo) -> str:
    """What a model's file calls a pair: the data set's folder and the name. Photographs that are darkened anew for each
    patch are not the pairs of a data set called synthetic."""
    if isinstance(pair, Photo):
        return f"photographs/{pair.name}"
    return f"{Path(os.path.abspath(pair.high)).parent.parent.name}/{pair.name}"  # noqa: PTH100  (leaves links)


def known_folders(names: Iterable[str]) -> set[str]:
    """The folders, as ``known_as`` has them, of data sets as a model's file has them: LOL may stand by its name."""
    return {LOL_FOLDERS["train"] if name == "lol" else name for name in names}


def counterparted(pair: Pair | Photo, picture: PixelPair) -> PixelPair:
    """The pair with a dark picture in any case."""
    if isinstance(pair, Pair):
        return picture
    return PixelPair(synthesis.counterpart(picture.high, pair.seed), picture.high)


class TrainingSet(NamedTuple):
    """What a run learns from, what it is judged by, and what it leaves out and why."""

    train: list[PixelPair]
    made: list[bool]  # whether that pair's dark picture is to be synthesised anew for each patch
    validation: list[PixelPair]
    held_out: list[str]  # what the pairs for validation are called, as ``known_as`` has it
    learned_from: list[str]  # the folders that all pairs are of, likewise
    left_out: list[str]

    @property
    def validation_names(self) -> list[str]:
        """The same without their folders."""
        return [name.partition("/")[2] for name in self.held_out]


def split(
    found: Sequence[Pair | Photo],
    pictures: Sequence[PixelPair | None],
    faults: Sequence[str | None],
    *,
    fraction: float,
) -> TrainingSet:
    """Leave out pairs with a fault and hold out whole scenes, ``fraction`` of the pairs, for validation. Photographs of
    a scene that is held out are left out as well."""
    fit = {
        index: pair for index, (pair, reason) in enumerate(zip(pictures, faults, strict=True)) if pair and not reason
    }
    kept = list(fit)
    if not kept:
        raise DatasetError(f"none of {len(found)} pairs is fit to train on; the first: {faults[0]}")
    real = [index for index in kept if isinstance(found[index], Pair)] or kept  # synthesised pairs judge nothing
    scene_of = likeness.scenes(fit[index].high for index in real)
    judged = sorted(real[place] for place in held_out(scene_of, fraction))
    photos = sorted(set(kept).difference(real))
    scene_of = likeness.scenes(fit[index].high for index in [*judged, *photos])
    hidden = set(scene_of[: len(judged)])
    known = [index for index, scene in zip(photos, scene_of[len(judged) :], strict=True) if scene in hidden]
    learned = [index for index in kept if index not in {*judged, *known}]
    return TrainingSet(
        train=[fit[index] for index in learned],
        made=[isinstance(found[index], Photo) for index in learned],
        validation=[counterparted(found[index], fit[index]) for index in judged],
        held_out=[known_as(found[index]) for index in judged],
        learned_from=sorted({known_as(found[index]).partition("/")[0] for index in kept}),
        left_out=[
            *(reason for reason in faults if reason is not None),
            *(f"{found[index].high}: shows a scene that is held out" for index in known),
        ],
    )
