"""Screenshots of the page for the README: the packaged model, a sample photograph, desktop and phone width.

    python experiments/page_screenshots.py [--out experiments/figures]

Needs Chromium with ChromeDriver, and Selenium (`make test-browser` installs them).
"""

import argparse
import io
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from lowlight_cli.core.data.datasets import SAMPLES
from lowlight_cli.settings import ServeSettings
from lowlight_cli.web import create_app, server

SCREENS = {
    "page": {"width": 1280, "height": 760, "deviceScaleFactor": 1, "mobile": False},
    "page_phone": {"width": 390, "height": 780, "deviceScaleFactor": 2, "mobile": True},
}
READY = "return document.getElementById('notice').hidden && document.getElementById('facts').textContent !== ''"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures")
    parser.add_argument("--sample", default="coffee.jpg")
    options = parser.parse_args()
    settings = ServeSettings(port=0)
    listening, stop = server.listening(create_app(settings), settings), threading.Event()
    thread = threading.Thread(target=server.run, args=(listening, stop, 60))
    thread.start()
    try:
        photographed(f"http://127.0.0.1:{listening.effective_port}/", SAMPLES / "photos" / options.sample, options.out)
    finally:
        stop.set()
        thread.join()


def photographed(address: str, sample: Path, out: Path) -> None:
    """Write NAME.jpg for each of SCREENS."""
    wanted = webdriver.ChromeOptions()
    wanted.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        wanted.add_argument(argument)
    driver = webdriver.Chrome(options=wanted, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        for name, metrics in SCREENS.items():
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            driver.get(address)
            until(lambda: driver.find_elements(By.CSS_SELECTOR, "#samples button"))
            driver.find_element(By.ID, "files").send_keys(str(sample.resolve()))
            until(lambda: driver.execute_script(READY))
            time.sleep(1)
            with Image.open(io.BytesIO(driver.get_screenshot_as_png())) as shot:
                shot.convert("RGB").save(out / f"{name}.jpg", quality=85)
            print(out / f"{name}.jpg")
    finally:
        driver.quit()


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.1)


if __name__ == "__main__":
    main()
