"""What a run may learn from: pairs that are fit, and the scenes among them that are held out to judge it by."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from ..errors import DatasetError, PictureError
from . import likeness, synthesis
from .datasets import LOL_FOLDERS, Pair, Photo, PixelPair, decode, each_of

MISALIGNED = 8
"""A pair whose pictures are shifted against each other by more than this many px is unfit for training."""
DIM = 0.2
"""A photograph darker than this, on average, cannot stand for a well-lit one."""


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
    """Leave out pairs with a fault, and hold out whole scenes of each folder, ``fraction`` of its pairs, to judge by.
    What else shows a scene that is held out, photographs and pairs of other folders, is left out as well.

    Synthesised pairs and photographs judge nothing, unless there is nothing else; nor does one of several folders that
    shows a single scene.
    """
    fit = {
        index: pair for index, (pair, reason) in enumerate(zip(pictures, faults, strict=True)) if pair and not reason
    }
    kept = list(fit)
    if not kept:
        raise DatasetError(f"none of {len(found)} pairs is fit to train on; the first: {faults[0]}")
    folders = {index: known_as(found[index]).partition("/")[0] for index in kept}
    pairs = [index for index in kept if isinstance(found[index], Pair)]
    judges = [index for index in pairs if folders[index] != "synthetic"] or pairs or kept
    judged: set[int] = set()
    known: set[int] = set()
    several = sorted({folders[index] for index in judges})
    for folder in several:  # by itself: the same scenes, whatever else is learned
        own = [index for index in judges if folders[index] == folder]
        scene_of = likeness.scenes(fit[index].high for index in own)
        if len(several) > 1 and len(set(scene_of)) == 1:  # held out, it would teach nothing
            continue
        chosen = {own[place] for place in held_out(scene_of, fraction)}
        judged |= chosen
        known |= showing_the_same(fit, chosen, set(kept).difference(own))
    known -= judged
    learned = [index for index in kept if index not in judged | known]
    return TrainingSet(
        train=[fit[index] for index in learned],
        made=[isinstance(found[index], Photo) for index in learned],
        validation=[counterparted(found[index], fit[index]) for index in sorted(judged)],
        held_out=[known_as(found[index]) for index in sorted(judged)],
        learned_from=sorted(set(folders.values())),
        left_out=[
            *(reason for reason in faults if reason is not None),
            *(f"{found[index].high}: shows a scene that is held out" for index in sorted(known)),
        ],
    )


def showing_the_same(pictures: Mapping[int, PixelPair], shown: set[int], others: set[int]) -> set[int]:
    """Those of the ``others`` that show a scene of those ``shown``."""
    order = [*sorted(shown), *sorted(others)]
    scene_of = dict(zip(order, likeness.scenes(pictures[index].high for index in order), strict=True))
    hidden = {scene_of[index] for index in shown}
    return {index for index in others if scene_of[index] in hidden}


def held_out(scene_of: Sequence[int], fraction: float) -> set[int]:
    """Indices of whole scenes, in a random order, until they make up ``fraction`` of the pictures, or a further scene
    would make it more than twice that. Scenes of more than a tenth of all pictures come last, as a camera that stands
    still makes them.

    The order is the same whatever the seed of a run, so that models of any seed can be compared on these scenes, and
    averaged; a larger fraction adds to a smaller one.
    """
    wanted = fraction * len(scene_of)
    scenes = sorted(Counter(scene_of).items())
    order = torch.randperm(len(scenes), generator=torch.Generator().manual_seed(0)).tolist()
    taken: set[int] = set()
    for scene, size in sorted((scenes[i] for i in order), key=lambda scene: scene[1] > len(scene_of) / 10):
        if len(taken) >= wanted or (taken and len(taken) + size > 2 * wanted):
            break
        taken |= {index for index, of in enumerate(scene_of) if of == scene}
    return taken


def counterparted(pair: Pair | Photo, picture: PixelPair) -> PixelPair:
    """The pair with a dark picture in any case."""
    if isinstance(pair, Pair):
        return picture
    return PixelPair(synthesis.counterpart(picture.high, pair.seed), picture.high)


def known_as(pair: Pair | Photo) -> str:
    """What a model's file calls a pair: the data set's folder and the name. Photographs that are darkened anew for each
    patch are not the pairs of a data set called synthetic."""
    if isinstance(pair, Photo):
        return f"photographs/{pair.name}"
    return f"{Path(os.path.abspath(pair.high)).parent.parent.name}/{pair.name}"  # noqa: PTH100  (leaves links)


def known_folders(names: Iterable[str]) -> set[str]:
    """The folders, as ``known_as`` has them, of data sets as a model's file has them: LOL may stand by its name."""
    return {LOL_FOLDERS["train"] if name == "lol" else name for name in names}
