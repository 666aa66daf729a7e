"""Make the pictures of lowlight_cli/samples from the photographs that scikit-image ships (public domain and CC0).

    python experiments/make_samples.py

The same seeds give the same pixels.
"""

from pathlib import Path

import torch
from skimage import data

from lowlight_cli.core import images, synthesis

SAMPLES = Path(__file__).parents[1] / "lowlight_cli" / "samples"
PHOTOS = {"coffee": 0.035, "astronaut": 0.025, "chelsea": 0.05}  # and the light left of each


def photos() -> None:
    for seed, (name, exposure) in enumerate(PHOTOS.items()):
        generator = torch.Generator().manual_seed(seed)
        pixels = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1).float() / 255
        by = synthesis.draw(1, generator)
        by = by._replace(light=torch.full_like(by.light, exposure))  # neutral: no colour cast
        low = synthesis.darken(pixels[None], by, generator)[0]
        target = SAMPLES / "photos" / f"{name}.jpg"
        images.write(target, images.Picture(low))
        print(f"{target.name}: mean {low.mean():.3f}, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    photos()
