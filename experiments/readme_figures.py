"""Make the README's pictures from the packaged samples and models.

python experiments/readme_figures.py            # all but that of photographs which nobody has darkened
python experiments/readme_figures.py PHOTOS     # that as well, from two CC0 photographs of elementary's wallpapers,
                                                # "Mr. Lee.jpg" and "Pablo Garcia Saldana.jpg"
"""

from pathlib import Path

import torch
from arguments import arguments
from torch import Tensor

from lowlight_cli.core.data.datasets import SAMPLES
from lowlight_cli.core.data.synthesis import darken, draw, noisier, reduced, unevenly
from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.panel import panel, stacked

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "experiments" / "figures"

Columns = list[tuple[str, Tensor]]


def main() -> None:
    given = arguments(__doc__, 0, 1)
    net, plus, noisy = map(Enhancer, ("retinexnet", "retinex-plus", "retinex-plus-noisy"))
    stack([compared(net, plus, name) for name in ("astronaut", "coffee", "mountain")], "compare.jpg", width=320)
    stack([decomposed(net, path) for path in sorted((SAMPLES / "photos").glob("*.jpg"))], "samples.jpg", width=260)
    stack([partly_dark(plus, name, seed) for name, seed in (("coast", 5), ("chelsea", 8))], "shadows.jpg", width=320)
    stack(
        [of_high_sensitivity(plus, noisy, name, seed) for name, seed in (("chelsea", 1), ("coffee", 2))],
        "noise.jpg",
        width=320,
    )
    for photos in given:
        names = ("Mr. Lee.jpg", "Pablo Garcia Saldana.jpg")
        stack([as_taken(plus, Path(photos) / name) for name in names], "as_taken.jpg", width=420)


def as_taken(plus: Enhancer, path: Path) -> Columns:
    """A photograph that is dark as it is."""
    low = reduced(images.read(path).pixels)
    return [
        ("as taken", low),
        ("retinex-plus", plus.enhance(low)),
        ("with --shadows 0.5", plus.enhance(low, shadows=0.5)),
    ]


def partly_dark(plus: Enhancer, name: str, seed: int) -> Columns:
    """A photograph in the shade in part, as ``synthesis.unevenly`` makes it, with three quarters of its light."""
    truth = images.read(SAMPLES / "high" / f"{name}.jpg").pixels
    generator = torch.Generator().manual_seed(seed)
    by = draw(1, generator)
    low = darken(truth[None], unevenly(by._replace(light=torch.full((1, 3), 0.75)), generator), generator)[0]
    return [
        ("dark in part", low),
        ("retinex-plus", plus.enhance(low)),
        ("with --shadows 0.5", plus.enhance(low, shadows=0.5)),
        ("truth", truth),
    ]


def of_high_sensitivity(plus: Enhancer, noisy: Enhancer, name: str, seed: int) -> Columns:
    """A photograph with a twelfth of its light and four times LOL's noise, half of it shared by neighbouring pixels."""
    truth = images.read(SAMPLES / "high" / f"{name}.jpg").pixels
    generator = torch.Generator().manual_seed(seed)
    by = draw(1, generator)._replace(light=torch.full((1, 3), 1 / 12))
    low = darken(truth[None], noisier(by, torch.tensor([4.0]), torch.tensor([0.5])), generator)[0]
    return [
        ("high sensitivity", low),
        ("retinex-plus", plus.enhance(low)),
        ("retinex-plus-noisy", noisy.enhance(low)),
        ("truth", truth),
    ]


def compared(net: Enhancer, plus: Enhancer, name: str) -> Columns:
    low = images.read(SAMPLES / "low" / f"{name}.png").pixels
    truth = images.read(SAMPLES / "high" / f"{name}.jpg").pixels
    return [
        ("dark photograph", low),
        ("RetinexNet", net.enhance(low)),
        ("retinex-plus", plus.enhance(low)),
        ("truth", truth),
    ]


def decomposed(net: Enhancer, path: Path) -> Columns:
    low = images.read(path).pixels
    found = net.decompose(low)
    return [
        ("dark photograph", low),
        ("reflectance R", found.reflectance),
        ("illumination I", found.illumination),
        ("adjusted illumination", found.relit),
        ("enhanced", found.enhanced.clamp(0, 1)),
    ]


def stack(rows: list[Columns], name: str, *, width: int) -> None:
    """Write one labelled panel a row."""
    images.save(stacked([panel(columns, width=width) for columns in rows]), FIGURES / name)
    print(FIGURES / name)


if __name__ == "__main__":
    main()
