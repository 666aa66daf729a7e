"""Fit the constants of lowlight_cli/core/data/synthesis.py to the low pictures of LOL.

    python experiments/fit_synthesis.py data/lol

For each training pair: a straight line through (log light of the high picture, log light of the low one), by channel
and over 8x8 block means, gives light and contrast; the deviation of neighbouring pixels where the high picture is flat
gives the noise of the low one, whose shot and read parts are then found by least squares over all pairs.
"""

from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from arguments import arguments
from torch import Tensor

from lowlight_cli.core.data import datasets, synthesis, trainingset
from lowlight_cli.core.pictures.colour import to_linear

LEVELS = (2, 5, 10, 15, 20, 30, 45, 70)  # of the low picture, 8 bit: where noise is measured
ENOUGH = 1500  # pixels


def response(low: Tensor, high: Tensor) -> Tensor:
    """Logarithm of light, red, green and blue, and contrast of a pair of (3, H, W) in [0, 1]; NaN without range."""
    x, y = (F.avg_pool2d(to_linear(side), 8).flatten(1) for side in (high, low))
    usable = (x > 0.02) & (x < 0.9) & (y > 5e-4)
    slopes, lights = [], []
    for channel in range(3):
        kept = usable[channel]
        if kept.sum() < 100:
            return torch.full((4,), torch.nan)
        u, v = x[channel, kept].log(), y[channel, kept].log()
        slopes.append(((u - u.mean()) * (v - v.mean())).sum() / (u - u.mean()).square().sum())
        lights.append(torch.stack([u.mean(), v.mean()]))
    contrast = torch.stack(slopes).median()
    means = torch.stack(lights)
    return torch.cat([means[:, 1] - contrast * means[:, 0], contrast[None]])


def noise(low: Tensor, high: Tensor) -> Tensor:
    """Deviation of the noise by channel and level, in 8-bit steps, (3, levels); NaN where too little is flat."""
    gray = high.mean(0, keepdim=True)[None] * 255
    detail = F.avg_pool2d((gray - F.avg_pool2d(gray, 9, 1, 4)).abs(), 9, 1, 4)[0, 0]
    flat = (detail[:, 1:] < 1.5) & (detail[:, :-1] < 1.5)
    level = F.avg_pool2d(low[None] * 255, 9, 1, 4)[0, :, :, 1:]
    step = (low[..., 1:] - low[..., :-1]) * 255
    found = torch.full((3, len(LEVELS) - 1), torch.nan)
    for channel in range(3):
        for place, (start, end) in enumerate(pairwise(LEVELS)):
            kept = flat & (level[channel] >= start) & (level[channel] < end)
            if kept.sum() >= ENOUGH:
                found[channel, place] = (step[channel, kept].var() / 2).sqrt()
    return found


def simulated(shot: float, read: float, levels: Tensor) -> Tensor:
    """Deviation, in 8-bit steps, that the model gives flat areas of these 8-bit levels."""
    generator = torch.Generator().manual_seed(0)
    light = to_linear(levels / 255)[:, None]
    noisy = light + (shot * light + read**2).sqrt() * torch.randn(len(levels), 20_000, generator=generator)
    return (synthesis.to_srgb(noisy.clamp(0, 1)) * 255).round().std(dim=1)


def main() -> None:
    found = datasets.pairs(Path(*arguments(__doc__, 1, 1)) / "our485")
    responses, noises, means = [], [], []
    for picture, fault in trainingset.examined(found):
        if fault is not None:
            continue
        low, high = (side.float() / 255 for side in picture)
        responses.append(response(low, high))
        noises.append(noise(low, high))
        means.append(low.mean())
    fits = torch.stack(responses)
    fits = fits[~fits.isnan().any(dim=1)]
    print(f"{len(fits)} pairs; mean of the low pictures {torch.stack(means).mean():.3f}")
    for name, values in (
        ("EXPOSURE", fits[:, 1]),
        ("RED", fits[:, 0] - fits[:, 1]),
        ("BLUE", fits[:, 2] - fits[:, 1]),
        ("CONTRAST", fits[:, 3]),
    ):
        spread = (values.quantile(0.84) - values.quantile(0.16)) / 2
        quantiles = ", ".join(f"{v:.2f}" for v in values.quantile(torch.tensor([0.02, 0.16, 0.5, 0.84, 0.98])))
        print(f"{name:9} median {values.median():.3f} robust deviation {spread:.3f}   2..98 %: {quantiles}")
    levels = torch.tensor([(a * b) ** 0.5 for a, b in pairwise(LEVELS)])
    measured = torch.stack(noises)
    for channel, name in enumerate(("red", "green", "blue")):
        typical = measured[:, channel].nanmedian(dim=0).values
        best = min(
            (
                (float((simulated(shot, read, levels) / typical - 1).square().sum()), shot, read)
                for shot in (10 ** torch.linspace(-5, -3.3, 35)).tolist()
                for read in (10 ** torch.linspace(-4.5, -2.8, 35)).tolist()
            ),
        )
        print(name, "measured", [f"{v:.2f}" for v in typical.tolist()], f"SHOT {best[1]:.1e} READ {best[2]:.1e}")
        print(" " * 5, "simulated", [f"{v:.2f}" for v in simulated(best[1], best[2], levels).tolist()])
    typical = measured.nanmedian(dim=0, keepdim=True).values
    factor = (measured / typical).flatten(1).nanmedian(dim=1).values.log()
    factor = factor[~factor.isnan()]
    quantiles = ", ".join(f"{v:.2f}" for v in factor.quantile(torch.tensor([0.02, 0.10, 0.16, 0.5, 0.84, 0.98])))
    print(f"NOISE, QUIET: logarithm of a picture's noise against the typical, 2, 10, 16, 50, 84, 98 %: {quantiles}")


if __name__ == "__main__":
    main()
