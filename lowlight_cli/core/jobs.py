"""Which pictures to work on and where each result goes; then the work itself, one failure at a time.

Nothing is overwritten unasked, an output is never an input, and one bad picture does not stop the others.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import images
from .errors import LowlightError, PictureError


@dataclass(frozen=True)
class Job:
    """One picture to read and the files to write, all or none of which exist beforehand."""

    source: Path
    targets: tuple[Path, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a job: "done", "skipped" because its output exists, or "failed" for ``reason``."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    seconds: float = 0.0
    reason: str = ""


def sources(inputs: Sequence[Path], out: Path | None) -> Iterator[tuple[Path, Path]]:
    """Every picture of the inputs and its place relative to its input. Folders are searched, save for ``out``."""
    for given in inputs:
        if given.is_dir():
            found = [
                path
                for path in sorted(given.rglob("*"))
                if path.suffix.lower() in images.SUFFIXES
                and not any(part.startswith(".") for part in path.relative_to(given).parts)
                and path.is_file()
                and not (out is not None and not same(out, given) and path.resolve().is_relative_to(out.resolve()))
            ]
            if not found:
                raise PictureError(
                    f"{given}: no pictures in this folder: it should hold {', '.join(sorted(images.SUFFIXES))}"
                )
            yield from ((path, path.relative_to(given)) for path in found)
        elif given.exists():
            yield given, Path(given.name)
        else:
            raise PictureError(f"{given}: no such file or folder")


def enhance_jobs(inputs: Sequence[Path], out: Path | None) -> list[Job]:
    """One job a picture. ``out`` is a file if it has a picture's suffix, else a folder; without it, results go beside
    the input as ``NAME_bright``."""
    jobs = []
    single = len(inputs) == 1 and not inputs[0].is_dir()
    if out is not None and out.suffix and not out.is_dir():
        images.writable(out)
        if not single:
            raise PictureError(f"{out}: several pictures cannot go into one file: give --out a folder")
        jobs = [Job(source, (out,)) for source, _ in sources(inputs, out)]
    else:
        for source, relative in sources(inputs, out):
            if out is not None:
                target = out / relative
            elif relative == Path(source.name) and source in inputs:
                target = source.with_stem(f"{source.stem}_bright")
            else:
                root = source.parents[len(relative.parts) - 1]
                target = root.with_name(f"{root.name}_bright") / relative
            if target.suffix.lower() not in images.SUFFIXES:
                target = target.with_suffix(".png")
            jobs.append(Job(source, (target,)))
    return checked(jobs)


MAPS = ("reflectance", "illumination", "relit", "enhanced", "panel")


def decompose_jobs(inputs: Sequence[Path], out: Path | None) -> list[Job]:
    """One job a picture, five PNG files each: ``NAME_reflectance.png`` and so on, in ``out`` or beside the input."""
    jobs = []
    for source, relative in sources(inputs, out):
        place = (out / relative).parent if out is not None else source.parent
        jobs.append(Job(source, tuple(place / f"{source.stem}_{name}.png" for name in MAPS)))
    return checked(jobs)


def checked(jobs: list[Job]) -> list[Job]:
    """Refuse jobs that would write over an input or over each other."""
    inputs = {job.source.resolve() for job in jobs}
    owner: dict[Path, Path] = {}
    for job in jobs:
        for target in job.targets:
            if target.resolve() in inputs:
                raise PictureError(f"{target}: the output would replace an input: choose another --out")
            if target.resolve() in owner:
                raise PictureError(f"{target}: wanted by both {owner[target.resolve()]} and {job.source}: rename one")
            owner[target.resolve()] = job.source
    return jobs


def same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve()


def work(jobs: Iterable[Job], do: Callable[[Job], None], *, overwrite: bool) -> Iterator[Outcome]:
    """Do each job, and say what became of it."""
    for job in jobs:
        if not overwrite and all(target.exists() for target in job.targets):
            yield Outcome(job, "skipped")
            continue
        began = time.monotonic()
        try:
            do(job)
        except LowlightError as error:
            yield Outcome(job, "failed", reason=str(error))
        else:
            yield Outcome(job, "done", seconds=time.monotonic() - began)
