"""How models do on pictures unlike LOL's: photographs darkened by our synthesis, and photographs that need nothing.

    python experiments/outside_lol.py PHOTOS MODEL...

PHOTOS must be pictures that training never saw. Each is darkened twice, always alike: to a light drawn evenly in
logarithms from 1/30 to 1/2, with noise, shifted white balance and vignetting; and partly, as `synthesis.unevenly` does,
where the rest keeps 1/4 to all of its light. Prints the mean PSNR and SSIM (RGB) of each model's 8-bit result against
the photograph for both; then how many of the untouched photographs come back bit for bit, the PSNR against the input of
the others, and the mean PSNR of all of them by the network alone, which spares nothing.
"""

import sys
import zlib
from pathlib import Path

import torch

from lowlight_cli.core import images, metrics
from lowlight_cli.core.enhancer import Enhancer
from lowlight_cli.core.synthesis import darken, draw, reduced, unevenly

LIGHT = 1 / 30, 1 / 2
PARTLY = 1 / 4, 1.0


def darkened(high: torch.Tensor, name: str, *, partly: bool = False) -> torch.Tensor:
    """A dark version of (3, H, W), the same for the same name."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    by = draw(1, generator)
    low, bright = (torch.tensor(light).log() for light in (PARTLY if partly else LIGHT))
    wanted = low + (bright - low) * torch.rand(1, generator=generator)
    by = by._replace(light=(by.light.log() - by.light[:, 1:2].log() + wanted).exp().clamp(max=1))
    return darken(high[None], unevenly(by, generator) if partly else by, generator)[0]


def main() -> None:
    place, *models = sys.argv[1:]
    paths = sorted(path for path in Path(place).iterdir() if path.suffix.lower() in images.SUFFIXES)
    enhancers = {model: Enhancer(model) for model in models}
    found: dict[str, list[tuple[float, ...]]] = {model: [] for model in ["input", *models]}
    for path in paths:
        high = images.quantised(reduced(images.read(path).pixels)).float() / 255
        dark = [darkened(high, path.stem, partly=partly) for partly in (False, True)]
        found["input"].append((*against(dark[0], high), *against(dark[1], high), torch.inf, torch.inf))
        for model, enhancer in enhancers.items():
            again = against(enhancer.enhance(high), high)[0]
            alone = against(enhancer.decompose(high).enhanced, high)[0]
            even, partly = (against(enhancer.enhance(low), high) for low in dark)
            found[model].append((*even, *partly, again, alone))
    print(f"{len(paths)} photographs: model, PSNR dB, SSIM RGB; partly dark, the same; untouched: unchanged, mean and")
    print("worst dB of the others; network alone")
    for model, rows in found.items():
        psnr, ssim, psnr_partly, ssim_partly, untouched, by_net = torch.tensor(rows, dtype=torch.double).unbind(1)
        changed = untouched[untouched.isfinite()]
        ours = f"{len(rows) - len(changed)}, {changed.mean():.2f}, {changed.amin():.2f}" if len(changed) else len(rows)
        partly = f"{psnr_partly.mean():.2f}  {ssim_partly.mean():.4f}"
        print(f"{model}  {psnr.mean():.2f}  {ssim.mean():.4f}; {partly}; {ours}; {by_net.mean():.2f}")


def against(result: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    """PSNR and SSIM of what would be saved."""
    saved = images.quantised(result)[None] / 255
    return metrics.psnr(saved, truth[None]).item(), metrics.ssim(saved, truth[None]).item()


if __name__ == "__main__":
    main()
