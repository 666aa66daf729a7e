"""Which pictures to work on and where each result goes; then the work itself, one failure at a time.

Nothing is overwritten unasked, an output is never an input, and one bad picture does not stop the others.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from . import images
from .errors import LowlightError, PictureError


@dataclass(frozen=True)
class Job:
    """One picture to read and the files to write; or, with a ``fault``, why that cannot be."""

    source: Path
    targets: tuple[Path, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a job: "done", "skipped" because its outputs exist, or "failed" for ``reason``."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Source:
    """A picture, the input that it was found through, and its place below that if the input is a folder."""

    path: Path
    given: Path
    relative: Path
    fault: str = ""


def sources(inputs: Sequence[Path], out: Path | None) -> Iterator[Source]:
    """Every picture of the inputs, each once. Folders are searched, save for hidden files and what lies in ``out``."""
    seen: set[Path] = set()
    for given in inputs:
        found = list(pictures(given, out))
        if given.is_dir() and not found:
            yield Source(given, given, Path(), f"{given}: no pictures in this folder (looked for {images.FORMATS})")
        for path in found:
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield Source(path, given, path.relative_to(given) if given.is_dir() else Path(path.name))


def pictures(given: Path, out: Path | None) -> Iterator[Path]:
    """The pictures below a folder, in order; or ``given`` itself, whatever it is, if it is no folder."""
    if not given.is_dir():
        yield given
        return
    apart = None if out is None or out.resolve() == given.resolve() else out.resolve()
    for path in sorted(given.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(given).parts)
        result = apart is not None and path.resolve().is_relative_to(apart)
        if path.suffix.lower() in images.SUFFIXES and path.is_file() and not hidden and not result:
            yield path


def enhance_jobs(inputs: Sequence[Path], out: Path | None) -> list[Job]:
    """One job a picture. ``out`` is a file if it has a picture's suffix, else a folder; without it, results go beside
    the input as ``NAME_bright``."""
    single = len(inputs) == 1 and not inputs[0].is_dir()
    one_file = (
        out is not None and not out.is_dir() and (out.suffix.lower() in images.SUFFIXES or (single and out.suffix))
    )
    if one_file and out is not None:
        images.writable(out)
        if not single:
            raise PictureError(f"{out}: several pictures cannot go into one file: give --out a folder")
    jobs = []
    for source in sources(inputs, out):
        if source.fault:
            jobs.append(Job(source.path, fault=source.fault))
            continue
        if one_file and out is not None:
            target = out
        elif out is not None:
            target = out / source.relative
        elif source.given.is_dir():
            root = source.given.resolve()
            target = root.with_name(f"{root.name}_bright") / source.relative
        else:
            target = source.path.with_stem(f"{source.path.stem}_bright")
        if target.suffix.lower() not in images.SUFFIXES:
            target = target.with_suffix(".png")
        jobs.append(Job(source.path, (target,)))
    return checked(jobs)


MAPS = ("reflectance", "illumination", "relit", "enhanced", "panel")


def decompose_jobs(inputs: Sequence[Path], out: Path | None) -> list[Job]:
    """One job a picture, five PNG files each: ``NAME_reflectance.png`` and so on, in ``out`` or beside the input."""
    if out is not None and out.suffix.lower() in images.SUFFIXES and not out.is_dir():
        raise PictureError(f"{out}: five maps a picture cannot go into one file: give --out a folder")
    jobs = []
    for source in sources(inputs, out):
        place = (out / source.relative).parent if out is not None else source.path.parent
        targets = tuple(place / f"{source.path.stem}_{name}.png" for name in MAPS)
        jobs.append(Job(source.path, targets, source.fault))
    return checked(jobs)


def checked(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, with a fault in those that would write over an input or over what another job writes."""
    inputs = {job.source.resolve() for job in jobs}
    owner: dict[Path, Path] = {}
    result = []
    for job in jobs:
        for target in job.targets:
            place = target.resolve()
            if place in inputs:
                job = replace(job, fault=f"{target}: the output would replace an input: choose another --out")
            elif owner.setdefault(place, job.source) != job.source:
                job = replace(job, fault=f"{target}: wanted by both {owner[place]} and {job.source}: rename one")
        result.append(job)
    return result


def work(jobs: Iterable[Job], do: Callable[[Job], None], *, overwrite: bool) -> Iterator[Outcome]:
    """Do each job, and say what became of it. ``do`` gets the job with those targets that are to be written."""
    for job in jobs:
        if job.fault:
            yield Outcome(job, "failed", reason=job.fault)
            continue
        missing = tuple(target for target in job.targets if overwrite or not target.exists())
        if not missing:
            yield Outcome(job, "skipped")
            continue
        began = time.monotonic()
        try:
            do(replace(job, targets=missing))
        except LowlightError as error:
            yield Outcome(job, "failed", reason=str(error))
        else:
            yield Outcome(job, "done", seconds=time.monotonic() - began)
