"""Which pictures to work on, and where each result goes. An output is never an input, nor the output of another."""

import glob
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...settings import Maps
from ..errors import PictureError
from ..files import exists
from ..pictures import images
from ..pictures.encoding import SIXTEEN_BIT
from ..pictures.folders import closed_folder, is_file, is_folder, is_link, missing, pictures, real
from .enhancer import MAPS

BRIGHT = "_bright"
"""What the names of results beside their pictures end in, unless told otherwise."""
A_MAP = "a map that decompose made"


@dataclass(frozen=True)
class Job:
    """One picture to read and the files to write; or, with a ``fault``, why that cannot be, and with a ``skip``, why it
    need not be."""

    source: Path
    targets: tuple[Path, ...] = ()
    fault: str = ""
    skip: str = ""

    @property
    def finished(self) -> bool:
        """Whether everything that it would write is there."""
        return bool(self.targets) and all(map(exists, self.targets))


@dataclass(frozen=True)
class Source:
    """A picture, the input that it was found through, and its place below that if the input is a folder."""

    path: Path
    given: Path
    relative: Path
    fault: str = ""
    skip: str = ""


def sources(inputs: Sequence[Path], out: Path | None) -> list[Source]:
    """Every picture of the inputs, each once: under its own name, if that is among them, rather than a link's. Folders
    are searched, save for hidden files and what lies in ``out``. Maps that ``decompose`` made have a skip."""
    found: dict[Path, Source] = {}
    for given in [path for pattern in inputs for path in expanded(pattern)]:
        folder = is_folder(given)
        paths = list(pictures(given, out))
        if folder and not paths:
            fault = f"{given}: no pictures in this folder (looked for {images.FORMATS})"
            found.setdefault(real(given), Source(given, given, Path(), fault))
        for path in paths:
            fault = f"{path}: this folder cannot be read" if folder and is_folder(path) else missing(path)
            source = Source(path, given, path.relative_to(given) if folder else Path(path.name), fault)
            if is_link(found.setdefault(real(path), source).path) and not is_link(path):
                found[real(path)] = source
    maps = maps_among(found)
    return [replace(each, skip=A_MAP) if path in maps and not each.fault else each for path, each in found.items()]


def expanded(pattern: Path) -> list[Path]:
    """What a pattern such as ``*.jpg`` stands for where no shell has said so; any other path as it is."""
    if not glob.has_magic(str(pattern)) or exists(pattern):
        return [pattern]
    return [Path(name) for name in sorted(glob.glob(str(pattern), recursive=True))] or [pattern]  # noqa: PTH207


def enhance_jobs(
    inputs: Sequence[Path],
    out: Path | None,
    *,
    suffix: str | None = None,
    kind: str | None = None,
    compare: bool = False,
    wide: bool = False,
) -> list[Job]:
    """One job a picture. ``out`` is a file if it has a picture's suffix, or any but a number and there is one input.

    Without ``out``, results go beside the input, named with ``suffix``, ``_bright`` if None. ``kind`` is the suffix of
    another format. ``compare`` adds a picture of before and after, ``NAME_compare.jpg``. ``wide`` results must hold 16
    bits a channel.
    """
    found = sources(inputs, out)
    single = len(found) == 1 and not is_folder(found[0].given)
    ends = [source.path.suffix for source in found]
    if out is None and suffix == "" and kind is None and ends == list(map(written_as, ends)):
        raise PictureError("without a suffix, results would take the place of their pictures: choose --suffix or --out")
    if suffix is None:
        suffix = BRIGHT if out is None else ""
    file = None
    named = out is not None and out.suffix[1:].strip("0123456789")  # walk.2024 is a folder's name
    if out is not None and not is_folder(out) and (out.suffix.lower() in images.WRITTEN or (single and named)):
        file = out
        check_kind(file, kind)
        if not single:
            raise PictureError(f"{file}: several pictures cannot go into one file: give --out a folder")
        if suffix:
            raise PictureError(f"{file}: this is the result's whole name: leave out --suffix, or give --out a folder")
    else:
        check_folder(out)
    jobs = []
    for source in found:
        if source.fault or source.skip:
            jobs.append(Job(source.path, fault=source.fault, skip=source.skip))
            continue
        if file is not None:
            target = file
        else:
            target = place(source, out, suffix, f".{kind}" if kind else written_as(source.path.suffix))
        why = too_narrow(images.kind_of(target)) if wide else ""
        if not suffix and is_folder(source.given) and real(target).parent == real(source.path).parent:
            why = "it would be taken for an input the next time: add --suffix, or choose another --out"
        jobs.append(Job(source.path, (target,), f"{target}: {why}" if why else ""))
    jobs = apart(jobs, lambda job: [*([job.targets[0].stem] if suffix else []), *comparisons(job.targets[0])])
    jobs = second(jobs)
    if compare:
        jobs = compared(jobs)
    return checked(jobs)


def second(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, with a skip in those of an MPO or GIF whose result would have the name of another picture's: cameras
    write a JPEG beside an MPO."""
    besides = [job.source.suffix.lower() in images.BESIDES for job in jobs]
    taken = {target for job, beside in zip(jobs, besides, strict=True) if not beside for target in job.targets}
    return [
        Job(job.source, skip="another picture has that name") if beside and not taken.isdisjoint(job.targets) else job
        for job, beside in zip(jobs, besides, strict=True)
    ]


def comparisons(target: Path) -> tuple[str, str]:
    """Stem of a picture of before and after, and the longer one where two results share a stem."""
    return f"{target.stem}_compare", f"{target.stem}_{target.suffix[1:]}_compare"


def compared(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, each with a picture of before and after beside its result."""
    count = Counter(job.targets[0].with_suffix("") for job in jobs if job.targets)
    result = []
    for job in jobs:
        for target in job.targets:
            name, among = comparisons(target)
            more = target.with_name(f"{name if count[target.with_suffix('')] == 1 else among}.jpg")
            job = replace(job, targets=(target, more))
        result.append(job)
    return result


def check_folder(out: Path | None) -> None:
    """Raise PictureError if results are to go into what is there and no folder."""
    if out is not None and exists(out) and not is_folder(out):
        raise PictureError(f"{out}: not a folder: choose another --out")


def check_kind(out: Path, kind: str | None) -> None:
    """Raise PictureError if ``out`` is of no format that can be written, or of another than the suffix ``kind``."""
    own = images.kind_of(out)
    if kind and own != images.WRITTEN[f".{kind}"]:
        raise PictureError(f"{out}: --format {kind} is another format than its name says: leave one of them out")


def too_narrow(kind: str) -> str:
    """Why a format cannot hold 16 bits a channel; nothing if it can."""
    return "" if kind in SIXTEEN_BIT else f"{kind} holds 8 bits per channel: add --format png, or leave out --depth"


def apart(jobs: Sequence[Job], names: Callable[[Job], Sequence[str]]) -> list[Job]:
    """The jobs, with a skip in those whose input is, by its name, an earlier result of another one, perhaps in another
    format. ``names`` are the results of a job, beside its first target, without suffix; of another time, it may have
    one beside its source."""
    made: dict[Path, Path] = {}
    for job in jobs:
        beside = job.source.with_name(f"{job.source.stem}{BRIGHT}{written_as(job.source.suffix)}")
        earlier = [*map(beside.with_name, (beside.stem, *comparisons(beside)))]
        for target in job.targets[:1]:
            earlier += map(target.with_name, names(job))
            made |= {real(each): job.source for each in earlier if each != job.source.with_suffix("")}
    result = []
    for job in jobs:
        maker = made.get(real(job.source).with_suffix("")) if job.source.suffix.lower() in images.WRITTEN else None
        result.append(Job(job.source, skip=f"by its name a result of {maker.name}") if maker else job)
    return result


def place(source: Source, out: Path | None, suffix: str, ending: str) -> Path:
    """The path of a result, whose name ends in ``suffix`` and the ``ending`` of its format. Without ``out``, that of a
    picture in a folder lies in another folder beside it, which has the suffix in place of the picture."""
    name = f"{source.path.stem}{suffix}{ending}"
    if out is not None:
        return (out / source.relative).with_name(name)
    if not is_folder(source.given):
        return source.path.with_name(name)
    root = real(source.given)
    if not root.name:
        raise PictureError(f"{source.given}: nothing lies beside this folder: say where results go with --out")
    return root.with_name(f"{root.name}{suffix}") / source.relative.with_name(f"{source.path.stem}{ending}")


def written_as(suffix: str) -> str:
    """The suffix of a result whose input has this one: the same if that can be written."""
    lower = suffix.lower()
    if lower in images.WRITTEN:
        return suffix
    return ".tif" if lower in images.RAW else images.BESIDES.get(lower, ".png")


def map_files(maps: Maps) -> list[str]:
    """How the names of the files that ``decompose`` makes of a picture end; the panel is the last."""
    names = ["maps.npz"] if maps == "npz" else [f"{name}.{'tif' if maps == 'tiff' else 'png'}" for name in MAPS]
    return [*names, "panel.png"]


def maps_among(there: Collection[Path]) -> set[Path]:
    """The inputs that ``decompose`` has left beside their picture, known by being all there: maps, and their panel."""
    made: set[Path] = set()
    for stem in {path.with_suffix("") for path in there}:
        for names in (map_files("png"), map_files("tiff")):
            maps = {stem.with_name(f"{stem.name}_{name}") for name in names}
            made |= maps if maps.issubset(there) else set()
        floats, panel = (stem.with_name(f"{stem.name}_{name}") for name in map_files("npz"))
        made |= {panel} if panel in there and exists(floats) else set()
    return made


def decompose_jobs(inputs: Sequence[Path], out: Path | None, maps: Maps = "png") -> list[Job]:
    """One job a picture: ``NAME_reflectance.png`` and so on, or all in ``NAME_maps.npz``, and ``NAME_panel.png``; in
    ``out`` or beside the input."""
    if out is not None and out.suffix.lower() in {*images.WRITTEN, ".npz"} and not is_folder(out):
        raise PictureError(f"{out}: the maps of a picture cannot go into one file: give --out a folder")
    check_folder(out)
    jobs = []
    for source in sources(inputs, out):
        if source.fault or source.skip:
            jobs.append(Job(source.path, fault=source.fault, skip=source.skip))
            continue
        home = source.path.parent if out is None else (out / source.relative).parent
        targets = tuple(home / f"{source.path.stem}_{name}" for name in map_files(maps))
        jobs.append(Job(source.path, targets))
    return checked(apart(jobs, lambda job: [f"{job.source.stem}_{name}" for name in (*MAPS, "panel")]))


def checked(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, with a fault in those that would write over an input or over what another job writes, or where nobody
    may write."""
    inputs = {real(job.source) for job in jobs if not job.skip}
    owner: dict[Path, Path] = {}
    result = []
    for job in jobs:
        for target in job.targets:
            path = real(target)
            if path in inputs:
                job = replace(job, fault=f"{target}: the output would replace an input: choose another --out")
            elif exists(target) and not is_file(target):
                job = replace(job, fault=f"{target}: exists and is not a file: choose another --out")
            elif not exists(target) and (closed := closed_folder(path.parent)):
                fault = f"{target}: {closed} is not a folder that you may write to: choose another place with --out"
                job = replace(job, fault=fault)
            elif owner.setdefault(path, job.source) != job.source:
                job = replace(job, fault=f"{target}: wanted by both {owner[path]} and {job.source}: rename one")
        result.append(job)
    return result
