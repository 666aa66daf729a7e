"""One file over HTTP: received in pieces, gone on with after a break, and told apart from a web page about it."""

import errno
import http.client
import json
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ... import __version__
from ..errors import DownloadError
from ..files import replacing

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte
PATIENCE = 1.0, 2.0, 4.0, 8.0
"""Seconds between attempts. An attempt that brought new bytes starts the count again."""
MOST_BYTES = 8 << 30
"""No archive of this field has more (LOL: 0.35 GB)."""


@dataclass(frozen=True)
class Received:
    """Bytes on disk so far, and of how many if the server says."""

    done: int
    total: int | None


def receive(url: str, target: Path) -> Iterator[Received]:
    """Receive ``url`` into ``target``, going on where an earlier attempt at the same file broke off.

    Raises DownloadError with the reason if the server will not deliver, OSError if the disk will not take it.
    """
    waits = iter(PATIENCE)
    while True:
        before = target.stat().st_size if target.exists() else 0
        try:
            yield from attempt(url, target)
            return
        except urllib.error.HTTPError as error:
            error.close()
            fault = f"the server answered {error.code} {error.reason}"
            if error.code == 416:  # nothing is left to send: what is here cannot be the beginning of that file
                target.unlink(missing_ok=True)
            elif error.code < 500 and error.code not in (408, 429):
                raise DownloadError(fault) from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            fault = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            broken = isinstance(cause, TimeoutError | ConnectionError | http.client.HTTPException)
            if not broken and isinstance(error, urllib.error.URLError):
                raise DownloadError(fault) from error  # no such host, no network, no certificate: waiting is no help
        if target.exists() and target.stat().st_size > before:
            waits = iter(PATIENCE)
        wait = next(waits, None)
        if wait is None:
            raise DownloadError(f"broke off again and again ({fault})")
        time.sleep(wait)


def part(answer: IO[bytes]) -> bytes:
    """The next bytes. Raises what ``receive`` takes for the network's fault, and never what it takes for the disk's."""
    try:
        return answer.read(CHUNK)
    except (TimeoutError, ConnectionError, ssl.SSLError):
        raise
    except OSError as error:
        raise ConnectionError(*error.args) from error


def attempt(url: str, target: Path, link: str | None = None) -> Iterator[Received]:
    """One request for ``url``, or for the ``link`` that a page at ``url`` leads to.

    Asks for the rest alone if ``target`` holds the beginning of the very same file.
    """
    have = 0
    headers = {"User-Agent": f"lowlight/{__version__}", "Accept-Encoding": "identity"}
    known = read_json(stamp(target))
    if target.exists() and known.get("url") == url and known.get("tag"):
        have = target.stat().st_size
        if have == known.get("bytes"):
            yield Received(have, have)
            return
        headers |= {"Range": f"bytes={have}-", "If-Range": known["tag"]}
    with urllib.request.urlopen(urllib.request.Request(link or url, headers=headers), timeout=TIMEOUT) as answer:
        if url.startswith("https:") and not answer.url.startswith("https:"):
            raise DownloadError(f"the server led to an address without encryption ({answer.url})")
        if "html" in answer.headers.get_content_type():
            page = answer.read(CHUNK).decode("utf-8", errors="replace")
            onward = confirmation(page, answer.url) if link is None else None
            if onward is None:
                raise DownloadError(said_by(page))
            yield from attempt(url, target, onward)
            return
        start, total = extent(answer)
        if start and (start != have or known.get("bytes") not in (None, total)):
            discard(target)
            raise DownloadError("the server sent another part of the file than asked for")
        if start == 0:
            tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
            if tag is not None and tag.startswith("W/"):
                tag = None  # a weak tag does not vouch for every byte
            target.unlink(missing_ok=True)
            write_json(stamp(target), {"url": url, "tag": tag, "bytes": total})
        if total is not None:
            room_for(target.parent, total - start + total)  # the archive, and its pictures, which zip hardly shrinks
        with target.open("ab") as file:
            done = start
            while chunk := part(answer):
                done += len(chunk)
                if done > MOST_BYTES:
                    raise DownloadError(f"more than {MOST_BYTES:,} bytes came: refused")
                file.write(chunk)
                yield Received(done, total)
    if total is not None and done != total:
        raise http.client.IncompleteRead(b"", total - done)


def stamp(target: Path) -> Path:
    """The record that says of which file on which server ``target`` is the beginning."""
    return target.with_suffix(".json")


def discard(target: Path) -> None:
    """Remove what was received."""
    target.unlink(missing_ok=True)
    stamp(target).unlink(missing_ok=True)


def extent(answer: Any) -> tuple[int, int | None]:
    """Where the body of an answer starts in the file, and how long the file is, if the server says."""
    if answer.status == 206:
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if told is None:
            raise DownloadError("the server sent a part of the file without saying which")
        return int(told[1]), int(told[2])
    length = answer.headers.get("Content-Length")
    return 0, None if length is None else int(length)


def confirmation(page: str, url: str) -> str | None:
    """The address behind Google Drive's "cannot scan this file for viruses, download anyway?", if gdown can read it."""
    try:
        from gdown.download import get_url_from_gdrive_confirmation
        from gdown.exceptions import FileURLRetrievalError
    except ImportError:
        return None
    try:
        onward = urllib.parse.urljoin(url, get_url_from_gdrive_confirmation(page))
    except FileURLRetrievalError:
        return None
    return onward if urllib.parse.urlsplit(onward).scheme == urllib.parse.urlsplit(url).scheme else None


def said_by(page: str) -> str:
    """What to say of a web page that came instead of the file."""
    if "quota" in page.lower():
        return "the file is over its download quota for now (a web page came instead of it)"
    title = re.search(r"<title[^>]*>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)
    named = f' ("{" ".join(title[1].split())[:80]}")' if title else ""
    if "download-form" in page:
        return f'a page{named} asks to confirm the download: `pip install "lowlight[drive]"` answers it'
    return f"a web page{named} came instead of the file"


def room_for(folder: Path, needed: int) -> None:
    """Raise OSError if ``folder`` has no room for ``needed`` more bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free", str(folder))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON record, empty if there is none or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, record: dict[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
