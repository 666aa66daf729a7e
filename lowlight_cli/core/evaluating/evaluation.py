"""Models, classical baselines and stored results over pictures, with the truth or without, a row of figures a picture.

What is measured is the enhanced picture in 8 bit. Values are per picture and then averaged. The mean brightness of the
truth is used only in the figures named GT-mean. Networks compute in fp32 unless told otherwise, so that figures
hardly depend on the machine; ``lowlight enhance`` computes 8-bit pictures in bf16 where that is fast.
"""

import math
import os
import platform
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...settings import EvaluateSettings, TrainSettings
from .. import metrics
from ..data import datasets, likeness, trainingset
from ..device import choose
from ..errors import DatasetError, LowlightError, PictureError
from ..networks import Retinex
from ..pictures.picture import luma, quantised, scaled
from . import outputs, systems
from .gallery import Gallery
from .lpips import SMALLEST, Lpips
from .lpips import load as load_lpips
from .niqe import OWN_FIT, PATCH, Pristine, niqe
from .niqe import load as load_pristine
from .results import TONES, Report, Result, Row
from .systems import System
from .testset import Pixels, Sample, check_sizes, decode_or_fault, samples

BATCH = 8
"""Pictures decoded at once."""
PIXELS = 4_000_000
"""How many pixels are measured at once where sizes agree; a larger picture alone."""
CONSISTENCY = 192
"""Side in px of the central square, as a picture of its own, whose low and high reflectances are compared."""
HELD_OUT = TrainSettings.model_fields["validation"].default
"""What ``lowlight train`` holds out by default is what the protocol ``scenes`` measures on."""


class Progress(NamedTuple):
    """How far an evaluation is, and with what."""

    done: int
    total: int
    what: str


class Finished(NamedTuple):
    """All figures, and copies of the pictures if a report is to show them."""

    report: Report
    gallery: Gallery


class Measured(NamedTuple):
    """What one system made of one picture, uint8 (3, H, W)."""

    system: System
    pixels: Pixels
    enhanced: Tensor
    row: Row


def machine(device_name: str) -> dict[str, Any]:
    """What the milliseconds depend on."""
    place = choose(device_name)
    device = torch.cuda.get_device_name(place) if place.type == "cuda" else platform.machine()
    return {
        "device": place.type,
        "processor": device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


@torch.inference_mode()
def measure(
    found: Sequence[Sample], by: Sequence[System], pristine: Pristine, lpips: Lpips | None, device_name: str
) -> Iterator[Measured | PictureError]:
    """Every system on every picture, batch by batch; after the systems of a batch, its references: the input where
    there is no truth, and the truth. Of a picture without truth that cannot be read, what is wrong with it."""
    place = metric_device(device_name)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(found), BATCH):
            read = list(pool.map(decode_or_fault, found[start : start + BATCH]))
            yield from (fault for fault in read if isinstance(fault, PictureError))
            decoded = [pixels for pixels in read if isinstance(pixels, Pixels)]
            for _, group in groupby(decoded, key=lambda pixels: (pixels.low.shape, pixels.high is None)):
                alike = list(group)
                at_once = max(PIXELS // alike[0].low[0].numel(), 1)
                for batch in (alike[first : first + at_once] for first in range(0, len(alike), at_once)):
                    for system in [*by, *systems.references(batch, by)]:
                        yield from measured(system, batch, pristine, lpips, place)


def metric_device(name: str) -> torch.device:
    """Where to compute figures: where the networks run, unless it lacks double precision, as Apple's MPS does."""
    place = choose(name)
    return torch.device("cpu") if place.type == "mps" else place


def measured(
    system: System, batch: Sequence[Pixels], pristine: Pristine, lpips: Lpips | None, place: torch.device
) -> Iterator[Measured]:
    """One system on pictures of one size."""
    made, seconds = [], []
    for pixels in batch:
        began = time.perf_counter()
        enhanced = system.enhance(pixels)
        seconds.append(time.perf_counter() - began)
        made.append(quantised(scaled(enhanced)))
    stacked = torch.stack(made).to(place).double() / 255
    gray = luma(stacked)
    columns = {"niqe": niqe(gray, pristine), "brightness": gray.mean(dim=(1, 2, 3))}
    if batch[0].high is not None and system.kind != "reference":
        truth = torch.stack([pixels.high for pixels in batch if pixels.high is not None]).to(place).double() / 255
        columns |= against(stacked, truth) | ({} if lpips is None else {"lpips": lpips(stacked, truth)})
    values = {key: column.tolist() for key, column in columns.items()}
    for index, pixels in enumerate(batch):
        figures = {key: column[index] for key, column in values.items() if not math.isnan(column[index])}
        if system.kind in ("model", "baseline"):
            figures["ms"] = 1000 * seconds[index]
            figures["megapixels_per_second"] = pixels.low[0].numel() / 1e6 / seconds[index]
        if system.decompose is not None and pixels.high is not None:
            figures |= decomposition(system.decompose, pixels)
        yield Measured(system, pixels, made[index], Row(pixels.sample.name, figures, pixels.sample.scene))


def against(prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """The full-reference figures of (B, 3, H, W) in [0, 1], plainly and under GT mean; each (B,)."""
    columns = {}
    for suffix, ours in (("", prediction), ("_gt_mean", metrics.gt_mean(prediction, truth))):
        columns["psnr" + suffix] = metrics.psnr(ours, truth)
        columns["ssim" + suffix] = metrics.ssim(ours, truth)
        columns["ssim_gray" + suffix] = metrics.ssim(luma(ours), luma(truth))
    return columns


def decomposition(decompose: Callable[[Tensor], Retinex], pixels: Pixels) -> dict[str, float]:
    """How well the maps serve: |R_low - R_high| in the middle, and against true maps, where they are known, LMSE."""
    assert pixels.high is not None
    height, width = (min(side, CONSISTENCY) for side in pixels.low.shape[-2:])
    top, left = ((side - part) // 2 for side, part in zip(pixels.low.shape[-2:], (height, width), strict=True))
    low, high = (
        decompose(scaled(side[:, top : top + height, left : left + width])).reflectance
        for side in (pixels.low, pixels.high)
    )
    figures = {"reflectance_consistency": float((low - high).abs().mean())}
    if pixels.maps and min(pixels.low.shape[-2:]) >= metrics.LMSE_WINDOW:
        found = decompose(scaled(pixels.low))._asdict()
        figures |= {f"lmse_{name}": metrics.lmse(found[name], truth) for name, truth in pixels.maps.items()}
    return figures


def tones(now: Measured) -> Tensor:
    """For each level of the input's gray, (2, TONES): the sum of the output's gray, and the number of pixels."""
    pictures = (scaled(picture)[None].double() for picture in (now.pixels.low, now.enhanced))
    before, after = (luma(picture).flatten() for picture in pictures)
    level = (before * TONES).long().clamp(max=TONES - 1)
    return torch.stack([level.bincount(after, TONES), level.bincount(minlength=TONES).double()])


def run(settings: EvaluateSettings) -> Generator[Progress | Finished]:
    """The whole of ``lowlight evaluate`` but for the reports: says how far it is, and ends with what it found.

    A KeyboardInterrupt ends it early, with the pictures of which every system has made something; so does a failure,
    which ``left_out`` then tells of.
    """
    pristine = load_pristine(settings.niqe or OWN_FIT)
    found, by, notes = yield from prepared(settings)
    paired = found[0].high is not None
    lpips = None
    if settings.lpips and paired:
        try:
            lpips = load_lpips(metric_device(settings.device))
        except LowlightError as error:
            notes.append(str(error))
    results: dict[str, Result] = {}
    gallery, left_out = Gallery(), []
    versions = len({"truth" if paired else "input", *(system.name for system in by)})
    total = len(found) * versions
    end: KeyboardInterrupt | LowlightError | None = None
    try:
        for done, now in enumerate(measure(found, by, pristine, lpips, settings.device), 1):
            if isinstance(now, PictureError):
                left_out.append(str(now))
                total -= versions - 1
                continue
            name, picture = now.system.name, now.row.name
            if name not in results:
                results[name] = systems.empty_result(now.system)
            results[name].rows.append(now.row)
            results[name].tones[picture] = tones(now)
            if settings.sheet or settings.report:
                gallery.add(picture, "input", now.pixels.low)
                gallery.add(picture, name, now.enhanced)
            if settings.save and now.system.kind in ("model", "baseline"):
                outputs.save(settings.save, name, picture, now.enhanced)
            yield Progress(done, total, name)
    except (KeyboardInterrupt, LowlightError) as early:
        end = early
        whole = in_all(results, [system.name for system in by])
        if not whole:
            raise
        for result in results.values():
            result.rows[:] = [row for row in result.rows if row.name in whole]
            result.tones = {name: found for name, found in result.tones.items() if name in whole}
        results = {name: result for name, result in results.items() if len(result.rows) == len(whole)}
        gallery.keep(whole)
        notes.append(f"stopped after {len(whole)} of {len(found)} pictures")
    if not results:
        raise DatasetError(f"{settings.dataset}: no picture in it can be read: {left_out[0]}")
    if left_out:
        notes.append(f"{len(left_out)} of {len(found)} pictures left out, which cannot be read")
    if isinstance(end, LowlightError):
        left_out.append(str(end))
    report = Report(
        dataset=settings.dataset,
        split="held-out scenes" if settings.protocol == "scenes" else "test" if settings.dataset == "lol" else None,
        protocol=settings.protocol if settings.dataset == "lol" or settings.protocol == "scenes" else None,
        pictures=max(len(each.rows) for each in results.values()),
        paired=paired,
        machine=machine(settings.device),
        niqe_model=pristine.name,
        results=sorted(results.values(), key=lambda found: found.kind == "reference"),
        notes=notes,
        left_out=left_out,
        stopped=isinstance(end, KeyboardInterrupt),
    )
    report.notes.extend(fewer(report))
    yield Finished(report, gallery)


def prepared(settings: EvaluateSettings) -> Generator[Progress, None, tuple[list[Sample], list[System], list[str]]]:
    """The pictures, what is to be measured on them, and notes on both. What files' headers show to be wrong is
    raised here, before anything is measured."""
    by = systems.chosen(settings)
    notes = list(remarks(settings, by))
    place = datasets.folder(settings.dataset, settings.data, "test" if settings.protocol == "official" else "train")
    found = samples(place, settings.save)
    inputs = {path.resolve() for sample in found for path in sample.files}
    if settings.protocol == "scenes":
        found = yield from held_out_scenes(found)
    theirs = systems.of_results(settings.results, found, by)
    inputs |= {path.resolve() for _, files in theirs for path in files.values()}
    outputs.check(settings, inputs, [system.name for system in by])
    by += [system for system, _ in theirs]
    check_sizes(found, [files for _, files in theirs])
    if found[0].high is not None:
        known = [each for each in by if settings.protocol == "scenes" or "learned_from" in each.about]
        notes += seen_scenes(known, {trainingset.known_as(sample.pair) for sample in found})
    return found, by, notes


def remarks(settings: EvaluateSettings, by: Sequence[System]) -> Iterator[str]:
    """What is to be known of the models' figures."""
    for system in by:
        if system.about.get("phase") == "decom":
            yield f"{system.name}: its Enhance-Net was never trained, so that only its R and I mean something"
    if settings.model:
        if settings.denoise != "off":
            yield f"models with --denoise {settings.denoise}"
        if settings.ensemble:
            yield "models with --ensemble"
        if settings.precision != "fp32":
            yield f"models with --precision {settings.precision}"


def held_out_scenes(found: Sequence[Sample]) -> Generator[Progress, None, list[Sample]]:
    """Of all pairs of a training set, those of the scenes that ``lowlight train`` holds out by default."""
    pairs = [sample.pair for sample in found]
    pictures, faults = [], []
    for picture, fault in trainingset.examined(pairs):
        pictures.append(picture)
        faults.append(fault)
        yield Progress(len(pictures), len(found), "reading pairs")
    data = trainingset.split(pairs, pictures, faults, fraction=HELD_OUT)
    scene_of = dict(zip(data.validation_names, likeness.scenes(high for _, high in data.validation), strict=True))
    return [sample._replace(scene=scene_of[sample.name]) for sample in found if sample.name in scene_of]


def in_all(results: Mapping[str, Result], names: Sequence[str]) -> set[str]:
    """The pictures of which all systems have made something."""
    return set.intersection(*({row.name for row in results[name].rows} if name in results else set() for name in names))


def fewer(report: Report) -> Iterator[str]:
    """A sentence for each figure that some pictures do not have, and which they need to be for it."""
    for key, (figure, needs) in {
        "niqe": ("NIQE", f"sides of {PATCH} px, and not to be flat"),
        "lpips": ("LPIPS", f"sides of {SMALLEST} px"),
        "lmse_reflectance": ("LMSE", "true maps"),
    }.items():
        most = max((len(result.values(key)) for result in report.systems), default=0)
        if 0 < most < report.pictures:
            yield f"{figure} is the mean of {most} of {report.pictures} pictures: it needs {needs}"


def seen_scenes(by: Sequence[System], names: set[str]) -> Iterator[str]:
    """A warning for each model that may have learned from some of these pairs, which it is now measured on."""
    for system in by:
        if system.kind == "model":
            seen = names.difference(system.about.get("held_out", ()))
            if "learned_from" in system.about:
                learned = trainingset.known_folders(system.about["learned_from"])
                seen = {name for name in seen if name.partition("/")[0] in learned}
            if seen:
                yield f"{system.name}: training did not hold out {len(seen)} of these {len(names)} pairs"
