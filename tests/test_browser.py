"""The page in a real browser: headless Chromium, driven by Selenium. Skipped where either is missing."""

import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import scenery
from PIL import Image

from lowlight_cli.core import checkpoints
from lowlight_cli.core.networks import RetinexNet
from lowlight_cli.core.pictures import images
from lowlight_cli.settings import ServeSettings

pytest.importorskip("flask")
pytest.importorskip("waitress")
webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed: make test-browser")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
if not (CHROMIUM and CHROMEDRIVER):
    pytest.skip("no Chromium with ChromeDriver is installed: make test-browser", allow_module_level=True)

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from lowlight_cli.web import create_app, server  # noqa: E402

Run = Callable[..., tuple[int, str, str]]
ARGUMENTS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync --window-size=1280,900"
)
CLOSE = 5
"""Levels of 255 by which the stage, which is drawn from JPEG, may differ from the file that is downloaded."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models that brighten, two dark photographs and what is none."""
    place = tmp_path_factory.mktemp("browser")
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        net = RetinexNet(width=4)
        with torch.no_grad():  # untrained, but with light: I about 0.7, I_hat about 0.9 or 0.6
            net.decom.head.bias[3] = 1.0
            net.enhance.head.bias += 0.9 - 0.3 * seed
        checkpoints.save(net, place / f"{name}.safetensors")
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    for seed, name in enumerate(("night.jpg", "dusk.png")):
        images.to_image(scenery(seed, 96, 144) * 0.25).save(place / name, exif=exif, quality=97)
    (place / "broken.jpg").write_bytes((place / "night.jpg").read_bytes()[:300])
    return place


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    given = ServeSettings(
        model=tuple(str(place / f"{name}.safetensors") for name in ("first", "second")), device="cpu", port=0
    )
    listening = server.listening(create_app(given), given)
    stop = threading.Event()
    thread = threading.Thread(target=server.run, args=(listening, stop, 60))
    thread.start()
    yield f"http://127.0.0.1:{listening.effective_port}/"
    stop.set()
    thread.join(30)


class Page:
    """What a person does with the page and sees on it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError(f"waited in vain for {what}; the page says: {self.find('#notice-text').text}")

    def upload(self, *paths: Path) -> None:
        self.find("#files").send_keys("\n".join(map(str, paths)))
        self.settled()

    def two(self, place: Path) -> list[Any]:
        """Upload two pictures, and wait for both results: what to click for each."""
        self.upload(place / "night.jpg", place / "dusk.png")
        self.until(lambda: self.run("return document.querySelectorAll('#film .done').length") == 2, "two results")
        return list(self.driver.find_elements(By.CSS_SELECTOR, "#film button:not(.away)"))

    def settled(self) -> None:
        """Wait until everything that the controls ask for is on the stage."""
        done = "return document.getElementById('notice').hidden && document.getElementById('facts').textContent"
        self.until(lambda: self.run(done), "the result")
        self.run("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def set(self, selector: str, value: object) -> None:
        """Move a slider, or tick a box, as a hand would."""
        self.run(
            "const [box, value] = arguments; if (box.type === 'checkbox') box.checked = value; else box.value = value;"
            "box.dispatchEvent(new Event('input', {bubbles: true}))",
            self.find(selector),
            value,
        )
        self.settled()

    def send_late(self) -> None:
        """Have pictures sent a second and a half later, as over a slow network."""
        self.run(
            "const plain = XMLHttpRequest.prototype.send; XMLHttpRequest.prototype.send = function (form) {"
            "setTimeout(() => plain.call(this, form), 1500); }"
        )

    def pick(self, name: str, value: str) -> None:
        self.find(f'[name="{name}"][value="{value}"]').click()

    def choose(self, selector: str, text: str) -> None:
        self.find(f'{selector} option[value="{text}"]').click()

    def labels(self) -> list[str]:
        return [each.text for each in self.driver.find_elements(By.CSS_SELECTOR, ".pane .label") if each.text]

    def seen(
        self, rows: np.ndarray, columns: np.ndarray, pane: int = 0, size: tuple[int, int] = (96, 144)
    ) -> np.ndarray:
        """The colours that a pane shows at places of the picture."""
        script = """
            const [pane, places, height, width] = arguments;
            const canvas = document.querySelectorAll('.pane canvas')[pane];
            const scale = Math.min(canvas.width / width, canvas.height / height);
            return places.map(([row, column]) => [...canvas.getContext('2d').getImageData(
              Math.round(canvas.width / 2 + (column + 0.5 - width / 2) * scale),
              Math.round(canvas.height / 2 + (row + 0.5 - height / 2) * scale), 1, 1).data].slice(0, 3));
        """
        return np.array(self.run(script, pane, np.stack([rows, columns], 1).tolist(), *size), dtype=int)

    def slide(self, share: float) -> None:
        """Drag the divider to a share of the stage's width."""
        from selenium.webdriver import ActionChains

        stage, divider = self.find("#stage"), self.find("#divider")
        target = round((share - 0.5) * stage.size["width"])
        ActionChains(self.driver, duration=50).click_and_hold(divider).move_to_element_with_offset(
            stage, target, 0
        ).release().perform()

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def browser(place: Path) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in [*ARGUMENTS.split(), f"--user-data-dir={place / 'profile'}"]:
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(place / "downloads")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    browser.get(address)
    page = Page(browser)
    page.until(lambda: page.driver.find_elements(By.CSS_SELECTOR, "#samples button"), "the page")
    yield page
    assert page.complaints() == []


PLACES = np.meshgrid(np.arange(9, 96, 19), np.arange(12, 144, 24), indexing="ij")  # middles of the scenery's patches
ROWS, COLUMNS = (each.ravel() for each in PLACES)


def by_command(lowlight: Run, place: Path, *options: object, model: str = "first", name: str = "night.jpg") -> Path:
    target = place / f"by_command{Path(name).suffix}"
    settings = ("--model", place / f"{model}.safetensors", "--device", "cpu", "--overwrite")
    assert lowlight("enhance", place / name, "--out", target, *settings, *options)[0] == 0
    return target


def colours(path: Path | io.BytesIO) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=int)[ROWS, COLUMNS]


def test_the_page_reaches_nothing_outside(page: Page, address: str) -> None:
    for entry in page.run("return performance.getEntriesByType('resource').map(entry => entry.name)"):
        assert entry.startswith((address, f"blob:{address}")), entry
    assert page.find("h1").text == "lowlight"


def test_the_slider_parts_before_and_after(page: Page, place: Path, lowlight: Run) -> None:
    page.upload(place / "night.jpg")
    assert page.labels() == ["before", "after"]
    before, after = colours(place / "night.jpg"), colours(by_command(lowlight, place))
    assert np.abs(after - before).mean() > 40
    left = COLUMNS < 72
    shown = page.seen(ROWS, COLUMNS)
    assert np.abs(shown[left] - before[left]).max() <= CLOSE
    assert np.abs(shown[~left] - after[~left]).max() <= CLOSE
    page.slide(0.02)
    assert int(page.find("#divider").get_attribute("aria-valuenow")) < 10
    assert np.abs(page.seen(ROWS, COLUMNS) - after).max() <= CLOSE
    page.find("#divider").send_keys(Keys.END)
    assert page.find("#divider").get_attribute("aria-valuenow") == "100"
    assert np.abs(page.seen(ROWS, COLUMNS) - before).max() <= CLOSE


@pytest.mark.parametrize(
    ("strength", "highlights", "shadows"),
    [(0.5, False, 0), (1.3, False, 0), (1.0, True, 0), (1.5, True, 0), (1.0, False, 0.5), (0.5, True, 1)],
)
def test_the_controls_show_what_the_command_line_makes(
    page: Page, place: Path, lowlight: Run, strength: float, highlights: bool, shadows: float
) -> None:
    page.upload(place / "night.jpg")
    sent = page.run(
        "return performance.getEntriesByType('resource').filter(entry => /decompose/.test(entry.name)).length"
    )
    page.set("#strength", strength)
    page.set("#highlights", highlights)
    page.set("#shadows", shadows)
    page.find("#divider").send_keys(Keys.HOME)
    options = ["--strength", strength, "--shadows", shadows, *(["--protect-highlights"] if highlights else [])]
    assert np.abs(page.seen(ROWS, COLUMNS) - colours(by_command(lowlight, place, *options))).max() <= CLOSE
    again = page.run(
        "return performance.getEntriesByType('resource').filter(entry => /decompose/.test(entry.name)).length"
    )
    assert again == sent, "sent again"


def test_another_model_and_two_side_by_side(page: Page, place: Path, lowlight: Run) -> None:
    first, second = (colours(by_command(lowlight, place, model=name)) for name in ("first", "second"))
    assert np.abs(first - second).mean() > 20
    page.upload(place / "night.jpg")
    page.find("#divider").send_keys(Keys.HOME)
    page.choose("#model", "second")
    page.until(lambda: np.abs(page.seen(ROWS, COLUMNS) - second).max() <= CLOSE, "the other model's picture")
    page.choose("#against", "first")
    page.until(lambda: page.labels() == ["after · first", "after · second"], "both models")
    page.pick("view", "side")
    page.until(lambda: page.labels() == ["before", "after · first", "after · second"], "three panes")
    for pane, expected in enumerate((colours(place / "night.jpg"), first, second)):
        shown = page.seen(ROWS, COLUMNS, pane)
        assert np.abs(shown - expected).max() <= CLOSE


@pytest.mark.parametrize("name", ["night.jpg", "dusk.png"])
def test_the_download_is_what_the_command_line_writes(page: Page, place: Path, lowlight: Run, name: str) -> None:
    page.upload(place / name)
    page.set("#strength", 0.8)
    page.pick("denoise", "light")
    page.settled()
    page.find("#download").click()
    saved = place / "downloads" / f"{Path(name).stem}_bright{Path(name).suffix}"
    page.until(saved.exists, "the download")
    expected = by_command(lowlight, place, "--strength", 0.8, "--denoise", "light", name=name)
    assert saved.read_bytes() == expected.read_bytes()
    with Image.open(saved) as image:
        assert image.size == (144, 96)
        assert image.getexif()[0x010F] == "Camera"


def test_tabs_show_the_maps_and_obey_the_keyboard(page: Page, place: Path) -> None:
    page.upload(place / "night.jpg")
    page.find("#divider").send_keys(Keys.HOME)
    seen = [page.seen(ROWS, COLUMNS)]
    tab = page.find('[role="tab"]')
    for label in ("reflectance", "illumination", "adjusted illumination"):
        tab.send_keys(Keys.ARROW_RIGHT)
        page.until(lambda label=label: page.labels()[-1] == label, label)
        page.settled()
        tab = page.driver.switch_to.active_element
        assert tab.get_attribute("aria-selected") == "true"
        seen.append(page.seen(ROWS, COLUMNS))
    assert np.abs(seen[1] - seen[0]).mean() > 2
    assert (seen[2].min(1) == seen[2].max(1)).all(), "illumination is gray"


def test_zoom_and_pan(page: Page, place: Path) -> None:
    page.upload(place / "night.jpg")
    fitting = page.find("#scale").text
    page.find("#stage").send_keys("1")
    page.until(lambda: page.find("#scale").text == "100 %", "100 %")
    page.find('[data-zoom="fit"]').click()
    page.until(lambda: page.find("#scale").text == fitting, "all of it")
    page.find('[data-zoom="in"]').click()
    page.until(lambda: page.find("#scale").text != fitting, "a part of it")
    before = page.seen(ROWS, COLUMNS)
    page.find("#stage").send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    page.until(lambda: (page.seen(ROWS, COLUMNS) != before).any(), "another part of it")


def test_several_at_once_and_a_broken_one(page: Page, place: Path) -> None:
    page.upload(place / "night.jpg", place / "dusk.png", place / "broken.jpg")
    page.until(lambda: page.run("return document.querySelectorAll('#film .done').length") == 2, "two results")
    page.until(lambda: page.driver.find_elements(By.CSS_SELECTOR, "#film .failed"), "the refusal")
    page.find("#film li:nth-child(3) button").click()
    said = page.until(lambda: page.find("#notice-text").text, "a sentence")
    assert said.startswith("broken.jpg: ")
    page.find("#film li:nth-child(3) .away").click()
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "#film li")) == 2
    assert [each for each in page.complaints() if "422" not in each and "415" not in each] == []


def test_after_an_error_it_can_be_tried_again(page: Page, place: Path) -> None:
    page.run(
        "const plain = XMLHttpRequest.prototype.open; window.mend = () => (XMLHttpRequest.prototype.open = plain);"
        "XMLHttpRequest.prototype.open = function () { plain.call(this, 'POST', '/nowhere'); }"
    )
    page.find("#files").send_keys(str(place / "night.jpg"))
    page.until(lambda: page.find("#again").is_displayed(), "a way out")
    assert page.find("#notice-text").text.startswith("night.jpg: ")
    page.run("window.mend()")
    page.choose("#model", "second")  # which has not failed
    page.settled()
    assert not page.find("#again").is_displayed()
    page.choose("#model", "first")
    page.until(lambda: page.find("#again").is_displayed(), "the same fault")
    page.find("#again").send_keys(Keys.ENTER)
    assert page.run("return document.activeElement.id") == "stage"
    page.settled()
    assert page.run("return document.querySelectorAll('#film .failed').length") == 0
    assert all("404" in each for each in page.complaints())


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_pictures_are_pasted_and_dropped(page: Page, place: Path, way: str) -> None:
    page.run(
        """
        const [way, bytes] = arguments, data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'night.jpg', {type: 'image/jpeg'}));
        const event = way === 'paste' ? new ClipboardEvent('paste', {clipboardData: data, bubbles: true})
          : new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true});
        document.body.dispatchEvent(event);
        """,
        way,
        list((place / "night.jpg").read_bytes()),
    )
    page.settled()
    assert page.find("#facts").text.startswith("144 × 96 px")


DROP = """
    const data = new DataTransfer();
    for (const [name, type] of arguments[0]) data.items.add(new File(['words'], name, {type}));
    document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
"""


def test_what_is_no_picture_is_said(page: Page, place: Path) -> None:
    page.run(DROP, [["notes.txt", "text/plain"]])
    refused = page.until(lambda: page.find("#refused").text, "a sentence")
    assert refused == "Not pictures, left out: notes.txt" and page.find("#welcome").is_displayed()
    page.run(DROP, [[f"{number}.txt", "text/plain"] for number in range(5)])
    page.until(lambda: "0.txt, 1.txt, 2.txt and 2 more" in page.find("#refused").text, "all of them")
    page.upload(place / "night.jpg")
    assert not page.find("#refused").text


def test_of_a_folder_its_pictures_are_taken(page: Page, place: Path) -> None:
    (place / "trip" / "deep").mkdir(parents=True)
    for name in ("night.jpg", "deep/dusk.png", "deep/.hidden.png", "notes.txt"):
        shutil.copy(
            place / Path(name).name.replace(".hidden", "dusk").replace("notes.txt", "night.jpg"), place / "trip" / name
        )
    data = {"items": [], "files": [str(place / "trip")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.driver.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    page.settled()
    names = "return [...document.querySelectorAll('#film img')].map(image => image.alt).sort()"
    assert page.run(names) == ["dusk.png", "night.jpg"]


def test_an_overtaken_picture_is_not_shown_with_the_next_ones_facts(page: Page, place: Path) -> None:
    first, second = page.two(place)
    drawn = "return document.getElementById('histogram-after').innerHTML"
    second.click()
    page.settled()
    time.sleep(0.3)
    other = page.run(drawn)
    first.click()
    page.settled()
    page.until(lambda: page.run(drawn) != other, "its histogram")
    wanted = page.run(drawn)
    page.run(  # decoding of the second takes time: its maps are not kept while the first is shown
        "const plain = window.createImageBitmap; window.createImageBitmap = async (...all) => {"
        "await new Promise(done => setTimeout(done, 900)); return plain(...all); };"
        "for (const each of arguments) each.click();",
        second,
        first,
    )
    time.sleep(1.5)
    assert page.run(drawn) == wanted


def test_without_site_data_the_page_works(page: Page, place: Path, address: str) -> None:
    denied = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('', 'SecurityError'); }})"
    script = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": denied})
    try:
        page.driver.get(address)
        page.until(lambda: page.driver.find_elements(By.CSS_SELECTOR, "#samples button"), "the page")
        page.find("#theme").click()
        page.upload(place / "night.jpg")
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_a_download_is_of_its_picture_and_once(page: Page, place: Path) -> None:
    first, second = page.two(place)
    first.click()
    page.settled()
    page.send_late()
    enabled = "return document.getElementById('download').ariaDisabled !== 'true'"
    page.find("#download").click()
    assert not page.run(enabled)
    page.set("#strength", 1.2)
    assert not page.run(enabled), "one at a time"
    page.find("#download").click()
    second.click()
    page.settled()
    assert page.run(enabled)
    page.until(lambda: list((place / "downloads").glob("night_bright*.jpg")), "the download")
    time.sleep(0.3)
    assert not page.find("#download-note").text, "the other picture's"
    assert len(list((place / "downloads").glob("night_bright*"))) == 1


def test_what_a_format_does_not_hold_is_not_promised(page: Page, place: Path) -> None:
    with Image.open(place / "night.jpg") as image:
        image.save(place / "night.bmp")
    for name, kept in (("night.bmp", ""), ("night.jpg", ", with the original's EXIF")):
        page.upload(place / name)
        page.find("#download").click()
        stem, _, suffix = name.partition(".")
        said = f"{stem}_bright.{suffix}{kept}"
        page.until(lambda said=said: page.find("#download-note").text == said, said)


def test_the_stage_shows_what_is_chosen_while_that_is_computed(page: Page, place: Path) -> None:
    rows, columns = np.array([20, 48, 70]), np.array([30, 72, 110])
    first, second = page.two(place)
    first.click()
    page.settled()
    page.send_late()
    page.choose("#model", "second")
    second.click()
    with Image.open(place / "dusk.png") as image:
        wanted = np.asarray(image.convert("RGB"), dtype=int)[rows, columns]
    page.until(lambda: page.labels() == ["before"], "the chosen picture as it is")
    assert abs(page.seen(rows, columns) - wanted).max() <= CLOSE
    assert page.find("#notice-text").text
    page.settled()


def test_what_the_browser_cannot_decode_is_said(page: Page, place: Path) -> None:
    page.upload(place / "night.jpg")
    page.run(
        "const plain = window.createImageBitmap; window.mend = () => (window.createImageBitmap = plain);"
        "window.createImageBitmap = () => Promise.reject(new Error('too large'));"
    )
    page.find('[data-map="reflectance"]').click()
    said = page.until(lambda: page.find("#notice-text").text, "a sentence")
    assert said == "night.jpg: this browser cannot show it (too large); you can still download it"
    assert not page.labels()
    page.run("window.mend()")
    page.set("#strength", 0.9)
    assert "reflectance" in page.labels()


def test_icons_and_choices_are_seen_in_the_system_s_colours(page: Page, place: Path) -> None:
    page.upload(place / "night.jpg")
    emulate = "Emulation.setEmulatedMedia"
    page.driver.execute_cdp_cmd(emulate, {"features": [{"name": "forced-colors", "value": "active"}]})
    try:
        colour = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
        assert page.run(colour, '[data-zoom="in"] .icon') != page.run(colour, "body")
        for chosen, other in (
            ('[aria-selected="true"]', '[role="tab"][aria-selected="false"]'),
            (".choice :checked + span", ".choice input:not(:checked) + span"),
        ):
            assert page.run(colour, chosen) != page.run(colour, other)
    finally:
        page.driver.execute_cdp_cmd(emulate, {"features": []})


def test_a_first_look_is_not_what_is_downloaded(page: Page, place: Path) -> None:
    Image.new("RGB", (2000, 1600), (20, 16, 24)).save(place / "large.png")
    page.find("#files").send_keys(str(place / "large.png"))
    both = "return [document.getElementById('facts').textContent, document.getElementById('download').disabled]"
    page.until(lambda: "first look" in (found := page.run(both))[0] and found[1], "the first look")
    page.settled()
    page.find("#download").click()
    page.until((place / "downloads" / "large_bright.png").exists, "the download")
    with Image.open(place / "downloads" / "large_bright.png") as image:
        assert (image.format, image.size) == ("PNG", (2000, 1600))


def test_the_keyboard_keeps_its_place(page: Page, place: Path) -> None:
    focus = "return document.activeElement.id || document.activeElement.closest('li')?.querySelector('img').alt"
    page.find("#samples button").send_keys(Keys.ENTER)
    page.settled()
    assert page.run(focus) == "stage"
    page.upload(place / "night.jpg", place / "dusk.png")
    page.driver.find_elements(By.CSS_SELECTOR, "#film button:not(.away)")[2].send_keys(Keys.ENTER)
    page.settled()
    assert page.run(focus) == "dusk.png"
    page.driver.find_elements(By.CSS_SELECTOR, "#film .away")[2].send_keys(Keys.ENTER)
    page.settled()
    assert page.run(focus) == "night.jpg"
    page.find("#film .away").send_keys(Keys.ENTER)
    assert page.run(focus) == "stage"  # the strip is hidden for one picture


def test_histograms_and_samples(page: Page) -> None:
    page.find("#samples button").click()
    page.settled()
    paths = page.driver.find_elements(By.CSS_SELECTOR, ".histograms path")
    assert len(paths) == 6
    before = page.find("#mean-after").text
    page.set("#strength", 0)
    page.until(lambda: page.find("#mean-after").text != before, "another histogram")
    assert page.find("#mean-after").text.split()[-2:] == page.find("#mean-before").text.split()[-2:]


def test_the_board_is_computed_live(page: Page) -> None:
    page.run("document.getElementById('board').scrollIntoView()")
    values = page.until(lambda: page.find("#land").get_attribute("data-values"), "the board")
    a, b, *_ = map(int, values.split())
    assert a > 2 * b
    page.run("const lamp = arguments[0]; lamp.value = 1; lamp.dispatchEvent(new Event('input'))", page.find("#lamp"))
    page.until(lambda: page.find("#land").get_attribute("data-values") != values, "the moved lamp")
    a, b, *_ = map(int, page.find("#land").get_attribute("data-values").split())
    assert abs(a - b) <= 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_sees_all_of_it(page: Page, place: Path, address: str, scheme: str) -> None:
    driver = page.driver
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    try:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        page.run("localStorage.clear()")
        driver.get(address)
        page.until(lambda: driver.find_elements(By.CSS_SELECTOR, "#samples button"), "the page")
        page.upload(place / "night.jpg")
        assert page.run("return document.documentElement.scrollWidth") <= 390
        light = "return getComputedStyle(document.body).backgroundColor === 'rgb(244, 244, 242)'"
        assert page.run(light) == (scheme == "light")
        assert page.run("return localStorage.length") == 0, "the system's choice is nobody's"
        page.find("#theme").click()
        assert page.run(light) != (scheme == "light")
        driver.get(address)
        assert page.run(light) != (scheme == "light"), "remembered"
    finally:
        page.run("localStorage.clear()")
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_everything_has_a_name_and_can_be_reached(page: Page, place: Path) -> None:
    page.upload(place / "night.jpg")
    script = """
        const all = 'button, select, input:not([hidden]), [role=slider], canvas[role], svg[role]';
        const name = each =>
          each.ariaLabel || each.innerText?.trim() || each.labels?.length || each.querySelector('[alt]');
        return [...document.querySelectorAll(all)].filter(each => each.checkVisibility() && !name(each))
          .map(each => each.outerHTML);
    """
    assert page.run(script) == []
    assert page.run("return [...document.images].filter(each => !each.hasAttribute('alt')).length") == 0
