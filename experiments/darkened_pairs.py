"""Write the darkened photographs of outside_lol.py and ways_to_darken.py, for other systems to be measured on.

    python experiments/darkened_pairs.py PHOTOS OUT
    lowlight evaluate --dataset OUT/noisy --model retinex-plus --results NAME=FOLDER

PHOTOS as there. OUT gets a folder of low/ and high/ for each way: all photographs for the three of the former, every
third for the nine of the latter.
"""

from pathlib import Path

import outside_lol
import torch
import ways_to_darken
from arguments import arguments

from lowlight_cli.core.data.synthesis import reduced
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.picture import Picture, quantised


def main() -> None:
    place, out = map(Path, arguments(__doc__, 2, 2))
    for number, path in enumerate(sorted(path for path in place.iterdir() if path.suffix.lower() in images.SUFFIXES)):
        high = quantised(reduced(images.read(path).pixels)).float() / 255
        pairs = {way: outside_lol.darkened(high, path.stem, way) for way in outside_lol.WAYS}
        if number % 3 == 0:
            pairs |= {way.__name__: ways_to_darken.darkened(high, path.stem, way) for way in ways_to_darken.WAYS}
        for way, low in pairs.items():
            write(out / way / "low" / f"{path.stem}.png", low)
            write(out / way / "high" / f"{path.stem}.png", high)


def write(path: Path, pixels: torch.Tensor) -> None:
    images.write(path, Picture(quantised(pixels)))


if __name__ == "__main__":
    main()
