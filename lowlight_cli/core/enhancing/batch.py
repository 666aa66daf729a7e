"""Many files through one Enhancer: read ahead, compute, write behind, one failure at a time.

Reading and writing have threads of their own, so that the network never waits for a disk or a codec. How much is under
way is bounded in pixels, so that a folder of huge photographs takes hardly more memory than one of them.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .. import device
from ..errors import FullDiskError, LowlightError, OutOfMemoryError
from ..files import exists
from ..pictures import images, sixteen
from ..pictures.encoding import USUAL, Encoding, encode
from ..pictures.panel import PREVIEW, columns, panel, preview
from ..pictures.picture import Picture, brightness
from .enhancer import REDUCE, Enhancer, Steps
from .jobs import Job
from .look import PLAIN, Look

PIXELS = 50_000_000
"""Pictures under way hold at most about this many pixels together, unless one of them alone has more."""
THREADS = min(os.cpu_count() or 1, 8)
NO_MEMORY = f"not enough memory: {REDUCE}"


@dataclass(frozen=True)
class Advance:
    """A share in (0, 1] of a job's picture has been computed."""

    job: Job
    share: float


@dataclass(frozen=True)
class Outcome:
    """What became of a job: "done", but for what was ``kept`` as it was, "failed" for ``reason``, or "skipped", for
    ``reason`` or, without one, because its outputs exist; "planned" if it is not to be done."""

    job: Job
    status: Literal["done", "skipped", "failed", "planned"]
    reason: str = ""
    seconds: float = 0.0  # spent on it, reading and writing included
    size: tuple[int, int] = (0, 0)  # height, width
    before: float = 0.0  # mean brightness in [0, 1]
    after: float = 0.0
    kept: tuple[Path, ...] = ()  # of its outputs
    computed: bool = True  # by the network, rather than shown beside an earlier result
    last: bool = False  # as those to come would fail for the same reason


Event = Advance | Outcome


@dataclass(frozen=True)
class Computed:
    """What a network made of a picture, and how to store it."""

    size: tuple[int, int]
    before: float
    after: float
    write: Callable[[], tuple[Path, ...]]  # which says what it has kept
    computed: bool = True  # by the network, rather than read from an earlier result


Compute = Callable[[Sequence[Job], Sequence[Picture]], Steps[list[Computed]]]


def enhance(
    enhancer: Enhancer, jobs: Iterable[Job], look: Look = PLAIN, encoding: Encoding = USUAL, *, overwrite: bool = False
) -> Generator[Event]:
    """Enhance the picture of each job into its first target; into a second one, before and after side by side."""

    def compute(jobs: Sequence[Job], pictures: Sequence[Picture]) -> Steps[list[Computed]]:
        dtype = encoding.dtype(images.kind_of(jobs[0].targets[0]), pictures[0].samples.dtype)
        wanted = [job.targets[0] not in kept(job, overwrite=overwrite) for job in jobs]  # or its comparison alone is
        todo = list(compress(pictures, wanted))
        made = iter((yield from enhancer.enhanced(todo, look, dtype=dtype)) if todo else [])
        results = [next(made) if new else images.read(job.targets[0]) for job, new in zip(jobs, wanted, strict=True)]
        return [stored(*each) for each in zip(jobs, pictures, results, wanted, strict=True)]

    def stored(job: Job, picture: Picture, result: Picture, new: bool) -> Computed:
        sides = [("before", preview(picture)), ("after", preview(result))] if len(job.targets) > 1 else []

        def write() -> tuple[Path, ...]:
            there = kept(job, overwrite=overwrite)
            target, *compare = job.targets
            if target not in there:
                images.write(target, result, encoding)
            for path in compare:
                if path not in there:
                    images.save(panel(sides, width=PREVIEW), path)
            return there

        before, after = (brightness(each) for each in (picture, result))
        return Computed(picture.size, before, after, write, new)

    return flow(jobs, compute, overwrite=overwrite, together=16 if enhancer.device.type == "cuda" else 1)


def decompose(
    enhancer: Enhancer,
    jobs: Iterable[Job],
    look: Look = PLAIN,
    *,
    dtype: torch.dtype = torch.uint8,
    overwrite: bool = False,
) -> Generator[Event]:
    """Write the maps of the picture of each job in ``dtype``, and a panel of them as last target."""

    def compute(jobs: Sequence[Job], pictures: Sequence[Picture]) -> Steps[list[Computed]]:
        ((job,), (picture,)) = jobs, pictures
        maps = yield from enhancer.decomposed(picture, look, dtype=dtype)
        shown = columns(picture, maps)

        def write() -> tuple[Path, ...]:
            there = kept(job, overwrite=overwrite)
            *files, sheet = job.targets
            for name, path in zip(maps, files, strict=False):
                if path not in there:
                    write_maps(path, maps if path.suffix == ".npz" else {name: maps[name]})
            if sheet not in there:
                images.save(panel(shown), sheet)
            return there

        before, after = (brightness(each) for each in (picture, Picture(maps["enhanced"])))
        return [Computed(picture.size, before, after, write)]

    return flow(jobs, compute, overwrite=overwrite)


def kept(job: Job, *, overwrite: bool) -> tuple[Path, ...]:
    """The targets of a job that are there, and are not to be replaced."""
    return () if overwrite else tuple(filter(exists, job.targets))


def write_maps(path: Path, maps: dict[str, Tensor]) -> None:
    """Store maps, (3 or 1, H, W) each: floats as TIFF or, all in one, as NumPy's npz; integers as PNG."""
    arrays = {name: values.permute(1, 2, 0).contiguous().numpy() for name, values in maps.items()}
    with images.storing(path) as file:
        match path.suffix:
            case ".npz":
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
            case ".tif":
                sixteen.write_tiff(file, next(iter(arrays.values())), tags={})
            case _:
                encode(file, Picture(next(iter(maps.values()))), "PNG")


def flow(jobs: Iterable[Job], compute: Compute, *, overwrite: bool, together: int = 1) -> Generator[Event]:
    """Do the jobs and say how it goes, to the end or to an outcome that is the last, as on a full disk. Whoever stops
    listening ends the work. Files being written are finished.

    Up to ``together`` pictures of one size and type are computed at once if they have been read by then.
    """
    upcoming = iter(jobs)
    job = next(upcoming, None)
    reading: deque[Read] = deque()
    writing: deque[tuple[int, Future[Outcome]]] = deque()
    with ThreadPoolExecutor(THREADS) as readers, ThreadPoolExecutor(THREADS) as writers:
        try:
            while job or reading or writing:
                while job and len(reading) <= max(THREADS, together):
                    if job.fault:
                        yield Outcome(job, "failed", job.fault)
                    elif job.skip or (job.finished and not overwrite):
                        yield Outcome(job, "skipped", job.skip)
                    else:
                        pixels = images.pixels(job.source)
                        under_way = sum(each.pixels for each in reading) + sum(each for each, _ in writing)
                        if under_way and under_way + pixels > PIXELS:
                            break
                        reading.append(Read(job, pixels, readers.submit(timed_read, job.source)))
                    job = next(upcoming, None)
                if reading:
                    for each, seconds, made in (yield from computed(taken(reading, together), compute)):
                        writing.append((each.pixels, writers.submit(written, each.job, seconds, made)))
                        del each, made  # the pictures, which may be huge
                while writing and (writing[0][1].done() or not reading):
                    outcome = writing[0][1].result()  # an interrupt while it waits must not lose it
                    writing.popleft()
                    yield outcome
                    if outcome.last:
                        job = None
                        while reading:
                            reading.popleft().picture.cancel()
        except KeyboardInterrupt:
            for _, last in writing:
                yield last.result()
            raise
        finally:
            for each in reading:
                each.picture.cancel()


@dataclass(frozen=True)
class Read:
    """A picture that is being read, and how many pixels it has."""

    job: Job
    pixels: int
    picture: Future[tuple[Picture, float]]  # and the seconds that it took

    @property
    def kind(self) -> tuple[object, ...] | None:
        """What pictures have in common that can be computed together; None if it could not be read."""
        if self.picture.exception() is not None:
            return None
        samples = self.picture.result()[0].samples
        return samples.shape, samples.dtype, self.job.targets[0].suffix.lower()


def timed_read(path: Path) -> tuple[Picture, float]:
    began = time.perf_counter()
    return images.read(path), time.perf_counter() - began


def taken(reading: deque[Read], most: int) -> list[Read]:
    """The next picture, once it is read, and those behind it that are read already and of its kind."""
    group = [reading.popleft()]
    kind = group[0].kind
    while kind and len(group) < most and reading and reading[0].picture.done() and reading[0].kind == kind:
        group.append(reading.popleft())
    return group


def computed(group: Sequence[Read], compute: Compute) -> Generator[Event, None, list[tuple[Read, float, Computed]]]:
    """Compute pictures together, or, where that fails, one by one: events on the way, then each with its seconds so far
    and what came of it."""
    try:
        loaded = [each.picture.result() for each in group]
        began = time.perf_counter()
        steps = compute([each.job for each in group], [picture for picture, _ in loaded])
        while True:
            yield Advance(group[0].job, next(steps))
    except StopIteration as end:
        share = (time.perf_counter() - began) / len(group)
        spent = [seconds + share for _, seconds in loaded]
        return list(zip(group, spent, end.value, strict=True))
    except OutOfMemoryError as error:
        reason = f"{group[0].job.source}: {error}"
    except LowlightError as error:
        reason = str(error)
    except (RuntimeError, MemoryError) as error:
        if not device.out_of_memory(error):
            raise
        reason = f"{group[0].job.source}: {NO_MEMORY}"
    if len(group) > 1:
        results = []
        for each in group:
            results += yield from computed([each], compute)
        return results
    yield Outcome(group[0].job, "failed", reason)
    return []


def written(job: Job, seconds: float, made: Computed) -> Outcome:
    """Store what came of a picture."""
    began = time.perf_counter()
    try:
        there = made.write()
    except LowlightError as error:
        return Outcome(job, "failed", str(error), last=isinstance(error, FullDiskError))
    except (RuntimeError, MemoryError) as error:
        if not device.out_of_memory(error):
            raise
        return Outcome(job, "failed", f"{job.source}: {NO_MEMORY}")
    seconds += time.perf_counter() - began
    return Outcome(job, "done", "", seconds, made.size, made.before, made.after, there, made.computed)
