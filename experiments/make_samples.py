"""Make the pictures of lowlight_cli/samples.

    python experiments/make_samples.py            # all but the well-lit photographs, which are kept
    python experiments/make_samples.py PHOTOS     # those as well, from the originals that samples/README.md names

Needs scikit-image, for three of the photographs. The same seeds give the same pixels.
"""

import json
from pathlib import Path

import skimage.data
import torch
import torch.nn.functional as F
from arguments import arguments
from torch import Tensor

from lowlight_cli.core.data import synthesis
from lowlight_cli.core.data.datasets import SAMPLES
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.encoding import Encoding
from lowlight_cli.core.pictures.picture import Picture, quantised

SIZE = 240, 320
DEMO = {"coffee": 0.035, "astronaut": 0.025, "chelsea": 0.05}  # and the light that is left
PAIRS = {"astronaut": 0.03, "canyon": 0.04, "chelsea": 0.02, "coast": 0.015, "coffee": 0.05, "mountain": 0.03}
UPPER = {"astronaut"}  # cut near the top, where the head is; the others in the middle
ORIGINALS = {"canyon": "Ashim DSilva.jpg", "coast": "Rob Bye.jpg", "mountain": "Ryan Schroeder.jpg"}
LIGHTS = {  # of each Mondrian: row and column of the lamp, 0 to 1; its reach; light far from it and under it
    "mondrian_1": (0.50, -0.10, 0.45, 0.004, 0.20),
    "mondrian_2": (-0.10, 1.05, 0.50, 0.006, 0.25),
    "mondrian_3": (0.45, 0.30, 0.30, 0.008, 0.22),
    "mondrian_4": (1.10, 0.20, 0.60, 0.003, 0.12),
}


def darkened(high: Tensor, light: float, generator: torch.Generator) -> Tensor:
    """A dark version of (3, H, W): that share of neutral light, everything else drawn."""
    by = synthesis.draw(1, generator)
    by = by._replace(light=torch.full_like(by.light, light))
    return synthesis.darken(high[None], by, generator)[0]


def demo() -> None:
    """The dark photographs that `make demo` enhances."""
    for seed, (name, light) in enumerate(DEMO.items()):
        high = images.from_array(getattr(skimage.data, name)()).pixels
        low = darkened(high, light, torch.Generator().manual_seed(seed))
        images.write(SAMPLES / "photos" / f"{name}.jpg", Picture(low))


def highs(originals: Path) -> None:
    """Well-lit photographs, reduced and cut."""
    for name in PAIRS:
        if name in ORIGINALS:
            whole = images.read(originals / ORIGINALS[name]).pixels
        else:
            whole = images.from_array(getattr(skimage.data, name)()).pixels
        scale = max(wanted / side for wanted, side in zip(SIZE, whole.shape[1:], strict=True))
        size = [max(round(side * scale), wanted) for wanted, side in zip(SIZE, whole.shape[1:], strict=True)]
        small = F.interpolate(whole[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
        top, left = ((side - wanted) // 2 for wanted, side in zip(SIZE, size, strict=True))
        top //= 4 if name in UPPER else 1
        cut = small[:, top : top + SIZE[0], left : left + SIZE[1]]
        images.write(SAMPLES / "high" / f"{name}.jpg", Picture(cut), Encoding(quality=92))


def pairs() -> None:
    """The dark counterparts of the well-lit photographs."""
    for seed, (name, light) in enumerate(PAIRS.items(), 100):
        high = images.read(SAMPLES / "high" / f"{name}.jpg").pixels
        low = darkened(high, light, torch.Generator().manual_seed(seed))
        images.write(SAMPLES / "low" / f"{name}.png", Picture(low))


def mondrians() -> None:
    """Flat patches under a lamp; two of them, A near it and B far from it, of one colour."""
    height, width = SIZE
    rows, cols = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    boxes = {}
    for seed, (name, (lamp_y, lamp_x, reach, far, near)) in enumerate(LIGHTS.items(), 200):
        generator = torch.Generator().manual_seed(seed)
        distance = ((rows - lamp_y).square() + ((cols - lamp_x) * width / height).square()).sqrt()
        light = far + (near - far) * torch.exp(-(distance / reach).square())
        reflectance = patches(generator)
        colour = 0.25 + 0.4 * torch.rand(3, 1, 1, generator=generator)
        side = 40
        inner = light[side // 2 : -side, side // 2 : -side]
        places = [divmod(int(where), inner.shape[1]) for where in (inner.argmax(), inner.argmin())]
        boxes[name] = {}
        for label, (y, x) in zip("AB", places, strict=True):
            top, left = y + side // 2, x + side // 2
            top, left = min(top, height - side - 8), min(left, width - side - 8)
            reflectance[:, top - 3 : top + side + 3, left - 3 : left + side + 3] = 0.05  # a dark rim
            reflectance[:, top : top + side, left : left + side] = colour
            boxes[name][label] = [top, left, top + side, left + side]
        by = synthesis.draw(1, generator)
        neutral = {"light": torch.ones(1, 3), "contrast": torch.ones(1), "vignette": torch.zeros(1)}
        low = synthesis.darken(synthesis.to_srgb(reflectance * light)[None], by._replace(**neutral), generator)[0]
        images.write(SAMPLES / "low" / f"{name}.png", Picture(low))
        images.write(SAMPLES / "high" / f"{name}.png", Picture(synthesis.to_srgb(0.85 * reflectance)))
        truth = SAMPLES / "truth"
        images.write(truth / f"{name}_reflectance.png", Picture(synthesis.to_srgb(reflectance)))
        stored = quantised(synthesis.to_srgb(light)[None], torch.uint16)
        images.write(truth / f"{name}_illumination.png", Picture(stored))
    (SAMPLES / "truth" / "patches.json").write_text(json.dumps(boxes, indent=2) + "\n")


def patches(generator: torch.Generator) -> Tensor:
    """Overlapping rectangles of random colour: linear reflectance (3, H, W)."""
    height, width = SIZE
    reflectance = torch.full((3, height, width), 0.4)
    for _ in range(60):
        y, x, h, w = torch.rand(4, generator=generator).tolist()
        top, left = int(y * height) - 25, int(x * width) - 25
        bottom, right = top + 30 + int(h * 60), left + 30 + int(w * 80)
        colour = 0.06 + 0.84 * torch.rand(3, 1, 1, generator=generator).square()
        reflectance[:, max(top, 0) : bottom, max(left, 0) : right] = colour
    return reflectance


def main() -> None:
    photos = arguments(__doc__, 0, 1)
    demo()
    for originals in photos:
        highs(Path(originals))
    pairs()
    mondrians()
    total = sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file())
    print(f"{SAMPLES}: {total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
