"""The systems that an evaluation compares: models, classical baselines, and what other methods have made."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ...settings import Denoise, EvaluateSettings
from .. import tiling
from ..enhancing.enhancer import Enhancer
from ..errors import DatasetError
from ..networks import Network, Retinex
from ..pictures import images
from ..pictures.picture import scaled
from .baselines import BASELINES
from .results import Kind, Result
from .testset import Pixels, Sample, like, stored

SIZE = 400, 600
"""Height and width, LOL's, for which a model's work is counted."""


@dataclass(frozen=True)
class System:
    """Something that makes a picture of a sample, (3, H, W), uint8, uint16 or floats in [0, 1]; models also decompose
    dark ones."""

    name: str
    kind: Kind
    enhance: Callable[[Pixels], Tensor]
    decompose: Callable[[Tensor], Retinex] | None = None
    enhancer: Enhancer | None = None  # of a model

    @property
    def about(self) -> Mapping[str, Any]:
        """What a model's file says of it."""
        return {} if self.enhancer is None else self.enhancer.about


def file_of(model: str) -> Path | None:
    """The checkpoint that is meant, unless it is a packaged model's name."""
    return Path(model).resolve() if model.endswith(".safetensors") else None


def labels(models: Sequence[str]) -> list[str]:
    """A short name for each model: the stem, or as much of the path before it as tells it from the others."""
    files = list(map(file_of, models))
    found = []
    for model, file in zip(models, files, strict=True):
        taken = {*models, *BASELINES, "truth"} - {model}
        others = [other.with_suffix("") for other in files if other is not None and other != file]
        path = Path(model) if file is None else file.with_suffix("")
        ends = ("/".join(path.parts[-count:]) for count in range(1, len(path.parts)))
        apart = (
            end for end in ends if end not in taken and not any(f"/{other}".endswith(f"/{end}") for other in others)
        )
        found.append(model if file is None else next(apart, model))
    return found


def chosen(settings: EvaluateSettings) -> list[System]:
    """The models, with their reflectance denoised as asked for, then the baselines; each once."""
    models = list({file_of(model) or model: model for model in settings.model}.values())

    def enhancer(model: str) -> Enhancer:
        return Enhancer(model, settings.device, ensemble=settings.ensemble, precision=settings.precision)

    found = [
        of_model(name, enhancer(model), settings.denoise) for name, model in zip(labels(models), models, strict=True)
    ]
    return found + [of_baseline(name) for name in dict.fromkeys(settings.baseline)]


def of_baseline(name: str) -> System:
    """A classical method."""
    return System(name, "baseline", lambda pixels: BASELINES[name](scaled(pixels.low)))


def of_results(
    results: Sequence[str], found: Sequence[Sample], others: Sequence[System]
) -> list[tuple[System, dict[str, Path]]]:
    """What others have made of the samples: ``NAME=FOLDER``, or a folder by its own name; with the files by sample."""
    made: list[tuple[System, dict[str, Path]]] = []
    for each in results:
        name, _, place = each.partition("=") if "=" in each and not Path(each).exists() else ("", "", each)
        if not place:
            raise DatasetError(f"results {each}: no folder, which would mean this one: is a shell variable unset?")
        name = name or Path(place).resolve().name
        if name in ["truth", "input", *(system.name for system in (*others, *(system for system, _ in made)))]:
            raise DatasetError(f"results {each}: another system is called {name}: give NAME=FOLDER")
        files = stored(Path(place), found)
        made.append((System(name, "results", partial(read_result, files)), files))
    return made


def read_result(files: Mapping[str, Path], pixels: Pixels) -> Tensor:
    """The file that stands for a sample, as it was stored."""
    path = files[pixels.sample.name]
    return like(pixels.low, pixels.sample, path, images.read(path).srgb)


def of_model(name: str, enhancer: Enhancer, denoise: Denoise) -> System:
    """A model, ready to be timed."""

    def enhance(pixels: Pixels) -> Tensor:
        return enhancer.enhance(pixels.low, denoise=denoise)

    def decompose(low: Tensor) -> Retinex:
        return enhancer.decompose(low, denoise=denoise)

    low = torch.full((3, 64, 64), 20, dtype=torch.uint8)
    enhancer.enhance(low, denoise=denoise)  # the first pass pays for preparations that the clock is not to see
    return System(name, "model", enhance, decompose, enhancer)


def references(batch: Sequence[Pixels], by: Sequence[System]) -> list[System]:
    """What the systems are to be seen against, unless it is among them."""
    if batch[0].high is not None:
        return [System("truth", "reference", lambda pixels: cast(Tensor, pixels.high))]
    return (
        [] if "input" in [system.name for system in by] else [System("input", "reference", lambda pixels: pixels.low)]
    )


def empty_result(system: System) -> Result:
    """A result without rows for ``system``, whose work is counted for a picture of ``SIZE``."""
    result = Result(system.name, system.kind)
    if (enhancer := system.enhancer) is not None:
        result.parameters = enhancer.parameters
        height, width = SIZE
        work = enhancer.passes * multiply_adds(enhancer.net, height, width)
        result.multiply_adds_per_pixel = round(work / (height * width))
    return result


def multiply_adds(net: Network, height: int, width: int) -> int:
    """Multiply-adds of the convolutions and matrix products of one pass over a picture; nothing is computed."""
    shadow = copy.deepcopy(net).to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        tiling.run(shadow, torch.empty(1, 3, height, width, device="meta"), tile=None)
    return int(counter.get_total_flops()) // 2
