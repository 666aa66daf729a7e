"""What looking the answer up gets on eval15: the truth of the training pair whose dark picture is the most alike.

    python experiments/lookup.py LOL

No network: dark pictures are compared as thumbnails, scaled to one mean; ours is answered by the truth of the nearest
one of our485, as it is. PSNR and SSIM as `lowlight evaluate` has them. The same for the scenes that training holds out,
looked up among the others: whatever a lookup gets on eval15 and not there is memory.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from arguments import arguments
from held_out import figures, held_out
from torch import Tensor

from lowlight_cli.core.evaluating import testset
from lowlight_cli.core.networks import thumbnail

Pair = tuple[Tensor, Tensor]


def signature(low: Tensor) -> Tensor:
    """A dark picture (3, H, W), uint8, as a thumbnail with a mean of 1."""
    small = thumbnail(low[None].float())[0]
    return small / small.mean()


def looked_up(pairs: Sequence[Pair], known: Sequence[Pair]) -> list[tuple[float, float, float]]:
    """PSNR, SSIM and PSNR with GT mean of each pair's truth against that of the pair it is most like."""
    signatures = torch.stack([signature(low) for low, _ in known])
    rows = []
    for low, high in pairs:
        nearest = int((signatures - signature(low)).square().mean(dim=(1, 2, 3)).argmin())
        rows.append(figures(known[nearest][1][None] / 255, high[None] / 255))
    return rows


def main() -> None:
    (place,) = arguments(__doc__, 1, 1)
    samples = testset.samples(Path(place) / "eval15")
    pictures = [testset.decode(sample) for sample in samples]
    test = [(picture.low, picture.high) for picture in pictures if picture.high is not None]
    split = held_out(Path(place))
    train, unseen = list(split.train), list(split.validation)
    print("looked up: PSNR dB, SSIM RGB, PSNR dB with GT mean; pictures below 20 dB")
    for name, pairs in (("eval15", test), ("held-out scenes", unseen)):
        known = train + unseen if pairs is test else train
        rows = torch.tensor(looked_up(pairs, known), dtype=torch.double)
        psnr, ssim, gt_mean = rows.mean(dim=0).tolist()
        print(f"{name}  {psnr:.2f}  {ssim:.4f}  {gt_mean:.2f}  {(rows[:, 0] < 20).sum()} of {len(rows)}")
        if pairs is test:
            print("  " + ", ".join(f"{s.name} {r[0]:.1f}" for s, r in zip(samples, rows.tolist(), strict=True)))


if __name__ == "__main__":
    main()
