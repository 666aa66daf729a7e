"""How models do on LOL's held-out scenes: those of our485 that no run of lowlight train learns from by default.

    python experiments/held_out.py DATA MODEL...

Prints the mean PSNR and SSIM (RGB) of each model's 8-bit result, the same with its mean scaled to the truth's ("GT
mean", which tells wrong brightness from wrong structure), and the worst picture.
"""

from pathlib import Path

import torch
from arguments import arguments
from torch import Tensor

from lowlight_cli.core import metrics
from lowlight_cli.core.data import datasets, trainingset
from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.pictures.picture import quantised
from lowlight_cli.settings import TrainSettings


def held_out(data: Path, settings: TrainSettings | None = None) -> trainingset.TrainingSet:
    """The training pairs as `lowlight train` splits them: by default LOL's, with its own settings."""
    settings = settings or TrainSettings()
    found = datasets.to_train_on(settings.dataset, data, settings.photos)
    pictures, faults = zip(*trainingset.examined(found), strict=True)
    return trainingset.split(found, pictures, faults, fraction=settings.validation)


def figures(enhanced: Tensor, truth: Tensor) -> tuple[float, float, float]:
    """PSNR, SSIM and PSNR with GT mean of an 8-bit picture, both (1, 3, H, W) in [0, 1]."""
    psnr, gt_mean = (metrics.psnr(picture, truth).item() for picture in (enhanced, metrics.gt_mean(enhanced, truth)))
    return psnr, metrics.ssim(enhanced, truth).item(), gt_mean


def main() -> None:
    place, *models = arguments(__doc__, 2)
    split = held_out(Path(place))
    print(f"{len(split.validation)} pairs: model, PSNR dB, SSIM RGB, PSNR dB with GT mean, worst")
    for model in models:
        enhancer = Enhancer(model)
        rows = []
        for low, high in split.validation:
            enhanced = quantised(enhancer.enhance(low.float() / 255))[None] / 255
            rows.append(figures(enhanced, high[None] / 255))
        psnr, ssim, gt_mean = torch.tensor(rows, dtype=torch.double).mean(dim=0).tolist()
        worst = min(zip(rows, split.validation_names, strict=True))
        print(f"{model}  {psnr:.2f}  {ssim:.4f}  {gt_mean:.2f}  {worst[1]}: {worst[0][0]:.2f}")


if __name__ == "__main__":
    main()
