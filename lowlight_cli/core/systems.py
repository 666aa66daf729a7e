"""The systems that an evaluation compares: models, classical baselines, and what other methods have made."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..settings import Denoise, Precision
from . import images, tiling
from .baselines import BASELINES
from .enhancer import Enhancer
from .errors import DatasetError
from .networks import Network, Retinex
from .results import Result
from .testset import Pixels, Sample, like, stored


@dataclass(frozen=True)
class System:
    """Something that makes a picture of a sample, (3, H, W), uint8, uint16 or floats in [0, 1]; models also decompose
    dark ones."""

    name: str
    kind: Literal["model", "baseline", "results", "reference"]
    enhance: Callable[[Pixels], Tensor]
    decompose: Callable[[Tensor], Retinex] | None = None
    net: Network | None = None
    passes: int = 1  # of the network over each picture
    about: Mapping[str, Any] = field(default_factory=dict)


def labels(models: Sequence[str]) -> list[str]:
    """A short name for each model: the stem, or as much of the path before it as tells it from the others."""
    files = [Path(model).resolve() if model.endswith(".safetensors") else None for model in models]
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


def chosen(
    models: Sequence[str],
    baselines: Sequence[str],
    device_name: str,
    denoise: Denoise = "off",
    *,
    ensemble: bool = False,
    precision: Precision = "fp32",
) -> list[System]:
    """The models by name or file, their reflectance denoised, then the baselines by name; each once."""
    models = list(
        {Path(model).resolve() if model.endswith(".safetensors") else model: model for model in models}.values()
    )
    found = [
        of_model(name, Enhancer(model, device_name, ensemble=ensemble, precision=precision), denoise)
        for name, model in zip(labels(models), models, strict=True)
    ]
    return found + [of_baseline(name) for name in dict.fromkeys(baselines)]


def of_baseline(name: str) -> System:
    """A classical method."""
    return System(name, "baseline", lambda pixels: BASELINES[name](images.scaled(pixels.low)))


def of_results(
    results: Sequence[str], found: Sequence[Sample], others: Sequence[System]
) -> list[tuple[System, dict[str, Path]]]:
    """What others have made of the samples: ``NAME=FOLDER``, or a folder by its own name; with the files by sample."""
    made: list[tuple[System, dict[str, Path]]] = []
    for each in results:
        name, _, place = each.partition("=") if "=" in each and not Path(each).exists() else ("", "", each)
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
    return System(name, "model", enhance, decompose, enhancer.net, enhancer.passes, enhancer.about)


def references(batch: Sequence[Pixels], by: Sequence[System]) -> list[System]:
    """What the systems are to be seen against, unless it is among them."""
    if batch[0].high is not None:
        return [System("truth", "reference", lambda pixels: pixels.low if pixels.high is None else pixels.high)]
    return (
        [] if "input" in [system.name for system in by] else [System("input", "reference", lambda pixels: pixels.low)]
    )


def result(system: System, pixels: Pixels) -> Result:
    """An empty result for ``system``, its size counted for pictures like ``pixels``."""
    if system.net is None:
        return Result(system.name, system.kind)
    height, width = pixels.low.shape[-2:]
    return Result(
        system.name,
        system.kind,
        parameters=sum(parameter.numel() for parameter in system.net.parameters()),
        multiply_adds_per_pixel=round(system.passes * multiply_adds(system.net, height, width) / (height * width)),
    )


def multiply_adds(net: Network, height: int, width: int) -> int:
    """Multiply-adds of the convolutions and matrix products of one pass over a picture; nothing is computed."""
    shadow = copy.deepcopy(net).to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        tiling.run(shadow, torch.empty(1, 3, height, width, device="meta"), tile=None)
    return int(counter.get_total_flops()) // 2
