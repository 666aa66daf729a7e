"""Draw brightness and noise of LOL's low pictures against those that synthesis makes from LOL's high pictures.

    python experiments/synthesis_figure.py data/lol

Writes experiments/figures/synthesis.png: histograms of brightness and noise, and noise against brightness. With a
second argument, a file, it also draws some pictures of both kinds there, to look at; LOL's may not be passed on.
Needs matplotlib.
"""

from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from arguments import arguments
from fit_synthesis import LEVELS, noise

from lowlight_cli.core.data import datasets, synthesis
from lowlight_cli.core.pictures.panel import panel

FIGURE = Path(__file__).parent / "figures" / "synthesis.png"
COLOURS = {"LOL": "#1f4e79", "synthesised": "#d9822b"}


def main() -> None:
    lol, *sheet = arguments(__doc__, 1, 2)
    found = datasets.pairs(Path(lol) / "our485")
    generator = torch.Generator().manual_seed(0)
    means: dict[str, list[float]] = {kind: [] for kind in COLOURS}
    noises: dict[str, list[torch.Tensor]] = {kind: [] for kind in COLOURS}
    shown = []
    for number, picture in enumerate(datasets.each_of(found, datasets.decode)):
        low, high = (side.float() / 255 for side in picture)
        made = synthesis.darken(high[None], synthesis.draw(1, generator), generator)[0]
        for kind, side in (("LOL", low), ("synthesised", made)):
            means[kind].append(float(side.mean()))
            noises[kind].append(noise(side, high))
        if number % 97 == 40:
            shown.append((low, made))

    figure, (brightness, level, curve) = plt.subplots(1, 3, figsize=(12, 3.7), layout="constrained")
    for kind, colour in COLOURS.items():
        style = {"color": colour, "alpha": 0.55, "label": kind, "density": True}
        brightness.hist(means[kind], bins=torch.linspace(0, 0.3, 41).tolist(), **style)
        typical = torch.stack(noises[kind])
        overall = typical.flatten(1).nanmean(dim=1)
        level.hist(overall[~overall.isnan()].tolist(), bins=torch.linspace(0, 4, 51).tolist(), **style)
        centres = [(a * b) ** 0.5 for a, b in pairwise(LEVELS)]
        for channel, line in enumerate(("-", "--", ":")):
            values = typical[:, channel].nanmedian(dim=0).values
            curve.plot(
                centres, values.tolist(), line, color=colour, label=f"{kind}, {('red', 'green', 'blue')[channel]}"
            )
    brightness.set(xlabel="mean brightness of a picture", ylabel="density", title="Brightness")
    level.set(xlabel="noise of a picture (8-bit steps)", title="Noise")
    curve.set(
        xlabel="brightness of an area (8 bit)",
        ylabel="noise (8-bit steps)",
        ylim=(0, None),
        title="Noise against brightness",
    )
    for axes in (brightness, level, curve):
        axes.legend(fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    for target in sheet:
        rows = [torch.cat([(side * 4).clamp(0, 1) for side in pair], dim=1) for pair in shown]
        panel([("LOL, synthesised; x 4", row) for row in rows]).save(target)
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=90)
    for kind in COLOURS:
        values = torch.tensor(means[kind])
        spread = ", ".join(f"{v:.3f}" for v in values.quantile(torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])))
        overall = torch.stack(noises[kind]).flatten(1).nanmean(dim=1)
        print(f"{kind:12} mean {values.mean():.3f} (5..95 %: {spread}); noise {overall.nanmean():.2f} steps")


if __name__ == "__main__":
    main()
