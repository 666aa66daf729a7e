"""Where the pairs are on disk, which belong together, which are fit to learn from, and which show the same scene."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from . import images
from .errors import DatasetError
from .metrics import gray

Split = Literal["train", "test"]
LOL_FOLDERS = {"train": "our485", "test": "eval15"}

THUMBNAIL = 32, 48
SAME_SCENE = 0.95
"""Two pictures whose mean-removed gray thumbnails correlate above this show the same scene."""
MISALIGNED = 8
"""A pair whose pictures are shifted against each other by more than this many px is unfit for training."""


class Pair(NamedTuple):
    """One dark picture and its well-lit counterpart, by file."""

    name: str
    low: Path
    high: Path


class PixelPair(NamedTuple):
    """A decoded pair: uint8, (3, H, W) each."""

    low: Tensor
    high: Tensor


def folder(dataset: str, data: Path, split: Split) -> Path:
    """The folder that holds ``low/`` and ``high/`` of a named data set under the root ``data``, or of any folder."""
    if dataset != "lol":
        return Path(dataset)
    root = data if any((data / part).is_dir() for part in LOL_FOLDERS.values()) else data / "lol"
    place = root / LOL_FOLDERS[split]
    if not place.is_dir():
        raise DatasetError(
            f"LOL is not in {root}: get it with `lowlight download lol --data {data}`, or say where it is with --data"
        )
    return place


def pairs(place: Path) -> list[Pair]:
    """The pairs of ``place/low`` and ``place/high``, matched by stem, in natural order. No picture may be alone."""
    found: dict[str, dict[str, Path]] = {}
    for side in ("low", "high"):
        if not (place / side).is_dir():
            raise DatasetError(f"{place}: no folder {side}/ in it: a data set has its pictures in low/ and high/")
        found[side] = {
            path.stem: path
            for path in sorted((place / side).iterdir())
            if path.suffix.lower() in images.SUFFIXES and not path.name.startswith(".")
        }
    low, high = found["low"], found["high"]
    if not low and not high:
        raise DatasetError(f"{place}: no pictures in low/ and high/")
    for mine, theirs, other in ((low, high, "high"), (high, low, "low")):
        alone = mine.keys() - theirs.keys()
        if alone:
            first = mine[min(alone, key=natural)]
            raise DatasetError(f"{first}: no picture of that name in {other}/ ({len(alone)} such): add or remove")
    return [Pair(name, low[name], high[name]) for name in sorted(low, key=natural)]


def natural(name: str) -> tuple[int, int, str]:
    """Sorts 2 before 10, and numbers before words."""
    return (0, int(name), "") if name.isdecimal() else (1, 0, name)


def decode(pair: Pair) -> PixelPair:
    """Both pictures as uint8. They must have one size."""
    low, high = (images.quantised(images.read(path).pixels) for path in (pair.low, pair.high))
    if low.shape != high.shape:
        sizes = ["x".join(map(str, picture.shape[1:])) for picture in (low, high)]
        raise DatasetError(f"{pair.low} is {sizes[0]} but {pair.high} is {sizes[1]}: a pair has one size")
    return PixelPair(low, high)


def decoded(of: Sequence[Pair]) -> Iterator[PixelPair]:
    """Every pair, in order, decoded on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(decode, of)


def shift(picture: PixelPair) -> tuple[int, int]:
    """By how many px, down and right, the low picture lies off the high one; 2 px steps.

    Phase correlation (Kuglin and Hines 1975) of the logarithms, which turn a change of light into a constant.
    """
    spectra = []
    for side in picture:
        light = F.avg_pool2d(gray(side[None].float() / 255), 2)[0, 0]
        light = torch.log(light + 0.02)
        height, width = light.shape
        window = torch.hann_window(height, periodic=False)[:, None] * torch.hann_window(width, periodic=False)
        spectra.append(torch.fft.rfft2((light - light.mean()) * window))
    cross = spectra[0] * spectra[1].conj()
    across, along = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    lowpass = torch.exp(-(across.square() + along.square()) / (2 * 0.12**2))  # noise sits in the high frequencies
    peak = torch.fft.irfft2(cross / (cross.abs() + 1e-9) * lowpass, s=(height, width)).argmax()
    down, right = divmod(int(peak), width)
    return 2 * (down - height * (down > height // 2)), 2 * (right - width * (right > width // 2))


def misaligned(pictures: Iterable[PixelPair]) -> list[tuple[int, int] | None]:
    """For each pair its shift in px, down and right, if that is above ``MISALIGNED``."""
    shifts = (shift(picture) for picture in pictures)
    return [found if max(map(abs, found)) > MISALIGNED else None for found in shifts]


def scenes(highs: Iterable[Tensor]) -> list[int]:
    """A scene number for each well-lit picture (3, H, W) uint8: those that look alike share it, through any chain."""
    thumbnails = [F.adaptive_avg_pool2d(gray(high[None].float()), THUMBNAIL).flatten() for high in highs]
    flat = torch.stack(thumbnails)
    flat = F.normalize(flat - flat.mean(dim=1, keepdim=True))
    alike = flat @ flat.T > SAME_SCENE
    alike.fill_diagonal_(True)
    label = torch.arange(len(flat))
    while True:  # every picture takes the smallest label among its likes, until nothing changes
        smallest = torch.where(alike, label, len(flat)).amin(dim=1)
        if torch.equal(smallest, label):
            return [int(number) for number in label]
        label = smallest


def held_out(scene_of: Sequence[int], fraction: float, seed: int) -> set[int]:
    """Indices of whole scenes, drawn at random until they make up ``fraction`` of the pictures."""
    wanted = fraction * len(scene_of)
    names = sorted(set(scene_of))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    taken: set[int] = set()
    for name in (names[i] for i in order):
        if len(taken) >= wanted:
            break
        taken |= {index for index, scene in enumerate(scene_of) if scene == name}
    return taken


class TrainingSet(NamedTuple):
    """What a run learns from, what it is judged by, and what it leaves out and why."""

    train: list[PixelPair]
    validation: list[PixelPair]
    validation_names: list[str]
    left_out: list[str]


def split(found: Sequence[Pair], pictures: Sequence[PixelPair], *, fraction: float, seed: int) -> TrainingSet:
    """Leave out misaligned pairs and hold out whole scenes, ``fraction`` of the pairs, for validation."""
    kept, left_out = [], []
    for index, shifted in enumerate(misaligned(pictures)):
        if shifted is None:
            kept.append(index)
        else:
            down, right = shifted
            left_out.append(f"{found[index].low}: {down:+d} px down and {right:+d} px right of its partner")
    scene_of = scenes(pictures[index].high for index in kept)
    judged = held_out(scene_of, fraction, seed)
    if len(judged) == len(kept):
        raise DatasetError(f"all {len(kept)} pairs show one scene, none is left to train on: use --validation 0")
    return TrainingSet(
        train=[pictures[index] for place, index in enumerate(kept) if place not in judged],
        validation=[pictures[index] for place, index in enumerate(kept) if place in judged],
        validation_names=[found[index].name for place, index in enumerate(kept) if place in judged],
        left_out=left_out,
    )
