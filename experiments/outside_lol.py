"""How models do on pictures unlike LOL's: photographs darkened by our synthesis, and photographs that need nothing.

    python experiments/outside_lol.py PHOTOS MODEL...

PHOTOS must be pictures that training never saw. Each is darkened three times, always alike: to a light drawn evenly in
logarithms from 1/30 to 1/2, with noise, shifted white balance and vignetting; the same with the noise of a camera at a
high sensitivity, 2 to 6 times LOL's, shared by neighbouring pixels in half of them; and partly, as
`synthesis.unevenly` does, where the rest keeps 1/4 to all of its light. Prints the mean PSNR and SSIM (RGB) of each
model's 8-bit result against the photograph for each; then how many of the untouched photographs come back bit for bit,
the PSNR against the input of the others, and the mean PSNR of all of them by the network alone, which spares nothing.
"""

import zlib
from pathlib import Path

import torch
from arguments import arguments

from lowlight_cli.core import metrics
from lowlight_cli.core.data.synthesis import darken, draw, noisier, reduced, unevenly
from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.picture import quantised

LIGHT = 1 / 30, 1 / 2
PARTLY = 1 / 4, 1.0
NOISY = 0.7, 1.8  # natural logarithm of a factor on LOL's noise
WAYS = ("even", "noisy", "partly")


def darkened(high: torch.Tensor, name: str, way: str) -> torch.Tensor:
    """A dark version of (3, H, W), the same for the same name."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    by = draw(1, generator)
    low, bright = (torch.tensor(light).log() for light in (PARTLY if way == "partly" else LIGHT))
    wanted = low + (bright - low) * torch.rand(1, generator=generator)
    by = by._replace(light=(by.light.log() - by.light[:, 1:2].log() + wanted).exp().clamp(max=1))
    if way == "partly":
        by = unevenly(by, generator)
    if way == "noisy":
        level, grain = torch.rand(2, 1, generator=generator)
        factor = (NOISY[0] + (NOISY[1] - NOISY[0]) * level).exp()
        by = noisier(by, factor, (2 * grain - 1).clamp(min=0))
    return darken(high[None], by, generator)[0]


def main() -> None:
    place, *models = arguments(__doc__, 2)
    paths = sorted(path for path in Path(place).iterdir() if path.suffix.lower() in images.SUFFIXES)
    enhancers = {model: Enhancer(model) for model in models}
    found: dict[str, list[tuple[float, ...]]] = {model: [] for model in ["input", *models]}
    for path in paths:
        high = quantised(reduced(images.read(path).pixels)).float() / 255
        dark = [darkened(high, path.stem, way) for way in WAYS]
        found["input"].append((*(figure for low in dark for figure in against(low, high)), torch.inf, torch.inf))
        for model, enhancer in enhancers.items():
            again = against(enhancer.enhance(high), high)[0]
            alone = against(enhancer.decompose(high).enhanced, high)[0]
            restored = (figure for low in dark for figure in against(enhancer.enhance(low), high))
            found[model].append((*restored, again, alone))
    print(f"{len(paths)} photographs: model; PSNR dB, SSIM RGB where {', '.join(WAYS)}; untouched: unchanged, mean and")
    print("worst dB of the others; network alone")
    for model, rows in found.items():
        *restored, untouched, by_net = torch.tensor(rows, dtype=torch.double).unbind(1)
        means = (
            f"{psnr.mean():.2f}  {ssim.mean():.4f}" for psnr, ssim in zip(restored[::2], restored[1::2], strict=True)
        )
        changed = untouched[untouched.isfinite()]
        ours = f"{len(rows) - len(changed)}, {changed.mean():.2f}, {changed.amin():.2f}" if len(changed) else len(rows)
        print(f"{model}; {'; '.join(means)}; {ours}; {by_net.mean():.2f}")


def against(result: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    """PSNR and SSIM of what would be saved."""
    saved = quantised(result)[None] / 255
    return metrics.psnr(saved, truth[None]).item(), metrics.ssim(saved, truth[None]).item()


if __name__ == "__main__":
    main()
