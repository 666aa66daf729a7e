"""Make the README's pictures from the packaged sample photographs and the packaged model.

python experiments/readme_figures.py
"""

from pathlib import Path

from PIL import Image

from lowlight_cli.core import images
from lowlight_cli.core.enhancer import Enhancer
from lowlight_cli.core.panel import panel

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT / "lowlight_cli" / "samples" / "photos"
FIGURES = ROOT / "experiments" / "figures"


def main() -> None:
    enhancer = Enhancer()
    rows = []
    for path in sorted(PHOTOS.glob("*.jpg")):
        low = images.read(path).pixels
        found = enhancer.decompose(low)
        columns = [
            ("dark photograph", low),
            ("reflectance R", found.reflectance),
            ("illumination I", found.illumination),
            ("adjusted illumination", found.relit),
            ("enhanced", found.enhanced.clamp(0, 1)),
        ]
        rows.append(panel(columns, width=260))
    strip = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), (250, 250, 250))
    top = 0
    for row in rows:
        strip.paste(row, (0, top))
        top += row.height
    images.save(strip, FIGURES / "samples.jpg")
    print(FIGURES / "samples.jpg")


if __name__ == "__main__":
    main()
