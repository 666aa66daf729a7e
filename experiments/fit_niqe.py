"""Fit NIQE's pristine model to photographs of free licence and write it where the package reads it.

The authors' own parameters are not ours to ship, so NIQE measured with this fit differs from published values, and its
column says so. The photographs come from Debian (bookworm) and scikit-image; unpack the packages first:

    apt-get download lomiri-wallpapers-16.04 mate-backgrounds plasma-workspace-wallpapers
    for package in *.deb; do dpkg -x $package photographs; done
    python experiments/fit_niqe.py photographs
"""

from pathlib import Path

import numpy as np
import skimage
import torch
from arguments import arguments
from PIL import Image

from lowlight_cli.core.evaluating import niqe
from lowlight_cli.core.pictures.picture import luma

LOMIRI = "usr/share/backgrounds/{}.jpg"  # CC BY 4.0 and CC BY-SA 4.0
MATE = "usr/share/backgrounds/mate/nature/{}.jpg"  # GPL 2
PLASMA = "usr/share/wallpapers/{}/contents/images/2560x1600.jpg"  # LGPL 3
PHOTOGRAPHS = (
    *(
        LOMIRI.format(name)
        for name in (
            "Dragonfly_by_Bolly",
            "Picture_0B_by_freespace",
            "Picture_1A_by_freespace",
            "Wine_by_Jakkub_Mede",
            "aitzgorri_by_Aitzol_Berasategi",
            "friends_by_Aitzol_Berasategi",
            "life_by_Aitzol_Berasategi",
            "picosdeeuropa_by_Aitzol_Berasategi",
        )
    ),
    *(MATE.format(name) for name in ("Dune", "GreenMeadow")),
    *(PLASMA.format(name) for name in ("FallenLeaf", "Path", "Grey", "OneStandsOut", "EveningGlow", "BytheWater")),
)
INCLUDED = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")  # CC0, public domain
SHARP = 0.75
"""Patches count if their sharpness exceeds this share of the sharpest patch's."""
SHORT_SIDES = (480, 720)
"""Photographs are shrunk to these, which hides what their cameras and compression did to single pixels."""


def sharp_features(path: Path) -> list[torch.Tensor]:
    """The features of the sharp patches of one photograph at each size that it is large enough for."""
    found = []
    with Image.open(path) as file:
        photograph = file.convert("RGB")
    for side in SHORT_SIDES:
        scale = side / min(photograph.size)
        if scale > 1 and found:
            break
        size = tuple(round(length * min(scale, 1)) for length in photograph.size)
        pixels = np.array(photograph.resize(size, Image.Resampling.LANCZOS))
        gray = luma(torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255)
        features, sharpness = (x[0] for x in niqe.features(gray))
        found.append(features[sharpness > SHARP * sharpness.max()])
    return found


if __name__ == "__main__":
    folder = Path(*arguments(__doc__, 1, 1))
    paths = [folder / name for name in PHOTOGRAPHS]
    paths += [Path(skimage.__file__).parent / "data" / name for name in INCLUDED]
    patches = torch.cat([features for path in paths for features in sharp_features(path)])
    np.savez(niqe.OWN_FIT, mean=patches.mean(dim=0).numpy(), covariance=torch.cov(patches.T).numpy())
    print(f"{len(patches)} patches of {len(paths)} photographs: {niqe.OWN_FIT}")
