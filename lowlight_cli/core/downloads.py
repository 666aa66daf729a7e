"""Data sets from the network or from a zip fetched by hand: received, verified, unpacked whole or not at all.

Everything happens beside the target, on one file system; only a data set that is complete is renamed into place.
What a download was and what it hashed to is kept in ``downloads.json`` of the data root: where no hash is published,
the first download is trusted and later ones must equal it.
"""

import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import ssl
import stat
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from .. import __version__
from . import datasets, images
from .errors import DatasetError, DownloadError
from .files import locked, replacing

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte
PATIENCE = 1.0, 2.0, 4.0, 8.0
"""Seconds between attempts at one mirror. An attempt that brought new bytes starts the count again."""
MOST_FILES = 20_000
MOST_BYTES = 8 << 30
"""More than this is a bomb, not a data set of this field (LOL: 1000 files, 0.35 GB)."""
RECORD = "downloads.json"


@dataclass(frozen=True)
class Mirror:
    """One address of an archive. Without ``sha256`` the first download is trusted."""

    name: str
    url: str
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """A data set that can be downloaded: where, and how many pairs each of its folders must hold."""

    name: str
    about: str
    licence: str
    page: str  # for people
    size: int  # bytes of the archive, about
    parts: dict[str, int]  # folder with low/ and high/ -> pairs; "." for the data set itself
    mirrors: tuple[Mirror, ...]


DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="

LOL = Source(
    name="lol",
    about="LOL v1: 485 training and 15 test pairs, 400x600, real photographs (Wei et al. 2018)",
    licence="research use, no redistribution",
    page="https://daooshee.github.io/BMVC2018website/",
    size=347_000_000,
    parts={"our485": 485, "eval15": 15},
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
    about="BrighteningTrain: the paper's 1000 synthetic training pairs, mixed sizes (Wei et al. 2018)",
    licence="research use, no redistribution",
    page="https://daooshee.github.io/BMVC2018website/",
    size=500_000_000,
    parts={".": 1000},
    mirrors=(Mirror("Google Drive", DRIVE + "1G6fi9Kiu7CDnW2Sh7UQ5ikvScRv8Q14F"),),
)
SOURCES = {source.name: source for source in (LOL, SYNTHETIC)}


@dataclass(frozen=True)
class Trying:
    """A mirror is being asked."""

    mirror: str


@dataclass(frozen=True)
class Received:
    """Bytes on disk so far, and of how many if the server says."""

    done: int
    total: int | None


@dataclass(frozen=True)
class Refused:
    """A mirror that could not be used, and why."""

    mirror: str
    reason: str


@dataclass(frozen=True)
class Unpacking:
    """Bytes of pictures written so far."""

    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """The data set is in ``place``. ``verified`` says by what; nothing was done if it was ``present`` before."""

    place: Path
    pairs: int
    verified: str
    present: bool = False


Event = Trying | Received | Refused | Unpacking | Finished


def obtain(source: Source, data: Path, archive: Path | None = None) -> Iterator[Event]:
    """Put a data set into ``data/NAME``, from ``archive`` if given, else from the first mirror that delivers it.

    A complete data set that is there already is left alone. Raises DownloadError with the remedy; whatever was there
    before is then still there, and what was received is kept for the next attempt.
    """
    place = root(source, data)
    if complete(source, place):
        yield Finished(place, sum(source.parts.values()), "present", present=True)
        return
    if place.exists() and any(place.iterdir()):
        raise DownloadError(f"{place} is there but is not all of {source.name}: move it away or choose another --data")
    try:
        data.mkdir(parents=True, exist_ok=True)
        with locked(data / f".{source.name}.lock"):
            if archive is None:
                verified = yield from fetch(source, data, place)
            else:
                verified = recognised(source, archive)
                yield from unpack(source, archive, place)
    except BlockingIOError as error:
        raise DownloadError(f"{data}: another download of {source.name} is under way: wait for it") from error
    except OSError as error:
        at = error.filename or data
        raise DownloadError(f"{at}: cannot be written: {error.strerror or error}: choose another --data") from error
    yield Finished(place, sum(source.parts.values()), verified)


def root(source: Source, data: Path) -> Path:
    """The folder of a data set: ``data/NAME``, or ``data`` itself if it holds the parts."""
    own = any((data / part).is_dir() for part in source.parts if part != ".")
    return data if own else data / source.name


def complete(source: Source, place: Path) -> bool:
    """Whether every part is there with all its pairs, by name."""
    try:
        return all(len(datasets.pairs(place / part)) == count for part, count in source.parts.items())
    except DatasetError:
        return False


# Receiving


def fetch(source: Source, data: Path, place: Path) -> Generator[Event, None, str]:
    """Receive, verify and unpack the archive of the first mirror that delivers. Returns what it was verified by."""
    received = data / f".{source.name}.zip.part"
    for mirror in source.mirrors:
        yield Trying(mirror.name)
        try:
            yield from receive(mirror.url, received)
        except DownloadError as error:
            yield Refused(mirror.name, str(error))
            continue
        try:
            found = sha256(received)
            verified = verify(mirror, found, data / RECORD)
            yield from unpack(source, received, place)
        except DownloadError as error:
            yield Refused(mirror.name, str(error))
        else:
            record = {"sha256": found, "bytes": received.stat().st_size, "date": date.today().isoformat()}
            write_json(data / RECORD, {mirror.url: record} | stored(data / RECORD))
            return verified
        finally:
            received.unlink(missing_ok=True)  # what is whole but wrong must not be taken for whole next time
            stamp_of(received).unlink(missing_ok=True)
    raise DownloadError(
        f"{source.name}: none of {len(source.mirrors)} mirrors delivered it: get the zip with a browser from "
        f"{source.page} and run `lowlight download {source.name} --data {data} --archive FILE.zip`"
    )


def stamp_of(target: Path) -> Path:
    """The record that says of which file on which server the received bytes are the beginning."""
    return target.with_suffix(".json")


def receive(url: str, target: Path) -> Iterator[Received]:
    """Receive ``url`` into ``target``, going on where an earlier attempt at the same file broke off."""
    waits = iter(PATIENCE)
    while True:
        before = target.stat().st_size if target.exists() else 0
        try:
            yield from attempt(url, target)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                raise DownloadError(f"the server answered {error.code} {error.reason}") from error
            fault = f"the server answered {error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            fault = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            if isinstance(cause, OSError) and not isinstance(cause, TimeoutError | ConnectionError):
                raise DownloadError(fault) from error  # no such host, no route: waiting does not help
        if target.exists() and target.stat().st_size > before:
            waits = iter(PATIENCE)
        wait = next(waits, None)
        if wait is None:
            raise DownloadError(f"broke off again and again ({fault})")
        time.sleep(wait)


def attempt(url: str, target: Path) -> Iterator[Received]:
    """One request. Asks for the rest only of the file whose beginning is there."""
    have = 0
    headers = {"User-Agent": f"lowlight/{__version__}", "Accept-Encoding": "identity"}
    known = stored(stamp_of(target))
    if target.exists() and known.get("url") == url and known.get("tag"):
        have = target.stat().st_size
        if have == known.get("bytes"):
            yield Received(have, have)
            return
        headers |= {"Range": f"bytes={have}-", "If-Range": known["tag"]}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        if "html" in answer.headers.get_content_type():
            raise DownloadError(page_instead(answer.read(1 << 16)))
        start, total = extent(answer)
        if start not in (0, have):
            raise DownloadError(f"the server sent another range than asked for ({start} instead of {have})")
        if start == 0:
            tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
            tag = None if tag is None or tag.startswith("W/") else tag  # a weak tag does not vouch for bytes
            target.unlink(missing_ok=True)
            write_json(stamp_of(target), {"url": url, "tag": tag, "bytes": total})
        if total is not None:
            enough_space(target.parent, total - start + total)  # pictures do not shrink in a zip: as much again
        with target.open("ab") as file:
            done = start
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                yield Received(done, total)
    if total is not None and done != total:
        raise http.client.IncompleteRead(b"", total - done)


def extent(answer: Any) -> tuple[int, int | None]:
    """Where the body of an answer starts in the file, and how long the file is, if the server says."""
    if answer.status == 206:
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if told is None:
            raise DownloadError("the server sent a part without saying which")
        return int(told[1]), int(told[2])
    length = answer.headers.get("Content-Length")
    return 0, None if length is None else int(length)


def page_instead(body: bytes) -> str:
    """What to say of a web page that came instead of the file: Google Drive does this when it does not want to."""
    text = body.decode("utf-8", errors="replace")
    if "quota" in text.lower():
        return "the file is over its download quota today (a web page came instead of it)"
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    named = f' ("{" ".join(title[1].split())[:80]}")' if title else ""
    return f"a web page{named} came instead of the file"


def enough_space(folder: Path, needed: int) -> None:
    """Raise OSError if ``folder`` has no room for ``needed`` more bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free", str(folder))


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
    first = stored(record).get(mirror.url)
    if first is None:
        return f"no hash is published, so its SHA-256 is recorded in {record} and later downloads must match it"
    if found != first["sha256"]:
        raise DownloadError(
            f"SHA-256 is {found}, not {first['sha256']} as on {first['date']}: if you trust the change, delete {record}"
        )
    return f"SHA-256 as on {first['date']}"


def recognised(source: Source, archive: Path) -> str:
    """What an archive given by hand is verified by."""
    if not archive.is_file():
        raise DownloadError(f"{archive}: no such file: give --archive the zip that you fetched")
    if sha256(archive) in {mirror.sha256 for mirror in source.mirrors}:
        return "SHA-256 as published"
    return "not an archive with a published hash; counted, not compared"


def stored(path: Path) -> dict[str, Any]:
    """A JSON record, empty if there is none or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, record: dict[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


# Unpacking

SIDES = {"low": "low", "input": "low", "high": "high", "normal": "high", "target": "high"}
PARTS = {"our485": "our485", "train": "our485", "eval15": "eval15", "test": "eval15"}


def unpack(source: Source, archive: Path, place: Path) -> Iterator[Unpacking]:
    """Unpack a zip of any known layout into ``place``, which must not exist or be empty. All or nothing."""
    staging = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(archive) as zipped:
            chosen = contents(source, zipped.infolist(), archive)
            done, total = 0, sum(member.file_size for member in chosen)
            enough_space(place.parent, total)
            for member, relative in chosen.items():
                target = staging / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(member) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file, CHUNK)
                done += member.file_size
                yield Unpacking(done, total)
        for part, count in source.parts.items():
            found = len(datasets.pairs(staging / part))
            if found != count:
                raise DownloadError(f"{archive}: {part} has {found} pairs instead of {count}: fetch the archive again")
        if place.exists():
            place.rmdir()
        staging.replace(place)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise DownloadError(f"{archive}: not a zip or a damaged one ({error}): fetch it again") from error
    except DatasetError as error:
        raise DownloadError(f"{archive}: incomplete: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def contents(source: Source, members: Sequence[zipfile.ZipInfo], archive: Path) -> dict[zipfile.ZipInfo, PurePosixPath]:
    """The pictures of an archive and where each belongs. Refuses archives that are made to do harm."""
    if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
        raise DownloadError(f"{archive}: unpacks to more than any data set: refused")
    chosen: dict[zipfile.ZipInfo, PurePosixPath] = {}
    taken: dict[PurePosixPath, str] = {}
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename or "\0" in member.orig_filename:
            raise DownloadError(f"{archive}: member {member.filename!r} points outside the data set: refused")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DownloadError(f"{archive}: member {member.filename!r} is a link: refused")
        relative = placed(source, path)
        if relative is None or member.is_dir():
            continue
        if relative in taken:
            raise DownloadError(f"{archive}: {taken[relative]!r} and {member.filename!r} are the same picture twice")
        chosen[member], taken[relative] = relative, member.filename
    if not chosen:
        names = ", ".join(member.filename for member in members[:3]) or "nothing"
        wanted = " and ".join(f"{part}/low, {part}/high" for part in source.parts).replace("./", "")
        raise DownloadError(f"{archive}: not {source.name}: has {names}, wanted pictures in {wanted}")
    return chosen


def placed(source: Source, path: PurePosixPath) -> PurePosixPath | None:
    """Where a member belongs in the data set, None if nowhere: what is no picture, hidden or of no known folder.

    Known: our485|eval15 or train|test, holding low|high, low|normal or input|target, in any case, under any folders.
    """
    if path.suffix.lower() not in images.SUFFIXES:
        return None
    if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
        return None
    folders = [part.lower() for part in path.parts[:-1]]
    side = SIDES.get(folders[-1]) if folders else None
    if side is None:
        return None
    if "." in source.parts:
        return PurePosixPath(side, path.name)
    part = PARTS.get(folders[-2]) if len(folders) > 1 else None
    return PurePosixPath(part, side, path.name) if part else None
