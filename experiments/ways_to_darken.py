"""How models do on photographs darkened in ways that are not those of our synthesis.

    python experiments/ways_to_darken.py PHOTOS MODEL...

PHOTOS must be pictures that training never saw; every third is taken. Each is darkened once in each way, always alike.
Prints, for each way, the mean PSNR and SSIM (RGB) of the dark pictures and of each model's 8-bit results against the
photographs; and by how many stops (log2 of the mean) the results are too bright or too dark, on average.
"""

import zlib
from collections.abc import Callable
from pathlib import Path

import torch
from arguments import arguments
from outside_lol import against
from torch import Generator, Tensor

from lowlight_cli.core.data.synthesis import reduced
from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.colour import to_linear, to_srgb
from lowlight_cli.core.pictures.picture import quantised
from lowlight_cli.core.training.contextbank import compressed


def between(low: float, high: float, generator: Generator) -> float:
    return low + (high - low) * torch.rand(1, generator=generator).item()


def dimmed(high: Tensor, generator: Generator, stops: tuple[float, float] = (2, 5)) -> Tensor:
    """Less light, as linear values."""
    return to_linear(high) * 2 ** -between(*stops, generator)


def noisy(light: Tensor, shot: float, read: float, generator: Generator) -> Tensor:
    return light + (shot * light + read**2).sqrt() * torch.randn(light.shape, generator=generator)


def curve(high: Tensor, generator: Generator, steepest: float) -> Tensor:
    """Values scaled, raised to a power and scaled again, as of Lv et al., "MBLLEN", BMVC 2018."""
    after, before = between(0.5, 1, generator), between(0.9, 1, generator)
    return after * (before * high) ** between(1.5, steepest, generator)


def gamma(high: Tensor, generator: Generator) -> Tensor:
    return curve(high, generator, 5)


def gamma_and_noise(high: Tensor, generator: Generator) -> Tensor:
    low = curve(high, generator, 3)
    return low + between(0.01, 0.05, generator) * torch.randn(high.shape, generator=generator)


def values_scaled(high: Tensor, generator: Generator) -> Tensor:
    return high * between(0.1, 0.4, generator)


def values_scaled_and_noise(high: Tensor, generator: Generator) -> Tensor:
    low = values_scaled(high, generator)
    return low + between(3, 10, generator) / 255 * torch.randn(high.shape, generator=generator)


def light_alone(high: Tensor, generator: Generator) -> Tensor:
    return to_srgb(dimmed(high, generator, (1.5, 5)))


def photons(high: Tensor, generator: Generator) -> Tensor:
    """Counted photons, 1000 to 6000 at full light."""
    full = between(1000, 6000, generator)
    return to_srgb((torch.poisson(dimmed(high, generator) * full, generator) / full).clamp(max=1))


def photons_and_jpeg(high: Tensor, generator: Generator) -> Tensor:
    return compressed(photons(high, generator), int(between(60, 95, generator)))


def wrong_white(high: Tensor, generator: Generator) -> Tensor:
    """A white balance that is off by as much as 1.4 in red and blue."""
    red, blue = (between(0.7, 1.4, generator) for _ in range(2))
    light = dimmed(high, generator, (2, 4.5)) * torch.tensor([red, 1, blue])[:, None, None]
    return to_srgb(noisy(light, 1e-4, 1e-3, generator).clamp(0, 1))


def high_sensitivity(high: Tensor, generator: Generator) -> Tensor:
    return to_srgb(noisy(dimmed(high, generator, (2.5, 5)), 6e-4, 2e-3, generator).clamp(0, 1))


Way = Callable[[Tensor, Generator], Tensor]
WAYS: tuple[Way, ...] = (
    light_alone,
    photons,
    photons_and_jpeg,
    wrong_white,
    high_sensitivity,
    gamma,
    gamma_and_noise,
    values_scaled,
    values_scaled_and_noise,
)


def darkened(high: Tensor, name: str, way: Way) -> Tensor:
    """A dark version of (3, H, W) in 8-bit steps, the same for the same name."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{name} {way.__name__}".encode()))
    return quantised(way(high, generator).clamp(0, 1)).float() / 255


def main() -> None:
    place, *models = arguments(__doc__, 1)
    paths = sorted(path for path in Path(place).iterdir() if path.suffix.lower() in images.SUFFIXES)[::3]
    enhancers = {model: Enhancer(model) for model in models}
    print(f"| {len(paths)} photographs |", " | ".join(["the dark picture", *models]), "|")
    print("| --- |", "---: | " * (len(models) + 1))
    for way in WAYS:
        found: dict[str, list[tuple[float, ...]]] = {model: [] for model in ["input", *models]}
        for path in paths:
            high = quantised(reduced(images.read(path).pixels)).float() / 255
            low = darkened(high, path.stem, way)
            for model, rows in found.items():
                result = enhancers[model].enhance(low) if model in enhancers else low
                rows.append((*against(result, high), (result.mean() / high.mean()).log2().item()))
        means = (torch.tensor(rows).mean(dim=0) for rows in found.values())
        cells = (f"{psnr:.2f}, {ssim:.3f} ({stops:+.2f})" for psnr, ssim, stops in means)
        print(f"| {way.__name__.replace('_', ' ')} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
