"""Data sets from the network or from a zip fetched by hand: received, verified, unpacked whole or not at all.

Everything happens beside the target, on one file system; only a data set that is complete is renamed into place.
What a download was and what it hashed to is kept in ``downloads.json`` of the data root: where no hash is published,
the first download is trusted and later ones must equal it.
"""

import hashlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ..errors import DatasetError, DownloadError
from ..files import locked, replacing_folder
from . import archives, datasets, transfer
from .archives import Unpacking
from .inspection import Faulty, Flagged, Inspecting, Part, inspect
from .transfer import Received

RECORD = "downloads.json"


@dataclass(frozen=True)
class Mirror:
    """One address of an archive. Without ``sha256`` the first download is trusted."""

    name: str
    url: str
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """A data set that can be downloaded."""

    name: str
    about: str
    licence: str
    page: str  # for people
    size: int | None  # bytes of the archive, about
    parts: tuple[Part, ...]
    mirrors: tuple[Mirror, ...]
    instead: str = ""  # what else can be done if no mirror delivers

    @property
    def pairs(self) -> int:
        return sum(part.pairs for part in self.parts)


DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="

LOL = Source(
    name="lol",
    about="LOL v1: 485 training and 15 test pairs, real photographs",
    licence="research only",
    page="https://daooshee.github.io/BMVC2018website/",
    size=347_000_000,
    parts=(
        Part("our485", 485, (400, 600), "f62d353c4a1ee7fa3b7125b78cabd46277fdd45e98b8b1d24fbfb07dc8809192"),
        Part("eval15", 15, (400, 600), "dc91b5148077a33bcaed72295e7177a0e50b67111e3f3f9e8b9e4adc71050263"),
    ),
    mirrors=(  # the one with a published hash first, the one with a quota last
        Mirror(
            "Hugging Face",
            "https://huggingface.co/datasets/geekyrakshit/LoL-Dataset/resolve/main/lol_dataset.zip",
            "419fddc48958cd0f5599939ee0248852a37ceb8bb738c9b9525e95b25a89de9a",
        ),
        Mirror("GitHub", "https://github.com/soumik12345/enhance-me/releases/download/v0.1/lol_dataset.zip"),
        Mirror("Google Drive", DRIVE + "157bjO1_cFuSd0HWDUuAmcHRJDVyWpOxB"),
    ),
)
SYNTHETIC = Source(
    name="synthetic",
    about="BrighteningTrain: the paper's 1000 synthetic training pairs",
    licence="research only",
    page="https://daooshee.github.io/BMVC2018website/",
    size=None,
    parts=(Part(".", 1000),),
    mirrors=(Mirror("Google Drive", DRIVE + "1G6fi9Kiu7CDnW2Sh7UQ5ikvScRv8Q14F"),),
    instead=", or make pairs of your own photographs: `lowlight synthesise PHOTOS`",
)
SOURCES = {source.name: source for source in (LOL, SYNTHETIC)}


@dataclass(frozen=True)
class Trying:
    """A mirror is being asked."""

    mirror: str


@dataclass(frozen=True)
class Refused:
    """A mirror that could not be used, and why."""

    mirror: str
    reason: str


@dataclass(frozen=True)
class Finished:
    """The data set is in ``place``. ``verified`` says by what; nothing was done if it was ``present`` before."""

    place: Path
    pairs: int
    verified: str
    present: bool = False


Event = Trying | Received | Refused | Unpacking | Inspecting | Flagged | Faulty | Finished


def obtain(source: Source, data: Path, archive: Path | None = None) -> Iterator[Event]:
    """Put a data set into ``data/NAME``, from ``archive`` if given, else from the first mirror that delivers it.

    A complete data set that is there already is left alone. Raises DownloadError with the remedy; whatever was there
    before is then still there, and an unfinished transfer is kept for the next attempt.
    """
    place = datasets.root(source.name, data)
    if complete(source, place):
        yield Finished(place, source.pairs, "counted by name (--check looks at them)", present=True)
        return
    try:
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise DownloadError(
                f"{place} is there but is not all of {source.name}: move it away or choose another --data"
            )
        data.mkdir(parents=True, exist_ok=True)
        with locked(data / f".{source.name}.lock"):
            if archive is None:
                verified = yield from fetch(source, data, place)
            else:
                verified = recognised(source, archive)
                try:
                    yield from install(source, archive, place)
                except DownloadError as error:
                    raise DownloadError(f"{archive}: {error}") from error
    except BlockingIOError as error:
        raise DownloadError(f"{data}: another download of {source.name} is under way: wait for it") from error
    except OSError as error:
        at = error.filename or data
        raise DownloadError(f"{at}: cannot be written: {error.strerror or error}: choose another --data") from error
    yield Finished(place, source.pairs, verified)


def check(source: Source, data: Path) -> Iterator[Event]:
    """Inspect a data set that is there already. Raises DatasetError at the end if anything is wrong with it."""
    place, command = datasets.root(source.name, data), f"`lowlight download {source.name} --data {data}`"
    if not place.is_dir():
        raise DatasetError(f"{place}: no {source.name} to check: get it with {command}")
    faults = 0
    for finding in inspect(place, source.parts):
        faults += isinstance(finding, Faulty)
        yield finding
    if faults:
        raise DatasetError(f"{place}: {faults} faults: move it away and get it again with {command}")
    yield Finished(place, source.pairs, looked_at(source), present=True)


def complete(source: Source, place: Path) -> bool:
    """Whether every part is there with all its pairs, by name."""
    try:
        return all(len(datasets.pairs(place / part.folder)) == part.pairs for part in source.parts)
    except DatasetError:
        return False


def fetch(source: Source, data: Path, place: Path) -> Generator[Event, None, str]:
    """Receive, verify and install the archive of the first mirror that delivers. Returns what it was verified by."""
    received = data / f".{source.name}.zip.part"
    for mirror in source.mirrors:
        yield Trying(mirror.name)
        try:
            yield from transfer.receive(mirror.url, received)
        except DownloadError as error:
            yield Refused(mirror.name, str(error))
            continue
        try:
            found, size = sha256(received), received.stat().st_size
            verified = verify(mirror, found, data / RECORD)
            yield from install(source, received, place)
        except DownloadError as error:
            transfer.discard(received)  # what is whole but wrong must not be taken for whole next time
            yield Refused(mirror.name, str(error))
        else:
            record = {"sha256": found, "bytes": size, "date": date.today().isoformat()}
            transfer.write_json(data / RECORD, {mirror.url: record} | transfer.read_json(data / RECORD))
            transfer.discard(received)
            return verified
    raise DownloadError(
        f"{source.name}: no mirror delivered it ({len(source.mirrors)} tried): get the zip with a browser from "
        f"{source.page} and run `lowlight download {source.name} --data {data} --archive FILE.zip`{source.instead}"
    )


def install(source: Source, archive: Path, place: Path) -> Iterator[Event]:
    """Unpack and inspect an archive, then put it in ``place``, which must not be there or be empty."""
    with replacing_folder(place) as staging:
        yield from archives.unpack(archive, staging, [part.folder for part in source.parts])
        for finding in inspect(staging, source.parts):
            if isinstance(finding, Faulty):
                raise DownloadError(f"{finding.reason.replace(f'{staging}/', '')}: fetch it again")
            if isinstance(finding, Flagged):
                finding = Flagged(finding.reason.replace(str(staging), str(place)))
            yield finding


# Verifying


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(mirror: Mirror, found: str, record: Path) -> str:
    """Compare the SHA-256 of an archive with the published one, or else with that of the first download.

    Returns what it was verified by; DownloadError if it differs.
    """
    if mirror.sha256 is not None:
        if found != mirror.sha256:
            raise DownloadError(f"SHA-256 is {found}, not the published {mirror.sha256}")
        return "SHA-256 as published"
    first = transfer.read_json(record).get(mirror.url)
    if first is None:
        return f"no hash is published, so this SHA-256 is recorded in {record} and later downloads must match it"
    if found != first["sha256"]:
        raise DownloadError(
            f"SHA-256 is {found}, not {first['sha256']} as on {first['date']}: if you trust the change, delete {record}"
        )
    return f"SHA-256 as on {first['date']}"


def recognised(source: Source, archive: Path) -> str:
    """What an archive given by hand is verified by."""
    if not archive.is_file():
        fault = "this is a folder" if archive.is_dir() else "no such file"
        raise DownloadError(f"{archive}: {fault}: give --archive the zip that you fetched by hand")
    try:
        found = sha256(archive)
    except OSError as error:
        raise DownloadError(f"{archive}: cannot be read: {error.strerror or error}: copy or fetch it again") from error
    if found in {mirror.sha256 for mirror in source.mirrors}:
        return "SHA-256 as published"
    return "no archive with a published hash, but " + looked_at(source)


def looked_at(source: Source) -> str:
    """What an inspection without faults says of a data set."""
    known = all(part.pixels is not None for part in source.parts)
    return "every pixel as published" if known else "every picture looked at"
