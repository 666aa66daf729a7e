"""The report page: self-contained, well-formed, and working in a real browser."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from lowlight_cli.core.evaluating import charts, evaluation, gallery, outputs, page
from lowlight_cli.core.evaluating.charts import Series
from lowlight_cli.core.pictures import images
from lowlight_cli.settings import EvaluateSettings

BROWSER, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
ARROW_LEFT = "\ue012"
FLAGS = (
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"),
    *("disable-component-update", "disable-sync", "hide-scrollbars", "window-size=1000,900"),
)


@pytest.fixture
def report_page(pair_folder: Path, tmp_path: Path) -> Path:
    """The page of two baselines over eight pairs, one of which has a name that HTML could take for a tag."""
    for side in ("low", "high"):
        (pair_folder / side / "7.png").rename(pair_folder / side / "<b>&7.png")
    path = tmp_path / "report.html"
    settings = EvaluateSettings(dataset=str(pair_folder), baseline=("gamma", "clahe"), lpips=False, report=path)
    *_, (report, copies) = evaluation.run(settings)
    assert list(outputs.write(settings, report, copies)) == [path]
    return path


class Outline(HTMLParser):
    """Checks that tags close in order, and collects attributes."""

    VOID = frozenset({"meta", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_needs_nothing_else_and_its_tags_close(report_page: Path) -> None:
    text = report_page.read_text()
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert len(outline.links) == 8 * 4
    assert all(link.startswith("data:image/jpeg;base64,") for link in outline.links)
    assert not re.search(r"https?://", re.sub(r"data:[^\"]*", "", text))
    assert "<b>&7" in "".join(outline.text)
    assert "<b>" not in text


def test_charts_show_every_value_and_are_well_formed() -> None:
    import xml.etree.ElementTree as ElementTree

    series = [Series("one", [(0, 10.0), (1, float("inf"))], 0), Series("<two>", [(0, 20.0), (1, 30.0)], 1)]
    drawn = ElementTree.fromstring(charts.dots("PSNR", "dB", ["a", "b & c"], series))
    said = [element.text for element in drawn.iter("title")]
    assert {"a, one: 10.00", "a, <two>: 20.00", "b & c, <two>: 30.00"} <= set(said)
    assert not any("inf" in text for text in said if text)
    curve = charts.curves(
        "tone", ("in", "out"), [Series("one", [(0, 0), (0.5, 1)], 0), Series("truth", [(0.1, 1)], None)]
    )
    lines = [element.get("points") for element in ElementTree.fromstring(curve).iter("polyline")]
    left, right, top, bottom = charts.LEFT, charts.WIDTH - charts.RIGHT, charts.TOP, charts.HEIGHT - charts.BOTTOM
    assert len(lines) == 2 and lines[0] == f"{left:.1f},{bottom:.1f} {right:.1f},{top:.1f}"
    assert charts.dots("PSNR", "dB", ["a"], [Series("one", [(0, float("inf"))], 0)]) == ""


def test_many_series_are_told_apart_and_named_within_the_drawing() -> None:
    import xml.etree.ElementTree as ElementTree

    names = [f"a-model-of-a-long-name-{number}" for number in range(16)]
    drawn = ElementTree.fromstring(
        charts.dots("PSNR", "dB", ["a"], [Series(name, [(0, 10.0)], number) for number, name in enumerate(names)])
    )
    _, _, width, height = map(float, drawn.attrib["viewBox"].split())
    places = {mark.attrib["transform"] for mark in drawn.iter("path")}
    legend = {label.text: label for label in drawn.iter("text") if label.text in names}
    assert legend.keys() == set(names)
    for name, label in legend.items():
        x, y = float(label.attrib["x"]), float(label.attrib["y"])
        assert label.attrib["text-anchor"] == "start" and x + 8 * len(name) <= width and y <= height
        assert f"translate({x - 8:.1f},{y - 4:.1f}) scale(1)" in places
    marks = {(mark.attrib["d"], mark.attrib["fill"]) for mark in drawn.iter("path")}
    assert len(marks) == len(names)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (7.2, 21, [5, 10, 15, 20, 25]),
        (3, 3, [3]),
        (13.2034567, 13.2034567, [13.2, 13.4]),
    ],
)
def test_ticks_are_round_and_cover(low: float, high: float, expected: list[float]) -> None:
    found = charts.ticks(low, high)
    assert found[0] <= low
    assert found[-1] >= high
    assert found[: len(expected)] == expected


def test_the_sheet_shows_what_was_measured(pair_folder: Path) -> None:
    settings = EvaluateSettings(dataset=str(pair_folder), baseline=("gamma",), lpips=False, sheet=Path("s.png"))
    *_, (report, copies) = evaluation.run(settings)
    sheet = gallery.contact_sheet(report, copies, width=60)
    assert sheet.width == 10 + 3 * 70
    assert gallery.order(report) == ["input", "gamma", "truth"]
    row = report.results[0].rows[0]
    assert (
        gallery.caption(report, "gamma", "0")
        == f"PSNR dB {row.figures['psnr']:.2f}  SSIM RGB {row.figures['ssim']:.4f}"
    )
    truth = images.read(pair_folder / "high" / "0.png").pixels.mean(dim=(1, 2))
    tile = torch.from_numpy(np.array(sheet.crop((150, 72, 210, 117)))).float().mean(dim=(0, 1)) / 255
    torch.testing.assert_close(tile, truth, atol=0.02, rtol=0)


def test_long_names_stay_in_their_column() -> None:
    font = ImageFont.load_default(16)
    assert gallery.shortened("short", font, 100) == "short"
    long = "a very long name of a picture that goes on and on"
    short = gallery.shortened(long, font, 100)
    assert short.endswith("…") and long.startswith(short[:-1])
    assert 80 < font.getlength(short) <= 100


def test_a_sheet_that_is_too_tall_has_smaller_pictures(pair_folder: Path) -> None:
    settings = EvaluateSettings(dataset=str(pair_folder), baseline=("gamma",), lpips=False, sheet=Path("s.png"))
    *_, (report, copies) = evaluation.run(settings)
    whole = gallery.contact_sheet(report, copies, width=60)
    smaller = gallery.contact_sheet(report, copies, width=60, tallest=whole.height - 1)
    assert smaller.size == gallery.contact_sheet(report, copies, width=60, side=30).size
    assert smaller.width == whole.width and smaller.height < whole.height


def test_a_sheet_is_no_taller_than_its_format_holds(pair_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.webp"
    settings = EvaluateSettings(dataset=str(pair_folder), baseline=("gamma",), lpips=False, sheet=path)
    *_, (report, _) = evaluation.run(settings)
    tall = gallery.Gallery()
    for number in range(17):
        tall.add(str(number), "input", torch.zeros(3, gallery.SIDE, 48, dtype=torch.uint8))
    assert list(outputs.write(settings, report, tall)) == [path]
    with Image.open(path) as sheet:
        assert 8_000 < sheet.height < 16_384


def test_a_full_gallery_keeps_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "LIMIT", 2)
    copies = gallery.Gallery()
    for name in "abc":
        for version in ("input", "gamma"):
            copies.add(name, version, torch.zeros(3, 8, 8, dtype=torch.uint8))
    assert {name: list(versions) for name, versions in copies.pictures.items()} == {
        "a": ["input", "gamma"],
        "b": ["input", "gamma"],
    }


def test_rare_levels_are_not_drawn() -> None:
    from lowlight_cli.core.evaluating.results import TONES, Result

    tones = torch.zeros(2, TONES, dtype=torch.float64)
    tones[:, 0] = torch.tensor([20_000.0, 100_000.0])
    tones[:, 9] = torch.tensor([1.0, 1.0])
    assert page.transfer(Result("a", "model", tones={"a": tones / 4, "b": tones * 0.75})) == [(0.5 / TONES, 0.2)]


class Driver:
    """A browser through the WebDriver protocol (W3C)."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}/session"
        options = {"binary": BROWSER, "args": [f"--{flag}" for flag in FLAGS]}
        found = self.post("", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
        self.base += "/" + found["sessionId"]

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self.base + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def run(self, script: str) -> Any:
        return self.post("/execute/sync", {"script": script, "args": []})

    def drag(self, *places: tuple[int, int]) -> None:
        """Press at the first place, move over the others, and let go."""
        moves = [{"type": "pointerMove", "x": x, "y": y, "duration": 20} for x, y in places]
        steps = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        self.post("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": steps}]})


@pytest.fixture
def browser() -> Iterator[Driver]:
    """Headless Chromium, driven."""
    if BROWSER is None or DRIVER is None:
        pytest.skip("no Chromium with its driver here: install the packages chromium and chromium-driver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        driver = Driver(port)
        yield driver
        request = urllib.request.Request(driver.base, method="DELETE")
        urllib.request.urlopen(request, timeout=60).close()
    finally:
        process.terminate()
        process.wait(timeout=10)


VISIBLE = """
const shown = side => [...document.querySelectorAll("figure .versions")[0].querySelectorAll("." + side)]
  .filter(e => getComputedStyle(e).visibility === "visible").map(e => e.dataset.version);
const first = document.querySelector("figure .versions");
return {left: shown("left"), right: shown("right"), at: first.style.getPropertyValue("--at"),
  clip: getComputedStyle(first.querySelector(".left")).clipPath,
  broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).length,
  box: (r => [r.left, r.top, r.width, r.height])(first.getBoundingClientRect())};
"""


def test_sliders_and_choices_work_in_a_real_browser(report_page: Path, browser: Driver) -> None:
    browser.post("/url", {"url": report_page.as_uri()})
    browser.run("document.querySelector('figure').scrollIntoView({block: 'center'})")
    found = browser.run(VISIBLE)
    assert (found["left"], found["right"], found["broken"]) == (["input"], ["gamma"], 0)

    left, top, width, height = found["box"]
    middle = round(top + height / 2)
    browser.drag((round(left + width / 2), middle), (round(left + 0.75 * width), middle))
    found = browser.run(VISIBLE)
    assert float(found["at"].rstrip("%")) == pytest.approx(75, abs=1)
    assert float(re.findall(r"([\d.]+)%", found["clip"])[0]) == pytest.approx(25, abs=1)

    browser.run(
        "const s = document.querySelector('select[data-side=right]'); s.value = 'truth';"
        "s.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    found = browser.run(VISIBLE)
    assert (found["left"], found["right"]) == (["input"], ["truth"])

    browser.run("document.querySelector('figure input').focus()")
    arrow = {
        "type": "key",
        "id": "keys",
        "actions": [{"type": "keyDown", "value": ARROW_LEFT}, {"type": "keyUp", "value": ARROW_LEFT}],
    }
    before = float(found["at"].rstrip("%"))
    browser.post("/actions", {"actions": [arrow]})
    assert float(browser.run(VISIBLE)["at"].rstrip("%")) == pytest.approx(before - 0.5)

    assert browser.run("return document.querySelectorAll('svg').length") == 2
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
