"""Downloads, against a real HTTP server on localhost that can do what servers do wrong."""

import contextlib
import errno
import hashlib
import http.client
import io
import json
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from lowlight_cli.core.data import archives, downloads, inspection, transfer
from lowlight_cli.core.data.downloads import Mirror, Source
from lowlight_cli.core.data.inspection import Part
from lowlight_cli.core.errors import DatasetError, DownloadError

TINY = Source(
    name="lol",
    about="",
    licence="",
    page="https://example.org/lol",
    size=10_000,
    parts=(Part("our485", 3), Part("eval15", 1)),
    mirrors=(),
)


def picture(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 8), (value, value, value)).save(file, "PNG")
    return file.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def members(pattern: str = "{part}/{side}/{name}.png", **words: str) -> dict[str, bytes]:
    """The four pairs of TINY under names of another layout: ``words`` says what our485, low and so on are called."""
    named = {name: words.get(name, name) for name in ("our485", "eval15", "low", "high")}
    return {
        pattern.format(part=named[part], side=named[side], name=name): picture(name % 100 + 100 * (side == "high"))
        for part, names in (("our485", (2, 5, 648)), ("eval15", (1,)))
        for side in ("low", "high")
        for name in (names if side else ())
    }


@dataclass
class Server:
    """What the server does with the next requests, and what it was asked."""

    url: str
    content: bytes = b""
    tag: str | None = '"one"'
    kind: str = "application/zip"
    ranges: bool = True
    wrong_range: int = 0  # how far off an answered part lies from the one asked for
    extra_length: int = 0  # bytes announced that never come
    unsized: bool = False  # whether the first answer does not say how long it is
    status: list[int] = field(default_factory=list)  # answered to the next requests, before any content
    cut: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    asked: list[str | None] = field(default_factory=list)  # the Range of each request
    paths: list[str] = field(default_factory=list)  # and its path
    first_page: bytes = b""  # a web page, answered to requests that do not confirm

    def mirror(self, name: str = "here", sha256: str | None = None) -> Mirror:
        return Mirror(name, self.url, sha256)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(transfer, "PATIENCE", (0.0, 0.0))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.asked.append(asked)
            state.paths.append(self.path)
            if state.first_page and "confirm" not in self.path:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(state.first_page)))
                self.end_headers()
                self.wfile.write(state.first_page)
                return
            if state.status:
                self.send_response(state.status.pop(0))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = state.content
            start = 0
            if asked and state.ranges and self.headers["If-Range"] == state.tag:
                found = re.fullmatch(r"bytes=(\d+)-", asked)
                assert found is not None
                start = int(found[1]) + state.wrong_range
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            self.send_header("Content-Type", state.kind)
            chunked = state.unsized and not start
            if chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(body) - start + state.extra_length))
            if state.tag is not None:
                self.send_header("ETag", state.tag)
            self.end_headers()
            cut = state.cut.pop(0) if state.cut else len(body)
            part = body[start : start + cut]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            if chunked and part == body:
                self.wfile.write(b"0\r\n\r\n")
            if start + cut < len(body) or state.extra_length:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{http.server_port}/lol.zip", zipped(members()))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def obtain(data: Path, *mirrors: Mirror, archive: Path | None = None) -> list[downloads.Event]:
    return list(downloads.obtain(replace(TINY, mirrors=mirrors), data, archive))


def refusals(data: Path, *mirrors: Mirror) -> list[str]:
    """What each mirror was refused for, when none delivers."""
    reasons = []
    with pytest.raises(DownloadError, match="delivered it"):
        for event in downloads.obtain(replace(TINY, mirrors=mirrors), data):
            if isinstance(event, downloads.Refused):
                reasons.append(event.reason)
    return reasons


def assert_unpacked(place: Path) -> None:
    wanted = {Path(name): content for name, content in members().items()}
    found = {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert found == wanted


def hidden(data: Path) -> set[str]:
    """What a download left lying about, the lock aside."""
    return {path.name for path in data.iterdir() if path.name.startswith(".")} - {".lol.lock"}


def test_mirror_is_verified_and_unpacked(server: Server, tmp_path: Path) -> None:
    digest = hashlib.sha256(server.content).hexdigest()
    *_, end = obtain(tmp_path, server.mirror(sha256=digest))
    assert end == downloads.Finished(tmp_path / "lol", 4, "SHA-256 as published")
    assert_unpacked(tmp_path / "lol")
    assert hidden(tmp_path) == set()


def test_complete_data_set_is_left_alone(server: Server, tmp_path: Path) -> None:
    obtain(tmp_path, server.mirror())
    asked = len(server.asked)
    for data in (tmp_path, tmp_path / "lol"):  # the root, and the data set itself
        (end,) = obtain(data, server.mirror())
        assert isinstance(end, downloads.Finished) and end.present and end.place == tmp_path / "lol"
    assert len(server.asked) == asked


def test_foreign_folder_is_not_touched(server: Server, tmp_path: Path) -> None:
    mine = tmp_path / "lol" / "our485" / "low" / "1.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(DownloadError, match="move it away"):
        obtain(tmp_path, server.mirror())
    assert mine.read_bytes() == b"mine" and server.asked == []


def test_broken_transfer_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cut = [100, 200]
    obtain(tmp_path, server.mirror())
    assert server.asked == [None, "bytes=100-", "bytes=300-"]
    assert_unpacked(tmp_path / "lol")


def test_a_transfer_of_unknown_length_goes_on_too(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "CHUNK", 50)
    server.cut, server.unsized = [100], True
    obtain(tmp_path, server.mirror())
    assert server.asked == [None, "bytes=100-"]
    assert_unpacked(tmp_path / "lol")


def test_next_run_goes_on_where_the_last_one_gave_up(server: Server, tmp_path: Path) -> None:
    server.cut, server.status = [150], []
    stopped = downloads.obtain(replace(TINY, mirrors=(server.mirror(),)), tmp_path)
    for event in stopped:
        if isinstance(event, transfer.Received):
            break
    stopped.close()  # as Ctrl-C does
    received = (tmp_path / ".lol.zip.part").stat().st_size
    assert received == 150
    obtain(tmp_path, server.mirror())
    assert server.asked[-1] == "bytes=150-"
    assert_unpacked(tmp_path / "lol")


def test_file_that_changed_in_between_is_received_anew(server: Server, tmp_path: Path) -> None:
    server.cut = [100]
    stopped = downloads.obtain(replace(TINY, mirrors=(server.mirror(),)), tmp_path)
    next(event for event in stopped if isinstance(event, transfer.Received))
    stopped.close()
    server.tag = '"two"'
    server.content = zipped(members("renamed/{part}/{side}/{name}.png"))
    obtain(tmp_path, server.mirror())
    assert_unpacked(tmp_path / "lol")


def test_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.cut = [100]
    obtain(tmp_path, server.mirror())
    assert_unpacked(tmp_path / "lol")


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_without_a_strong_tag_nothing_is_gone_on_with(server: Server, tmp_path: Path, tag: str | None) -> None:
    server.tag, server.cut = tag, [100]
    obtain(tmp_path, server.mirror())
    assert server.asked == [None, None]
    assert_unpacked(tmp_path / "lol")


def test_another_part_than_asked_for_is_refused(server: Server, tmp_path: Path) -> None:
    server.cut, server.wrong_range = [100], 7
    (reason,) = refusals(tmp_path, server.mirror())
    assert "another part" in reason and hidden(tmp_path) == set()


def test_beginning_that_cannot_be_one_is_received_anew(server: Server, tmp_path: Path) -> None:
    server.cut = [100]
    stopped = downloads.obtain(replace(TINY, mirrors=(server.mirror(),)), tmp_path)
    next(event for event in stopped if isinstance(event, transfer.Received))
    stopped.close()
    server.status = [416]
    obtain(tmp_path, server.mirror())
    assert server.asked == [None, "bytes=100-", None]
    assert_unpacked(tmp_path / "lol")


def test_file_that_is_never_as_long_as_announced(server: Server, tmp_path: Path) -> None:
    server.extra_length, server.tag = 50, None
    (reason,) = refusals(tmp_path, server.mirror())
    assert "broke off again and again" in reason


def test_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.status = [503, 429]
    obtain(tmp_path, server.mirror())
    assert_unpacked(tmp_path / "lol")


def test_next_mirror_when_one_fails(server: Server, tmp_path: Path) -> None:
    server.status = [404]
    events = obtain(tmp_path, server.mirror("first"), server.mirror("second"))
    assert [event for event in events if isinstance(event, downloads.Trying | downloads.Refused)] == [
        downloads.Trying("first"),
        downloads.Refused("first", "the server answered 404 Not Found"),
        downloads.Trying("second"),
    ]
    assert_unpacked(tmp_path / "lol")


def test_nobody_answers(server: Server, tmp_path: Path) -> None:
    server.status = [404, 403]
    mirrors = server.mirror("first"), server.mirror("second"), Mirror("third", "http://127.0.0.1:9/lol.zip")
    events = []
    with pytest.raises(DownloadError) as caught:
        for event in downloads.obtain(replace(TINY, mirrors=mirrors), tmp_path):
            events.append(event)
    assert [event.mirror for event in events if isinstance(event, downloads.Refused)] == ["first", "second", "third"]
    said = str(caught.value)
    assert "\n" not in said and TINY.page in said
    assert f"`lowlight download lol --data {tmp_path} --archive FILE.zip`" in said
    assert not (tmp_path / "lol").exists()


def test_wrong_hash_goes_to_the_next_mirror(server: Server, tmp_path: Path) -> None:
    events = obtain(tmp_path, server.mirror("first", sha256="0" * 64), server.mirror("second"))
    assert any(isinstance(event, downloads.Refused) and "SHA-256" in event.reason for event in events)
    assert_unpacked(tmp_path / "lol")


def test_first_download_is_trusted_and_later_ones_must_match(server: Server, tmp_path: Path) -> None:
    *_, end = obtain(tmp_path, server.mirror())
    assert isinstance(end, downloads.Finished) and "no hash is published" in end.verified
    record = json.loads((tmp_path / downloads.RECORD).read_text())
    assert record[server.url]["sha256"] == hashlib.sha256(server.content).hexdigest()
    assert record[server.url]["bytes"] == len(server.content)

    (tmp_path / "lol").rename(tmp_path / "old")
    *_, end = obtain(tmp_path, server.mirror())
    assert isinstance(end, downloads.Finished) and end.verified.startswith("SHA-256 as on ")

    (tmp_path / "lol").rename(tmp_path / "older")
    server.content = zipped(members("other/{part}/{side}/{name}.png"))
    (reason,) = refusals(tmp_path, server.mirror())
    assert "if you trust the change" in reason
    assert not (tmp_path / "lol").exists() and hidden(tmp_path) == set()


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"<html><head><title>Google Drive - Quota exceeded</title></head>", "over its download quota"),
        (b"<!DOCTYPE html><title>\n Sign  in</title>", r'a web page \("Sign in"\) came instead'),
    ],
)
def test_web_page_instead_of_the_file(server: Server, tmp_path: Path, page: bytes, said: str) -> None:
    server.content, server.kind = page, "text/html; charset=utf-8"
    (reason,) = refusals(tmp_path, server.mirror())
    assert re.search(said, reason)
    assert hidden(tmp_path) == set()


FORM = """<html><head><title>Google Drive - Virus scan warning</title></head><body>
<form id="download-form" action="{url}" method="get"><input type="hidden" name="confirm" value="t"/></form>
</body></html>"""


def test_drive_confirmation_is_answered_by_gdown(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("gdown")
    server.first_page = FORM.format(url=server.url).encode()
    server.cut = [100]  # of the file behind the page
    obtain(tmp_path, server.mirror())
    assert_unpacked(tmp_path / "lol")
    assert server.paths == ["/lol.zip", "/lol.zip?confirm=t"] * 2


def test_drive_confirmation_without_gdown_says_what_to_install(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gdown.download", None)
    server.first_page = FORM.format(url=server.url).encode()
    (reason,) = refusals(tmp_path, server.mirror())
    assert 'pip install "lowlight[drive]"' in reason and "Virus scan warning" in reason


LAYOUTS: dict[str, Callable[[], dict[str, bytes]]] = {
    "original": members,
    "nested": lambda: members("LOLdataset/{part}/{side}/{name}.png"),
    "lol_dataset": lambda: members("lol_dataset/{part}/{side}/{name}.png"),
    "Train/input": lambda: members(our485="Train", eval15="Test", low="input", high="target"),
    "train/low": lambda: members(our485="train", eval15="test"),
    "train/normal": lambda: members(
        "some/where/{part}/{side}/{name}.png", our485="train", eval15="test", high="normal"
    ),
    "backslashes": lambda: members("LOL\\{part}\\{side}\\{name}.png"),
    "junk": lambda: (
        members()
        | {"__MACOSX/our485/low/._2.png": b"junk", "our485/low/.DS_Store": b"junk", "our485/low/._2.png": b"junk"}
        | {"README.txt": b"read me", "our485/low/Thumbs.db": b"junk", "our485/low/": b""}
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_archive_of_any_layout(tmp_path: Path, layout: str) -> None:
    archive = tmp_path / "fetched.zip"
    archive.write_bytes(zipped(LAYOUTS[layout]()))
    obtain(tmp_path / "data", archive=archive)
    assert_unpacked(tmp_path / "data" / "lol")
    assert archive.exists()


def test_pairs_without_splits(tmp_path: Path) -> None:
    archive = tmp_path / "BrighteningTrain.zip"
    archive.write_bytes(
        zipped(
            {
                f"BrighteningTrain/{side}/{n}.png": picture(n + 100 * (side == "high"))
                for side in ("low", "high")
                for n in (1, 2)
            }
        )
    )
    source = replace(TINY, name="synthetic", parts=(Part(".", 2),))
    list(downloads.obtain(source, tmp_path, archive))
    assert sorted(path.relative_to(tmp_path / "synthetic").as_posix() for path in tmp_path.rglob("*.png")) == [
        "high/1.png",
        "high/2.png",
        "low/1.png",
        "low/2.png",
    ]


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


HARMFUL: dict[str, tuple[str | zipfile.ZipInfo, str]] = {
    "parent": ("../../our485/low/9.png", "outside"),
    "absolute": ("/our485/low/9.png", "outside"),
    "drive": ("C:\\our485\\low\\9.png", "outside"),
    "backslash": ("..\\our485\\low\\9.png", "outside"),
    "link": (link("our485/low/9.png"), "link"),
    "twice": ("LOL/our485/low/2.png", "twice"),
    "unpaired": ("our485/low/9.png", "no picture of that name"),
}


@pytest.mark.parametrize("harm", HARMFUL)
def test_harmful_archive_is_refused_whole(tmp_path: Path, harm: str) -> None:
    member, said = HARMFUL[harm]
    archive = tmp_path / "fetched.zip"
    archive.write_bytes(zipped(members()))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(member, picture(1))
    with pytest.raises(DownloadError, match=said):
        obtain(tmp_path / "data", archive=archive)
    assert {path.name for path in tmp_path.rglob("*")} == {"fetched.zip", "data", ".lol.lock"}


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "fetched.zip"
    archive.write_bytes(zipped(members()))
    for limit in ("MOST_FILES", "MOST_BYTES"):
        with monkeypatch.context() as patched:
            patched.setattr(archives, limit, 7)
            with pytest.raises(DownloadError, match="refused"):
                obtain(tmp_path / "data", archive=archive)


@pytest.mark.parametrize("content", [b"", b"no zip", zipped(members())[:-40], zipped({"a.txt": b"a"}), zipped({})])
def test_unusable_archive(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "fetched.zip"
    archive.write_bytes(content)
    with pytest.raises(DownloadError, match=r"fetched\.zip"):
        obtain(tmp_path / "data", archive=archive)
    assert not (tmp_path / "data" / "lol").exists()


def test_damaged_member(tmp_path: Path) -> None:
    content = bytearray(zipped(members()))
    content[content.index(b"IDAT") + 8] ^= 0xFF
    archive = tmp_path / "fetched.zip"
    archive.write_bytes(content)
    with pytest.raises(DownloadError, match="damaged"):
        obtain(tmp_path / "data", archive=archive)
    assert {path.name for path in (tmp_path / "data").iterdir()} == {".lol.lock"}


def test_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="no such file"):
        obtain(tmp_path, archive=tmp_path / "none.zip")


def test_incomplete_archive(tmp_path: Path) -> None:
    few = {name: content for name, content in members().items() if "648" not in name}
    archive = tmp_path / "fetched.zip"
    archive.write_bytes(zipped(few))
    with pytest.raises(DownloadError, match="our485: 2 pairs instead of 3"):
        obtain(tmp_path / "data", archive=archive)


def test_pictures_that_do_not_decode(tmp_path: Path) -> None:
    archive = tmp_path / "fetched.zip"
    archive.write_bytes(zipped(members() | {"our485/high/5.png": b"no picture"}))
    with pytest.raises(DownloadError, match=r"fetched\.zip: our485/high/5\.png: not a picture"):
        obtain(tmp_path / "data", archive=archive)
    assert {path.name for path in (tmp_path / "data").iterdir()} == {".lol.lock"}


def test_what_a_killed_process_left_is_cleared_away(server: Server, tmp_path: Path) -> None:
    left = tmp_path / ".lol.part" / "our485" / "low" / "9.png"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    obtain(tmp_path, server.mirror())
    assert_unpacked(tmp_path / "lol")
    assert hidden(tmp_path) == set()


@pytest.mark.parametrize("moment", ["unpacking", "looking"])
def test_killed_at_any_moment_the_next_run_ends_well(server: Server, tmp_path: Path, moment: str) -> None:
    """Another process, ended by the system without a chance to clean up: nothing stands under the name of the data."""
    event = {"unpacking": "archives.Unpacking", "looking": "inspection.Inspecting"}
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from lowlight_cli.core.data import archives, downloads, inspection, transfer\n"
        "parts = (inspection.Part('our485', 3), inspection.Part('eval15', 1))\n"
        "mirror = downloads.Mirror('here', sys.argv[1])\n"
        "source = downloads.Source('lol', '', '', '', None, parts, (mirror,))\n"
        "for event in downloads.obtain(source, Path(sys.argv[2])):\n"
        f"    if isinstance(event, {event[moment]}):\n"
        "        os._exit(9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, server.url, str(tmp_path)], check=False, capture_output=True)
    assert done.returncode == 9, done.stderr
    assert not (tmp_path / "lol").exists()
    obtain(tmp_path, server.mirror())
    assert_unpacked(tmp_path / "lol")
    assert hidden(tmp_path) == set()


def test_two_downloads_at_once(server: Server, tmp_path: Path) -> None:
    first = downloads.obtain(replace(TINY, mirrors=(server.mirror(),)), tmp_path)
    next(first)
    with pytest.raises(DownloadError, match="under way"):
        obtain(tmp_path, server.mirror())
    list(first)
    assert_unpacked(tmp_path / "lol")


def test_full_disk_is_reported_before_anything_is_received(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
    with pytest.raises(DownloadError, match="MB are needed, 0 MB are free"):
        obtain(tmp_path, server.mirror("first"), server.mirror("second"))
    assert len(server.asked) == 1 and not (tmp_path / ".lol.zip.part").exists()


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damage_of_any_compression(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "lol.zip", "w", kind) as zipped:
        zipped.writestr("our485/low/1.png", bytes(range(256)) * 40)
    content = bytearray((tmp_path / "lol.zip").read_bytes())
    content[60:90] = bytes(30)
    (tmp_path / "lol.zip").write_bytes(content)
    (tmp_path / "x").mkdir()
    with pytest.raises(DownloadError, match="damaged"):
        list(downloads.archives.unpack(tmp_path / "lol.zip", tmp_path / "x", ["our485"]))


def test_a_network_that_goes_away_is_tried_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PATIENCE", (0.0,))
    faults = [OSError(errno.EHOSTUNREACH, "No route to host")]
    read = http.client.HTTPResponse.read

    def failing(answer: http.client.HTTPResponse, *size: int) -> bytes:
        if faults:
            raise faults.pop()
        return read(answer, *size)

    monkeypatch.setattr(http.client.HTTPResponse, "read", failing)
    obtain(tmp_path, server.mirror())
    assert_unpacked(tmp_path / "lol")


def test_disk_that_fills_up_while_receiving(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "lol.zip")

    monkeypatch.setattr(transfer, "write_json", full)
    with pytest.raises(DownloadError, match="No space left on device: choose another --data"):
        obtain(tmp_path, server.mirror())


def test_disk_that_fills_up_while_unpacking_costs_no_second_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "1.png")

    with monkeypatch.context() as patch:
        patch.setattr(downloads.archives, "unpack", full)
        with pytest.raises(DownloadError, match="No space left on device"):
            obtain(tmp_path, server.mirror())
    asked = len(server.asked)
    obtain(tmp_path, server.mirror())
    assert len(server.asked) == asked
    assert_unpacked(tmp_path / "lol")
    assert hidden(tmp_path) == set()


def test_target_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="choose another --data"):
        obtain(tmp_path / "file" / "data", server.mirror())
    assert server.asked == []


# Checking what is there


def spoil(place: Path, kind: str) -> None:
    """Damage a good data set in one way."""
    low = place / "our485" / "low" / "5.png"
    match kind:
        case "missing":
            low.unlink()
        case "extra":
            (place / "our485" / "low" / "6.png").write_bytes(low.read_bytes())
        case "damaged":
            low.write_bytes(low.read_bytes()[:40])
        case "another size":
            Image.new("RGB", (10, 8)).save(low)
        case "no folder":
            shutil.rmtree(place / "our485" / "high")


SPOILT = {
    "missing": ["high/5.png: no picture of that name in low/", "our485: 2 pairs instead of 3"],
    "extra": ["low/6.png: no picture of that name in high/"],
    "damaged": ["low/5.png: "],
    "another size": ["low/5.png is 8x10 but "],
    "no folder": ["our485: no folder high/"],
}


@pytest.mark.parametrize("kind", SPOILT)
def test_check_names_every_fault(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "fetched.zip"
    archive.write_bytes(zipped(members()))
    obtain(tmp_path, archive=archive)
    spoil(tmp_path / "lol", kind)
    found = []
    with pytest.raises(DatasetError, match=r"faults: move it away"):
        for event in downloads.check(TINY, tmp_path):
            found.append(event)
    faults = [event.reason for event in found if isinstance(event, inspection.Faulty)]
    assert len(faults) == len(SPOILT[kind])
    for fault, said in zip(faults, SPOILT[kind], strict=True):
        assert said in fault


def test_check_flags_pairs_and_is_content(tmp_path: Path) -> None:
    archive = tmp_path / "fetched.zip"
    archive.write_bytes(zipped(members()))
    obtain(tmp_path, archive=archive)
    (tmp_path / "lol" / "our485" / "low" / "5.png").write_bytes(picture(200))
    found = list(downloads.check(TINY, tmp_path))
    (flagged,) = (event for event in found if isinstance(event, inspection.Flagged))
    assert "low/5.png: not darker than its partner" in flagged.reason
    assert isinstance(found[-1], downloads.Finished)


def test_check_knows_the_published_pixels(tmp_path: Path) -> None:
    archive = tmp_path / "fetched.zip"
    archive.write_bytes(zipped(members()))
    obtain(tmp_path, archive=archive)
    digest = hashlib.sha256()
    for name in (2, 5, 648):
        pixels = b"".join(bytes([value]) * (3 * 8 * 12) for value in (name % 100, name % 100 + 100))
        digest.update(hashlib.sha256(pixels).digest())
    known = replace(TINY, parts=(Part("our485", 3, (8, 12), digest.hexdigest()), Part("eval15", 1)))
    assert not any(isinstance(event, inspection.Faulty) for event in downloads.check(known, tmp_path))
    (tmp_path / "lol" / "our485" / "low" / "5.png").write_bytes(picture(6))
    found = []
    with pytest.raises(DatasetError):
        for event in downloads.check(known, tmp_path):
            found.append(event)
    (fault,) = (event for event in found if isinstance(event, inspection.Faulty))
    assert "pixels are not the published ones" in fault.reason


def test_check_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="lowlight download lol"):
        list(downloads.check(TINY, tmp_path))


def test_a_transfer_stays_encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = contextlib.nullcontext(SimpleNamespace(url="http://elsewhere/lol.zip"))
    monkeypatch.setattr(transfer.urllib.request, "urlopen", lambda *_, **__: elsewhere)
    with pytest.raises(DownloadError, match="without encryption"):
        list(transfer.attempt("https://here/lol.zip", tmp_path / "part"))


def test_a_server_that_says_nothing_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def silent(*_: object, **how: object) -> None:
        seen.append(how)
        raise TimeoutError

    monkeypatch.setattr(transfer.urllib.request, "urlopen", silent)
    with pytest.raises(TimeoutError):
        list(transfer.attempt("http://here/lol.zip", tmp_path / "part"))
    assert seen == [{"timeout": transfer.TIMEOUT}]


def test_an_attempt_that_brought_bytes_starts_the_count_again(server: Server, tmp_path: Path) -> None:
    server.cut = [100] * 5
    obtain(tmp_path, server.mirror())
    assert_unpacked(tmp_path / "lol")


def test_no_more_is_received_than_a_data_set_can_have(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MOST_BYTES", 100)
    server.unsized = True
    (reason,) = refusals(tmp_path, server.mirror())
    assert "more than 100 bytes" in reason


def test_a_request_that_timed_out_there_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.status = [408]
    obtain(tmp_path, server.mirror())
    assert_unpacked(tmp_path / "lol")


def test_a_bomb_is_known_by_what_it_unpacks_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 100_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("our485/low/1.png", bytes(1_000_000))
    with pytest.raises(DownloadError, match="refused"):
        obtain(tmp_path / "data", archive=tmp_path / "bomb.zip")
