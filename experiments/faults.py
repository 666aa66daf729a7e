"""What is wrong with enhanced pictures, by kind: brightness, cast, burnt places, grain.

    python experiments/faults.py PAIRS MODEL... NAME=FOLDER...

PAIRS has dark pictures in low/ and their truths in high/, as darkened_pairs.py writes them; a FOLDER holds what another
system made of them, under the same names. Prints for each, averaged over the pictures:

* stops: how far the mean is from the truth's, as a logarithm to base 2, without its sign;
* cast: distance of the mean colour from the truth's in the a*b* plane of CIELAB;
* burnt: share of the pixels, in percent, of which a channel is at 255 and the truth's below 250;
* grain: deviation from the local mean where the truth is flat, as in four_ways.py, in thousandths, less the truth's.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from arguments import arguments
from four_ways import grain
from torch import Tensor

from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.evaluating.baselines import to_lab
from lowlight_cli.core.evaluating.summary import Table, markdown_table
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.picture import luma, quantised


def faults(result: Tensor, truth: Tensor) -> tuple[float, float, float, float]:
    """Stops, cast, burnt and grain of (3, H, W) in [0, 1]."""
    stops = (result.mean() / truth.mean()).log2().abs().item()
    cast = torch.dist(mean_colour(result), mean_colour(truth)).item()
    burnt = 100 * ((result >= 1) & (truth < 250 / 255)).any(dim=0).float().mean().item()
    ours, theirs = (1000 * grain(luma(picture)[None], truth[None]) for picture in (result, truth))
    return stops, cast, burnt, ours - theirs


def mean_colour(picture: Tensor) -> Tensor:
    """a* and b*, averaged over the picture."""
    return to_lab(picture)[1:].mean(dim=(1, 2))


def made_by(folder: Path, path: Path, _: Tensor) -> Tensor:
    return images.read(folder / path.name).pixels


def main() -> None:
    place, *names = arguments(__doc__, 2)
    systems: dict[str, Callable[[Path, Tensor], Tensor]] = {"the dark picture": lambda _, low: low}
    for name in names:
        label, other, folder = name.partition("=")
        enhancer = None if other else Enhancer(name)
        systems[label] = partial(made_by, Path(folder)) if enhancer is None else partial(enhanced, enhancer)
    found: dict[str, list[tuple[float, ...]]] = {label: [] for label in systems}
    for path in sorted(Path(place, "low").glob("*.png")):
        low, high = (images.read(Path(place, side, path.name)).pixels for side in ("low", "high"))
        for label, system in systems.items():
            found[label].append(faults(quantised(system(path, low)).float() / 255, high))
    lines = []
    for label, rows in found.items():
        stops, cast, burnt, excess = torch.tensor(rows).mean(dim=0).tolist()
        lines.append([label, f"{stops:.2f}", f"{cast:.1f}", f"{burnt:.2f}", f"{excess:.1f}"])
    print(markdown_table(Table([place, "stops", "cast", "burnt %", "grain"], lines)))


def enhanced(enhancer: Enhancer, _: Path, low: Tensor) -> Tensor:
    return enhancer.enhance(low)


if __name__ == "__main__":
    main()
