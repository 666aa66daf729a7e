"""Whether a data set is what it should be: its pairs, their pictures, and that the two of a pair belong together."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import LowlightError
from . import datasets, trainingset
from .datasets import Pair


@dataclass(frozen=True)
class Inspecting:
    """Pairs looked at so far."""

    done: int
    total: int


@dataclass(frozen=True)
class Flagged:
    """A pair that training leaves out, and why. The data set is as published all the same."""

    reason: str


@dataclass(frozen=True)
class Faulty:
    """Something that makes the data set other than it should be."""

    reason: str


Finding = Inspecting | Flagged | Faulty


@dataclass(frozen=True)
class Part:
    """One folder with low/ and high/, and what is known of it: pairs, size and the hash of all its pixels."""

    folder: str
    pairs: int
    height_width: tuple[int, int] | None = None
    pixels: str | None = None


def inspect(place: Path, parts: Sequence[Part]) -> Iterator[Finding]:
    """Look at every picture of a data set: counts, pairing, decoding, sizes, low darker than high, alignment."""
    total = sum(part.pairs for part in parts)
    before = 0
    for part in parts:
        try:
            found = datasets.sides(place / part.folder)
        except LowlightError as error:
            yield Faulty(str(error))
            before += part.pairs
            continue
        yield from (Faulty(reason) for reason in datasets.alone(found))
        both = [Pair(name, found["low"][name], found["high"][name]) for name in datasets.common(found)]
        if len(both) != part.pairs:
            yield Faulty(f"{place / part.folder}: {len(both)} pairs instead of {part.pairs}")
        seen = hashlib.sha256()
        for number, (finding, digest) in enumerate(datasets.each_of(both, partial(look, part)), 1):
            seen.update(digest)
            if finding is not None:
                yield finding
            yield Inspecting(before + number, total)
        if part.pixels is not None and seen.hexdigest() != part.pixels:
            yield Faulty(
                f"{place / part.folder}: the pixels are not the published ones: a changed copy of the data set"
            )
        before += part.pairs


def look(part: Part, pair: Pair) -> tuple[Finding | None, bytes]:
    """What is wrong with one pair, and the hash of its pixels."""
    try:
        picture = datasets.decode(pair)
    except LowlightError as error:
        return Faulty(str(error)), b""
    digest = hashlib.sha256(picture.low.numpy().tobytes() + picture.high.numpy().tobytes()).digest()
    size = tuple(picture.low.shape[1:])
    if part.height_width is not None and size != part.height_width:
        wanted = "x".join(map(str, part.height_width))
        return Faulty(f"{pair.low}: {size[0]}x{size[1]} px instead of {wanted}"), digest
    reason = trainingset.fault(pair, picture)
    return (None if reason is None else Flagged(reason)), digest
