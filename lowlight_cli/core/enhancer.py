"""Enhancer: a trained model on a device, ready for pictures of any size. The one place where pictures meet networks."""

from dataclasses import replace

import torch
from torch import Tensor

from . import checkpoints, device, images, tiling
from .jobs import MAPS, Job
from .networks import Retinex
from .panel import panel


class Enhancer:
    """A packaged model by name, or a checkpoint by path, on ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    >>> Enhancer("retinexnet").enhance(torch.zeros(3, 20, 30)).shape
    torch.Size([3, 20, 30])
    """

    def __init__(self, model: str = "retinexnet", device_name: str = "auto") -> None:
        self.device = device.choose(device_name)
        net, self.about = checkpoints.load(model)
        self.net = net.to(self.device).to(memory_format=torch.channels_last)

    @property
    def parameters(self) -> int:
        """How many numbers the model consists of."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    @torch.inference_mode()
    def decompose(self, pixels: Tensor) -> Retinex:
        """The maps of a (3, H, W) picture in [0, 1]: each (3 or 1, H, W), on the CPU."""
        image = pixels[None].to(self.device, memory_format=torch.channels_last)
        return Retinex(*(maps[0].cpu() for maps in tiling.run(self.net, image)))

    def enhance(self, pixels: Tensor) -> Tensor:
        """The enhanced picture of (3, H, W) in [0, 1]: same size, clamped to [0, 1], on the CPU."""
        return self.decompose(pixels).enhanced.clamp(0, 1)

    def enhance_file(self, job: Job) -> None:
        """Read the job's picture and write it enhanced."""
        (target,) = job.targets
        picture = images.read(job.source)
        images.write(target, replace(picture, pixels=self.enhance(picture.pixels)))

    def decompose_file(self, job: Job) -> None:
        """Read the job's picture and write those of its maps and their panel that the job's targets end in."""
        picture = images.read(job.source)
        found = self.decompose(picture.pixels)
        enhanced = found.enhanced.clamp(0, 1)
        columns = [
            ("low", picture.pixels),
            ("reflectance R", found.reflectance),
            ("illumination I", found.illumination),
            ("adjusted illumination", found.relit),
            ("enhanced", enhanced),
        ]
        maps = dict(zip(MAPS, (found.reflectance, found.illumination, found.relit, enhanced), strict=False))
        for target in job.targets:
            name = target.stem.rpartition("_")[2]
            images.save(images.to_image(maps[name]) if name in maps else panel(columns), target)
