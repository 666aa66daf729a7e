"""What `--shadows` gains and costs on photographs that are dark in part, where the truth is the photograph.

    python experiments/shadows.py PHOTOS MODEL

PHOTOS must be pictures that training never saw; they are darkened in part as `outside_lol.py` does. Prints, for some
amounts of `--shadows`, the mean PSNR and SSIM (RGB) of the 8-bit result, and on how many photographs it is better in
PSNR than without.
"""

from pathlib import Path

import torch
from arguments import arguments
from outside_lol import against, darkened

from lowlight_cli.core.data.synthesis import reduced
from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.picture import quantised

AMOUNTS = (0.0, 0.25, 0.5, 1.0)


def main() -> None:
    place, model = arguments(__doc__, 2)
    enhancer = Enhancer(model)
    rows = []
    for path in sorted(path for path in Path(place).iterdir() if path.suffix.lower() in images.SUFFIXES):
        high = quantised(reduced(images.read(path).pixels)).float() / 255
        low = darkened(high, path.stem, "partly")
        rows.append([against(enhancer.enhance(low, shadows=amount), high) for amount in AMOUNTS])
    found = torch.tensor(rows, dtype=torch.double)
    better = (found[..., 0] > found[:, :1, 0]).sum(0)
    print(f"{len(rows)} photographs dark in part: --shadows; PSNR dB, SSIM RGB; better than without")
    for amount, (psnr, ssim), count in zip(AMOUNTS, found.mean(0).tolist(), better.tolist(), strict=True):
        print(f"{amount}; {psnr:.2f}, {ssim:.4f}; {count}")


if __name__ == "__main__":
    main()
