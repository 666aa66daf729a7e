"""How far the brightness of LOL's truths can be told from its dark pictures: what pairs of one scene say.

    python experiments/same_light.py LOL MODEL...

Two pairs are twins if they show one scene and their dark pictures have means within 5 % of each other: whatever reads
the dark picture must answer both alike. First, how far the truths of twins lie apart, in our485 and eval15 together.
Then, for the pairs of eval15 that have twins in our485, each model's PSNR as it is, with the mean of its result scaled
to that of the twins' truths (which is what perfect memory of the training set could know), and scaled to the truth's.
"""

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import torch
from arguments import arguments

from lowlight_cli.core import metrics
from lowlight_cli.core.data import likeness
from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.evaluating import testset
from lowlight_cli.core.evaluating.summary import Table, markdown_table
from lowlight_cli.core.pictures.picture import luma, quantised

ALIKE = 1.05


def mean(pixels: torch.Tensor) -> float:
    """Mean gray of (3, H, W) in [0, 255]."""
    return float(luma(pixels[None].float()).mean())


def stops(ratio: float) -> float:
    return abs(torch.tensor(ratio).log2().item())


def average(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def main() -> None:
    place, *models = arguments(__doc__, 1)
    parts = [testset.samples(Path(place) / part) for part in ("our485", "eval15")]
    pictures = [testset.decode(sample) for part in parts for sample in part]
    scene = likeness.scenes(picture.high for picture in pictures if picture.high is not None)
    low = [mean(picture.low) for picture in pictures]
    high = [mean(picture.high) for picture in pictures if picture.high is not None]
    first_test = len(parts[0])

    def twins(a: int, b: int) -> bool:
        return scene[a] == scene[b] and 1 / ALIKE < low[a] / low[b] < ALIKE

    apart = [stops(high[a] / high[b]) for a, b in combinations(range(len(pictures)), 2) if twins(a, b)]
    print(f"{len(apart)} twins: their truths' means differ by {average(apart):.3f} stops (log2) on average")
    known = {t: [a for a in range(first_test) if twins(a, t)] for t in range(first_test, len(pictures))}
    known = {test: those for test, those in known.items() if those}
    missed = [stops(average(high[a] for a in those) / high[test]) for test, those in known.items()]
    print(f"{len(known)} pictures of eval15 have twins in our485, and differ from them by {average(missed):.3f} stops")

    for model in models:
        enhancer = Enhancer(model)
        rows = []
        for test, those in known.items():
            truth = pictures[test].high
            assert truth is not None
            target = truth[None] / 255
            result = enhancer.enhance(pictures[test].low.float() / 255)[None]
            ours = float(luma(result).mean()) * 255
            wanted = average(high[a] for a in those)
            means = (ours, wanted, high[test])
            scaled = [quantised((result * (goal / ours)).clamp(0, 1)) / 255 for goal in means]
            rows.append(
                [*(goal / 255 for goal in means), *(metrics.psnr(picture, target).item() for picture in scaled)]
            )
        rows.append(torch.tensor(rows).mean(dim=0).tolist())
        names = [*(pictures[test].sample.name for test in known), "mean"]
        header = ["eval15", "our mean", "twins'", "truth's", "PSNR dB", "with twins' mean", "with truth's"]
        lines = [
            [name, *(f"{v:.3f}" for v in row[:3]), *(f"{v:.2f}" for v in row[3:])]
            for name, row in zip(names, rows, strict=True)
        ]
        print(f"\n{model}\n\n{markdown_table(Table(header, lines))}")


if __name__ == "__main__":
    main()
