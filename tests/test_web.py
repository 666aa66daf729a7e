"""The HTTP API: answers equal to the command line's, one sentence for every bad upload, and behaviour under load."""

import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from lowlight_cli.app import main
from lowlight_cli.core import checkpoints
from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.networks import RetinexNet
from lowlight_cli.core.pictures import images
from lowlight_cli.settings import ServeSettings

flask = pytest.importorskip("flask")
pytest.importorskip("waitress")

from werkzeug.datastructures import FileStorage  # noqa: E402
from werkzeug.test import Client, TestResponse, encode_multipart  # noqa: E402

from lowlight_cli.web import create_app, desk, server  # noqa: E402
from lowlight_cli.web.answers import multipart  # noqa: E402

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two untrained models of width 4."""
    place = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        checkpoints.save(RetinexNet(width=4), place / f"{name}.safetensors")
    return str(place / "first.safetensors"), str(place / "second.safetensors")


def settings(models: tuple[str, str], **changes: object) -> ServeSettings:
    return ServeSettings.model_validate({"model": models, "device": "cpu", "max_megapixels": 0.1, **changes})


@pytest.fixture(scope="module")
def client(models: tuple[str, str]) -> Client:
    return create_app(settings(models, max_megabytes=1)).test_client()


def dark(seed: int = 0, height: int = 37, width: int = 50, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 60, (height, width, channels), dtype=np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def post(
    client: Client,
    content: bytes,
    name: str = "night.png",
    path: str = "/api/enhance",
    headers: dict[str, str] | None = None,
    **fields: object,
) -> TestResponse:
    boundary, body = encode_multipart({"image": FileStorage(io.BytesIO(content), name), **fields})
    kind = f"multipart/form-data; boundary={boundary}"
    return client.post(path, data=body, content_type=kind, headers=headers, buffered=True)


def sentence(response: TestResponse) -> str:
    assert response.mimetype == "application/json"
    said = response.get_json()
    assert set(said) == {"error"}
    assert not re.search(r"Traceback|File \"|/tmp|site-packages", said["error"])
    return said["error"]


# ------------------------------------------------------------------------------------------------------------- answers


def test_a_side_that_a_format_cannot_hold_is_the_request_s_fault(client: Client) -> None:
    response = post(client, encoded(dark(height=4, width=17000)), format="webp")
    assert response.status_code == 422
    assert "choose another format" in sentence(response)


@pytest.mark.parametrize("options", [{}, {"strength": 0.4}, {"strength": 1.3, "denoise": "light"}, {"shadows": 0.5}])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_answer_is_what_the_command_line_writes(
    client: Client, models: tuple[str, str], tmp_path: Path, lowlight: Run, kind: str, options: dict[str, object]
) -> None:
    source, target = tmp_path / f"night.{kind.lower()}", tmp_path / f"bright.{kind.lower()}"
    source.write_bytes(encoded(dark(), kind))
    named = [part for name, value in options.items() for part in (f"--{name}", value)]
    code, *_ = lowlight("enhance", source, "--out", target, "--model", models[0], "--device", "cpu", *named)
    assert code == 0
    response = post(client, source.read_bytes(), **options)
    assert response.status_code == 200
    assert response.mimetype == f"image/{kind.lower()}"
    assert response.data == target.read_bytes()


def test_format_exif_profile_and_alpha_survive(client: Client) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Camera", 6  # make; turned by a quarter
    profile = b"none" * 40  # any bytes: it is carried, not used
    response = post(client, encoded(dark(), "JPEG", exif=exif, icc_profile=profile))
    with Image.open(io.BytesIO(response.data)) as image:
        assert (image.format, image.size) == ("JPEG", (37, 50))
        assert image.getexif()[0x010F] == "Camera"
        assert image.getexif().get(0x0112, 1) == 1
        assert image.info["icc_profile"] == profile
    pixels = dark(channels=4)
    with Image.open(io.BytesIO(post(client, encoded(pixels)).data)) as image:
        assert np.array_equal(np.asarray(image)[..., 3], pixels[..., 3])


def test_another_format_and_another_model(client: Client) -> None:
    content = encoded(dark())
    response = post(client, content, format="webp")
    assert response.mimetype == "image/webp"
    assert response.headers["Content-Disposition"] == "inline; filename=enhanced.webp"
    first, second = (post(client, content, model=name).data for name in ("first", "second"))
    assert first != second
    assert first == post(client, content).data


def test_decompose_answers_with_what_the_command_writes(
    client: Client, models: tuple[str, str], tmp_path: Path
) -> None:
    picture = encoded(dark())
    response = post(client, picture, path="/api/decompose")
    assert response.mimetype == "application/zip"
    (tmp_path / "night.png").write_bytes(picture)
    with pytest.raises(SystemExit) as left:
        main(["decompose", str(tmp_path / "night.png"), "--model", models[0], "--device", "cpu"])
    assert not left.value.code
    with zipfile.ZipFile(io.BytesIO(response.data)) as archive:
        names = [f"{name}.png" for name in ("reflectance", "illumination", "relit", "enhanced", "panel")]
        assert archive.namelist() == names
        for name in names[:-1]:
            with Image.open(archive.open(name)) as ours, Image.open(tmp_path / f"night_{name}") as theirs:
                assert ours.tobytes() == theirs.tobytes(), name


def test_decompose_answers_the_page_with_parts(client: Client) -> None:
    response = post(
        client, encoded(dark()), path="/api/decompose", headers={"Accept": "multipart/form-data"}, model="second"
    )
    assert response.mimetype == "multipart/form-data"
    assert re.findall(rb'name="(\w+)"', response.data) == [
        *(b"about", b"low", b"reflectance", b"illumination", b"relit", b"enhanced")
    ]
    about = json.loads(re.search(rb"\{.*\}", response.data)[0])
    assert (about["height"], about["width"], about["suffix"], about["light"]) == (37, 50, ".png", 1.0)
    assert len(re.findall(rb"\xff\xd8\xff", response.data)) == 5


def test_models_health_samples_and_page(client: Client) -> None:
    about = client.get("/api/models").get_json()
    assert [model["name"] for model in about["models"]] == ["first", "second"]
    assert about["limits"] == {"megapixels": 0.1, "megabytes": 1, "seconds": 600.0}
    assert client.get("/healthz").get_json()["status"] == "ok"
    for name in about["samples"]:
        assert client.get(f"/samples/{name}", buffered=True).mimetype == "image/jpeg"
    page = client.get("/").get_data(as_text=True)
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page):
        assert client.get(path, buffered=True).status_code == 200, path


def test_the_page_loads_nothing_from_elsewhere_and_nothing_inline(client: Client) -> None:
    texts = {"/": client.get("/").get_data(as_text=True)}
    root = Path(server.__file__).parent / "static"
    texts |= {path.name: path.read_text() for path in root.rglob("*") if path.suffix in (".js", ".css", ".svg")}
    for name, text in texts.items():
        hosts = set(re.findall(r"(?:https?:)?//([\w.-]+\.\w+)", text)) - {"www.w3.org"}
        assert not hosts, f"{name} names {hosts}"
        assert not re.search(r"\sstyle=|\son\w+=\"|<script>|<style", text), name


# ----------------------------------------------------------------------------------------------------------- bad input


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A few bytes that say they are a picture of ``side`` by ``side`` px."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


BAD = {
    "empty": (b"", 422, "the file is empty"),
    "text": (b"hello " * 50, 415, "not a picture"),
    "script in svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", 415, "not a picture"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415, "not a picture"),
    "ppm": (encoded(dark(), "PPM"), 415, "not a picture"),
    "animation": (
        encoded(dark(), "GIF", save_all=True, append_images=[Image.fromarray(255 - dark())]),
        *(422, "an animation: take its frames apart first"),
    ),
    "truncated": (encoded(dark(), "JPEG")[:700], 422, "damaged"),
    "header alone": (b"\x89PNG\r\n\x1a\n", 415, "not a picture"),
    "more pixels than allowed": (encoded(dark(height=400, width=300)), 413, "0.1 megapixels"),
    "bomb": (bomb(12_000), 413, "144.0 megapixels"),
    "larger bomb": (bomb(60_000), 413, "megapixels"),
}


@pytest.mark.parametrize(("content", "status", "words"), BAD.values(), ids=BAD)
def test_bad_pictures_are_refused_in_a_sentence(client: Client, content: bytes, status: int, words: str) -> None:
    for path in ("/api/enhance", "/api/decompose"):
        response = post(client, content, path=path)
        assert response.status_code == status
        assert words in sentence(response)


def test_a_gif_comes_back_as_png(client: Client) -> None:
    response = post(client, encoded(dark()[..., 0], "GIF"), format="PNG")
    assert (response.status_code, response.mimetype) == (200, "image/png")
    assert post(client, encoded(dark()[..., 0], "GIF")).data == response.data
    about = post(
        client, encoded(dark()[..., 0], "GIF"), path="/api/decompose", headers={"Accept": "multipart/form-data"}
    )
    assert about.status_code == 200 and b'"suffix": ".png"' in about.data


def test_a_form_that_cannot_be_read_is_no_form_without_a_picture(client: Client) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="%b.png"\r\n\r\n'
    for name, boundary in (("ö", "x"), ("o", "y")):
        body = head % name.encode("latin-1") + encoded(dark()) + b"\r\n--x--\r\n"
        response = client.post("/api/enhance", data=body, content_type=f"multipart/form-data; boundary={boundary}")
        assert response.status_code == 400 and "the form is empty, cut off" in sentence(response)


def test_a_bomb_is_refused_before_it_is_decoded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowlight_cli.web.uploads.images.read", lambda *_: pytest.fail("decoded"))
    assert post(client, bomb(12_000)).status_code == 413


def test_what_is_decoded_is_what_was_looked_at(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may be one picture to the check and another, of a kind not known here, to the decoder."""
    monkeypatch.setattr("lowlight_cli.web.uploads.check", lambda *_: None)
    assert post(client, encoded(dark(), "PPM")).status_code == 422
    assert post(client, encoded(dark(), "PNG")).status_code == 200


def test_an_upload_that_is_too_large_is_refused(client: Client) -> None:
    response = post(client, bytes(2 << 20))
    assert response.status_code == 413
    assert "1 MB" in sentence(response)


def test_a_polyglot_comes_out_as_a_picture_alone(client: Client) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("page.html", "<script>alert(1)</script>")
    response = post(client, encoded(dark(), "JPEG") + archive.getvalue(), "page.html")
    assert response.status_code == 200
    assert response.mimetype == "image/jpeg"
    assert b"<script>" not in response.data
    assert not zipfile.is_zipfile(io.BytesIO(response.data))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\..\\boot.ini", "/etc/cron.d/x", "a\0b.png", "%2e%2e%2fx", "night.php", "x" * 300]
)
def test_names_are_never_paths(client: Client, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    response = post(client, encoded(dark()), name)
    assert response.status_code == 200
    assert response.headers["Content-Disposition"] == "inline; filename=enhanced.png"
    response.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["/samples/../README.md", "/samples/%2e%2e/README.md", "/static/../app.py", "/etc/passwd"]
)
def test_no_file_outside_is_served(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    sentence(response)


def test_fields_are_given_once_and_in_the_form(client: Client) -> None:
    assert "strength: given more than once" in sentence(post(client, encoded(dark()), strength=["1", "0"]))
    response = post(client, encoded(dark()), path="/api/enhance?strength=0")
    assert response.status_code == 400 and "strength in the address" in sentence(response)
    assert post(client, encoded(dark()), format="jpeg").mimetype == "image/jpeg"
    pytest.importorskip("pillow_heif")
    assert post(client, encoded(dark()), format="heic").mimetype == "image/heif"


FIELDS = {
    "unknown field": (
        {"strenght": "1"},
        "strenght: no such field: there are image, model, denoise, strength, protect",
    ),
    "not a number": ({"strength": "much"}, "strength: give 0 to 1.5"),
    "not finite": ({"strength": "nan"}, "strength: give 0 to 1.5"),
    "too strong": ({"strength": "2"}, "strength: give 0 to 1.5"),
    "too light": ({"shadows": "1.1"}, "shadows: give 0 to 1"),
    "no such level": ({"denoise": "max"}, "denoise: give off, light or strong"),
    "neither yes nor no": ({"protect_highlights": "maybe"}, "protect_highlights: give true or false"),
    "no such model": ({"model": "../../weights"}, "first, second"),
    "no such format": ({"format": "exe"}, "format: give jpg, png"),
    "long name": ({"x" * 300: "1"}, f"field {'x' * 40}…: no such field"),
    "long model": ({"model": "x" * 300}, f"no model {'x' * 40}… is served"),
}


@pytest.mark.parametrize(("fields", "words"), FIELDS.values(), ids=FIELDS)
def test_bad_fields_are_refused_in_a_sentence(client: Client, fields: dict[str, str], words: str) -> None:
    response = post(client, encoded(dark()), **fields)
    assert response.status_code == 400
    assert words in sentence(response)


def test_a_picture_in_the_wrong_field_or_none(client: Client) -> None:
    for data in ({}, {"file": (io.BytesIO(encoded(dark())), "a.png")}, {"image": "not a file"}):
        response = client.post("/api/enhance", data=data, content_type="multipart/form-data")
        assert response.status_code == 400
        assert "image" in sentence(response)


@pytest.mark.parametrize("path", ["/api/enhance", "/api/decompose"])
def test_a_form_holds_one_file(client: Client, path: str) -> None:
    def picture() -> tuple[io.BytesIO, str]:
        return io.BytesIO(encoded(dark())), "a.png"

    for data, words in (
        ({"image": [picture(), picture()]}, '2 pictures under "image": send one'),
        ({"image": picture(), "mask": picture()}, 'a file under "mask": send the picture under "image"'),
        ({"x" * 300: picture()}, 'a file under "xxxx'),
        ({"image": "x" * 300 + ".jpg"}, '"image" is text, not a file: send the file itself'),
    ):
        response = client.post(path, data=data, content_type="multipart/form-data")
        assert response.status_code == 400
        assert words in sentence(response)
        assert len(sentence(response)) < 200


def test_too_many_fields_are_not_called_too_large(client: Client) -> None:
    for fields in ({"strength": ["1"] * 21}, {"strength": "1" * 600_000}):
        boundary, body = encode_multipart(fields)
        response = client.post("/api/enhance", data=body, content_type=f"multipart/form-data; boundary={boundary}")
        assert response.status_code == 413
        assert "too many fields" in sentence(response)
        assert "MB" not in sentence(response)


def test_wrong_method_and_wrong_path(client: Client) -> None:
    response = client.get("/api/enhance")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    sentence(response)
    assert "/api/decompose" in sentence(client.get("/nowhere"))


# ------------------------------------------------------------------------------------------------------------ security


@pytest.mark.parametrize("path", ["/", "/api/models", "/nowhere", "/static/page.js"])
def test_every_answer_carries_the_headers(client: Client, path: str) -> None:
    headers = client.get(path, buffered=True).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "Access-Control-Allow-Origin" not in headers


def test_other_sites_cannot_post(client: Client) -> None:
    for origin in ("https://elsewhere.example", "null", "http://localhost:1", "http://["):
        response = post(client, encoded(dark()), headers={"Origin": origin})
        assert response.status_code == 403
        assert "other sites" in sentence(response)
    assert post(client, encoded(dark()), headers={"Origin": "http://localhost"}).status_code == 200
    response = client.options("/api/enhance", headers={"Origin": "http://localhost"})
    assert not [name for name, _ in response.headers if name.startswith("Access-Control")]


def test_other_host_names_are_refused_on_loopback(client: Client, models: tuple[str, str]) -> None:
    for host in ("rebound.example", ""):  # HTTP/1.0 may name none
        response = client.get("/", headers={"Host": host})
        assert response.status_code == 400
        assert "as localhost or 127.0.0.1" in sentence(response)
    for host in ("127.0.0.1:8000", "localhost", "[::1]:8000"):
        assert client.get("/", headers={"Host": host}).status_code == 200
    public = create_app(settings(models, host="0.0.0.0")).test_client()
    assert public.get("/", headers={"Host": "my-machine"}).status_code == 200


def test_a_proxy_may_hand_on_requests_to_its_own_name(models: tuple[str, str]) -> None:
    behind = create_app(settings(models, public="https://Photos.Example.org:443/")).test_client()
    address = {"Host": "photos.example.org", "Origin": "https://photos.example.org"}
    assert behind.get("/", headers=address).status_code == 200
    assert post(behind, encoded(dark()), headers=address).status_code == 200
    assert post(behind, encoded(dark()), headers={**address, "Host": "127.0.0.1:8000"}).status_code == 200
    assert post(behind, encoded(dark()), headers={**address, "Origin": "https://elsewhere"}).status_code == 403
    assert behind.get("/", headers={"Host": "rebound.example"}).status_code == 400
    assert behind.get("/", headers={"Host": ""}).status_code == 400


def test_no_debug_mode_and_loopback_by_default(client: Client) -> None:
    assert not client.application.debug
    assert ServeSettings().host == "127.0.0.1"


# ---------------------------------------------------------------------------------------------------------------- desk


def test_the_line_is_bounded_and_served_in_order() -> None:
    line, order = desk.Desk(workers=1, waiting=2, seconds=30), []
    release = threading.Event()

    def work(number: int) -> None:
        with line.turn(f"request-{number}"):
            order.append(number)
            release.wait(10)

    threads = []
    for number in range(3):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        while sum(line.counts().values()) < number + 1:
            time.sleep(0.001)
    assert line.progress("request-0") == {"state": "working", "share": 0.0}
    assert line.progress("request-2") == {"state": "waiting", "ahead": 2}
    assert line.progress("request-9") is None
    began = time.monotonic()
    with pytest.raises(desk.FullError) as full, line.turn():
        pass
    assert time.monotonic() - began < 20  # at once, and not when its time is over, after 30
    assert 1 <= full.value.seconds <= 60
    release.set()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2]
    assert line.counts() == {"working": 0, "waiting": 0}


def test_work_ends_with_its_time_or_with_its_client() -> None:
    def steps() -> Iterator[float]:
        for number in range(1000):
            time.sleep(0.01)
            yield number / 1000

    for line, gone, error in (
        (desk.Desk(1, 1, seconds=0.05), lambda: False, desk.TooLongError),
        (desk.Desk(1, 1, seconds=30), lambda: True, desk.GoneError),
    ):
        began = time.monotonic()
        with pytest.raises(error), line.turn(gone=gone) as turn:
            turn.follow(steps())
        assert time.monotonic() - began < 2
        assert line.counts()["working"] == 0


def test_who_has_waited_too_long_is_asked_to_come_again() -> None:
    line = desk.Desk(1, 1, seconds=0.1)
    with line.turn(), pytest.raises(desk.FullError) as full, line.turn():
        pass
    assert full.value.seconds == 60
    assert line.counts() == {"working": 0, "waiting": 0}


def test_too_little_memory_is_said(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Enhancer, "_maps", failing)
    response = post(client, encoded(dark()))
    assert response.status_code == 507
    assert sentence(response) == "not enough memory here for this picture: send a smaller one, or come again"


def test_too_long_is_said(models: tuple[str, str]) -> None:
    client = create_app(settings(models, time_limit=1e-6)).test_client()
    response = post(client, encoded(dark()))
    assert response.status_code == 504
    assert "longer than" in sentence(response)


# ---------------------------------------------------------------------------------------------------- the real server


class Running:
    """The application behind waitress on a free port, in a thread."""

    def __init__(self, given: ServeSettings, patience: float) -> None:
        self.app = create_app(given)
        self.server = server.listening(self.app, given)
        self.port = int(self.server.effective_port)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=server.run, args=(self.server, self.stop, patience))
        self.thread.start()

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def enhance(self, content: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
        body, kind = form(content)
        return self.request("POST", "/api/enhance", body, **{"Content-Type": kind, **headers})


def form(content: bytes) -> tuple[bytes, str]:
    head = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return head + content + b"\r\n--frontier--\r\n", "multipart/form-data; boundary=frontier"


@pytest.fixture
def serving(models: tuple[str, str]) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(patience: float = 30, **changes: object) -> Running:
        started.append(Running(settings(models, port=0, threads=1, **changes), patience))
        return started[-1]

    yield start
    for each in started:
        each.stop.set()
        each.thread.join(20)
        assert not each.thread.is_alive()


def test_concurrent_answers_are_not_mixed_up(serving: Callable[..., Running], client: Client) -> None:
    running = serving(workers=3, queue=40)
    contents = [encoded(dark(seed, 24 + seed, 40)) for seed in range(12)]
    expected = [post(client, content).data for content in contents]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(running.enhance, contents * 2))
    assert [status for status, *_ in answers] == [200] * 24
    assert [body for *_, body in answers] == expected * 2


def test_a_full_queue_says_when_to_come_again(serving: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    running, release = serving(workers=1, queue=1), threading.Event()
    honest = Enhancer.enhanced

    def held(self: Enhancer, *arguments: object, **options: object) -> Iterator[float]:
        release.wait(20)
        return (yield from honest(self, *arguments, **options))

    monkeypatch.setattr(Enhancer, "enhanced", held)
    with ThreadPoolExecutor(2) as pool:
        kept = [pool.submit(running.enhance, encoded(dark()), **{"X-Request-Id": f"request-{n}"}) for n in range(2)]
        while json.loads(running.request("GET", "/healthz")[2])["waiting"] < 1:
            time.sleep(0.01)
        status, headers, body = running.enhance(encoded(dark()))
        assert status == 503
        assert int(headers["Retry-After"]) >= 1
        assert "try again" in json.loads(body)["error"]
        states = {json.loads(running.request("GET", f"/api/progress/request-{n}")[2])["state"] for n in range(2)}
        assert states == {"working", "waiting"}
        running.stop.set()  # what has been asked for is still answered, although no new connection is
        release.set()
        assert [each.result()[0] for each in kept] == [200, 200]
    running.thread.join(10)
    with pytest.raises(ConnectionRefusedError):
        running.request("GET", "/healthz")


def test_a_slow_client_holds_up_nobody_and_is_cut_off(serving: Callable[..., Running]) -> None:
    running = serving(patience=1.0)
    body, kind = form(encoded(dark()))
    slow = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(30)]
    for each in slow:
        each.sendall(f"POST /api/enhance HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n".encode())
        each.sendall(f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:100])
    assert running.enhance(encoded(dark()))[0] == 200
    dripping = time.monotonic()
    slow[0].settimeout(10)
    with pytest.raises((ConnectionError, TimeoutError, BrokenPipeError)):
        while time.monotonic() - dripping < 8:
            slow[0].sendall(b"x")
            if slow[0].recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b"" if readable(slow[0]) else False:
                raise ConnectionError
            time.sleep(0.1)
        pytest.fail("still connected")
    for each in slow:
        each.close()


def readable(connection: socket.socket) -> bool:
    import select

    return bool(select.select([connection], [], [], 0)[0])


def test_a_client_that_stops_reading_holds_up_nobody(serving: Callable[..., Running]) -> None:
    """Two answers that are larger than what waitress keeps for a client make a thread wait for it."""
    running = serving(workers=1, queue=0)
    running.app.add_url_rule("/large", view_func=lambda: bytes(24 << 20))
    running.server.adj.channel_timeout = 1
    asked = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2
    with contextlib.ExitStack() as open_now:
        for _ in range(running.server.adj.threads):
            connection = open_now.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            connection.sendall(asked)
        assert running.request("GET", "/healthz")[0] == 200
        running.stop.set()
        running.thread.join(20)
        assert not running.thread.is_alive()


def test_an_answer_that_comes_late_is_not_taken_for_one_that_nobody_reads(serving: Callable[..., Running]) -> None:
    running = serving(workers=1, queue=0)
    running.server.adj.channel_timeout = 1
    running.server.adj.send_bytes = 10_000  # so that the first part waits for the second

    def late() -> Iterator[bytes]:
        time.sleep(1.5)
        yield bytes(1000)
        time.sleep(0.7)
        yield bytes(1000)

    running.app.add_url_rule("/late", view_func=lambda: flask.Response(late()))
    status, _, body = running.request("GET", "/late", Host="localhost")
    assert (status, len(body)) == (200, 2000)


def test_the_server_itself_refuses_large_bodies_in_json(serving: Callable[..., Running]) -> None:
    running = serving(max_megabytes=1)
    connection = socket.create_connection(("127.0.0.1", running.port), timeout=10)
    connection.sendall(b"POST /api/enhance HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000000\r\n\r\n")
    answer = connection.makefile("rb").read()
    connection.close()
    assert answer.startswith(b"HTTP/1.1 413")
    assert "1 MB" in json.loads(answer.split(b"\r\n\r\n")[1])["error"]
    for junk in (b"\x16\x03\x01 tls\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: minus\r\n\r\n"):
        connection = socket.create_connection(("127.0.0.1", running.port), timeout=10)
        connection.sendall(junk)
        assert b" 400 " in connection.makefile("rb").read(100)
        connection.close()
    assert running.request("GET", "/healthz")[0] == 200


def test_a_large_upload_leaves_nothing_behind(
    serving: Callable[..., Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    running = serving(max_megapixels=2)
    noise = np.random.default_rng(0).integers(0, 60, (900, 1000, 3), dtype=np.uint8)
    content = encoded(noise, "BMP")
    assert len(content) > 2_000_000
    body, kind = form(content)
    cut = socket.create_connection(("127.0.0.1", running.port), timeout=10)  # hangs up in the middle
    cut.sendall(f"POST /api/enhance HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n".encode())
    cut.sendall(f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:2_000_000])
    cut.close()
    status, _, answer = running.enhance(content)
    assert status == 200
    assert answer[:2] == b"BM"
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------- the command


def test_a_second_signal_ends_the_server_at_once(models: tuple[str, str], tmp_path: Path) -> None:
    """Though the network computes, in a thread that the interpreter would wait for."""
    code = f"""
import threading, time
from lowlight_cli.core.enhancing import enhancer
begun = threading.Event()
def slow(*_, **__):
    begun.set()
    time.sleep(60)
    yield 1.0
enhancer.Enhancer.enhanced = slow
threading.Thread(target=lambda: (begun.wait(), print("computing", flush=True)), daemon=True).start()
from lowlight_cli.app import main
main(["serve", "--port", "0", "--model", {models[0]!r}, "--device", "cpu"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(":")[2])
            body, kind = form(encoded(dark()))
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as client:
                client.request("POST", "/api/enhance", body, {"Content-Type": kind})
                assert process.stdout.readline() == "computing\n"
                process.send_signal(signal.SIGINT)
                assert process.stderr is not None
                while "once more" not in process.stderr.readline():
                    pass
                process.send_signal(signal.SIGINT)
                assert process.wait(timeout=20) == 130
        finally:
            process.kill()


def test_maps_of_a_picture_longer_than_a_jpeg_are_thinned_out() -> None:
    file = io.BytesIO()
    long = torch.zeros(3, 2, 70_000, dtype=torch.uint8)
    multipart(file, {}, {"low": images.Picture(long), "relit": long[:1]})
    sizes = []
    for part in file.getvalue().split(b"\r\n\r\n")[2:]:
        with Image.open(io.BytesIO(part)) as image:
            sizes.append(image.size)
    assert sizes == [(35_000, 1), (35_000, 1)]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_the_command_serves_and_ends_cleanly(models: tuple[str, str], name: str) -> None:
    if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
        pytest.skip("whoever runs the tests has it ignored, as nohup does")
    process = subprocess.Popen(
        [sys.executable, "-m", "lowlight_cli", "serve", "--port", "0", "--model", models[0], "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        with urllib.request.urlopen(f"{address}/healthz", timeout=20) as answer:
            assert json.load(answer)["status"] == "ok"
        process.send_signal(getattr(signal, name))
        _, talk = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in talk


def test_an_address_is_printed_as_it_is(lowlight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowlight_cli.web.create_app", lambda _: None)
    monkeypatch.setattr(server, "listening", lambda *_: SimpleNamespace(effective_port=8000))
    monkeypatch.setattr(server, "run", lambda *_: None)
    assert lowlight("serve", "--host", "fd00::5")[1] == "http://[fd00::5]:8000\n"


def test_a_taken_port_and_a_missing_model_are_one_line(lowlight: Run, models: tuple[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, talk = lowlight("serve", "--port", port, "--model", models[0])
    assert code == 1
    assert talk.count("\n") == 1
    assert "another --host or --port" in talk
    code, _, talk = lowlight("serve", "--model", "nothing.safetensors")
    assert (code, talk.count("\n")) == (1, 1)


def test_without_flask_one_sentence_names_the_extra(lowlight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("lowlight_cli.web")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "flask", None)
    code, _, talk = lowlight("serve")
    assert code == 1
    assert talk.count("\n") == 1
    assert "pip install 'lowlight[web]'" in talk


@pytest.fixture
def lamps(tmp_path: Path) -> tuple[Path, Path]:
    torch.manual_seed(0)
    net, pixels = RetinexNet(width=4), dark()
    torch.nn.init.constant_(net.enhance.head.bias, 4.0)
    checkpoints.save(net, tmp_path / "bright.safetensors")
    pixels[5:20, 10:30] = 245
    Image.fromarray(pixels).save(tmp_path / "lamps.png")
    return tmp_path / "bright.safetensors", tmp_path / "lamps.png"


def test_highlights_are_protected_by_every_way_in(lamps: tuple[Path, Path], lowlight: Run, tmp_path: Path) -> None:
    net, source = lamps
    enhancer = Enhancer(str(net), "cpu")
    given = np.asarray(Image.open(source))
    expected = enhancer.enhance(given, protect_highlights=True)
    assert (
        np.abs(expected[8:16, 14:26].astype(int) - 245).max()
        <= 2
        < np.abs(enhancer.enhance(given)[8:16, 14:26].astype(int) - 245).max()
    )
    target = tmp_path / "cli.png"
    assert (
        lowlight("enhance", source, "--out", target, "--model", net, "--device", "cpu", "--protect-highlights")[0] == 0
    )
    np.testing.assert_array_equal(np.asarray(Image.open(target)), expected)
    answer = post(create_app(settings((str(net),))).test_client(), source.read_bytes(), protect_highlights="true")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answer.data))), expected)


def test_maps_are_denoised_by_every_way_in(
    client: Client, models: tuple[str, str], lowlight: Run, tmp_path: Path
) -> None:
    Image.fromarray(dark()).save(tmp_path / "night.png")
    found = {}
    for how in ("off", "strong"):
        command = (
            "decompose",
            tmp_path / "night.png",
            "--out",
            tmp_path / how,
            "--model",
            models[0],
            "--device",
            "cpu",
        )
        assert lowlight(*command, "--denoise", how)[0] == 0
        answer = post(client, (tmp_path / "night.png").read_bytes(), path="/api/decompose", denoise=how)
        with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
            theirs = archive.read("reflectance.png")
        library = Enhancer(models[0], "cpu", precision="fp32").decompose(tmp_path / "night.png", denoise=how)
        found[how] = (
            (tmp_path / how / "night_reflectance.png").read_bytes(),
            theirs,
            library.reflectance.numpy().tobytes(),
        )
    assert all(plain != clean for plain, clean in zip(*found.values(), strict=True))


def test_answers_to_posts_are_not_stored(client: Client) -> None:
    assert post(client, encoded(dark())).headers["Cache-Control"] == "no-store"
    assert post(client, b"").headers["Cache-Control"] == "no-store"
