"""Models, classical baselines and stored results over pictures, with the truth or without, a row of figures a picture.

What is measured is the enhanced picture in 8 bit. Values are per picture and then averaged. The mean brightness of the
truth is used only in the figures named GT-mean. Networks compute in fp32 unless told otherwise, so that figures
hardly depend on the machine; ``lowlight enhance`` computes 8-bit pictures in bf16 where that is fast.
"""

import platform
from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from ...settings import EvaluateSettings, TrainSettings
from ..checkpoints import UNTRAINED
from ..data import datasets, likeness, trainingset
from ..device import choose
from ..errors import DatasetError, LowlightError, PictureError
from ..pictures.picture import scaled
from . import outputs, systems
from .gallery import Gallery
from .lpips import SMALLEST
from .lpips import load as load_lpips
from .measuring import measure, metric_device, tones
from .niqe import OWN_FIT, PATCH
from .niqe import load as load_pristine
from .results import Report, Result
from .systems import System
from .testset import Sample, check_sizes, samples

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


def machine(name: str) -> dict[str, Any]:
    """What the milliseconds depend on."""
    device = choose(name)
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": device.type,
        "processor": processor,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


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
    gallery, left_out, bright = Gallery(), [], 0
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
            first = now.system is by[0]  # once for each picture
            if first and now.pixels.high is not None:
                bright += bool(scaled(now.pixels.low).mean() > scaled(now.pixels.high).mean())
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
        whole = set.intersection(*(results[each.name].pictures if each.name in results else set() for each in by))
        if not whole:
            raise
        results = {name: result.of(whole) for name, result in results.items() if whole <= result.pictures}
        gallery.keep(whole)
        notes.append(f"stopped after {len(whole)} of {len(found)} pictures")
    if not results:
        raise DatasetError(f"{settings.dataset}: no picture in it can be read: {left_out[0]}")
    if bright > len(found) / 2:
        notes.append(
            f"{bright} of {len(found)} dark pictures are brighter than their truth: are low/ and high/ swapped?"
        )
    if left_out:
        notes.append(f"{len(left_out)} of {len(found)} pictures left out, which cannot be read")
    if isinstance(end, LowlightError):
        left_out.append(str(end))
    stopped = isinstance(end, KeyboardInterrupt)
    report = reported(settings, list(results.values()), pristine.name, notes, left_out, paired=paired, stopped=stopped)
    yield Finished(report, gallery)


def reported(
    settings: EvaluateSettings,
    found: Sequence[Result],
    niqe_model: str,
    notes: list[str],
    left_out: list[str],
    *,
    paired: bool,
    stopped: bool,
) -> Report:
    """All figures, the references last, and what is to be known of them."""
    report = Report(
        dataset=settings.dataset,
        split="held-out scenes" if settings.protocol == "scenes" else "test" if settings.dataset == "lol" else None,
        protocol=settings.protocol if settings.dataset == "lol" or settings.protocol == "scenes" else None,
        pictures=max(len(each.rows) for each in found),
        paired=paired,
        machine=machine(settings.device),
        niqe_model=niqe_model,
        results=sorted(found, key=lambda each: each.kind == "reference"),
        notes=notes,
        left_out=left_out,
        stopped=stopped,
    )
    report.notes.extend(fewer(report))
    return report


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
            yield f"{system.name}: {UNTRAINED}"
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


def fewer(report: Report) -> Iterator[str]:
    """A sentence for each figure that some pictures lack, and what a picture needs to have it."""
    for key, (figure, needs) in {
        "niqe": ("NIQE", f"sides of {PATCH} px, and not to be flat"),
        "lpips": ("LPIPS", f"sides of {SMALLEST} px"),
        "lmse_reflectance": ("LMSE", "true maps"),
    }.items():
        most = max((len(result.values(key)) for result in report.systems), default=0)
        if key == "niqe" and not most:
            yield f"no NIQE: it needs {needs}"
        elif 0 < most < report.pictures:
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
