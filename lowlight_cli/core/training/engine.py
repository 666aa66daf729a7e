"""Training as a stream of events: the engine computes and keeps the run's files, whoever iterates shows and logs.

A run is one or two phases over a bank of pairs that lives on the device. Under ``torchrun`` every process computes its
share of each batch; gradients are averaged, so that the result is that of one process with the whole batch.
"""

import math
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from ... import __version__
from ...settings import TrainSettings
from .. import metrics
from ..data import datasets, trainingset
from ..device import choose, out_of_memory
from ..errors import DatasetError, TrainingError
from .events import Event, Finished, Reading, Started
from .ranks import Ranks
from .runs import Run
from .session import Session
from .start import network


def train(settings: TrainSettings, run_dir: Path) -> Generator[Event]:
    """Train as ``settings`` say, in ``run_dir``; a run that was begun there goes on where it was saved.

    On a CPU the continued run, with as many threads, ends with the same weights, bit for bit, as an uninterrupted one.
    Closing the iterator saves the state first. Raises LowlightError of one kind or another with the remedy;
    SaidElsewhere where another process says it.
    """
    began = time.monotonic()
    device = choose(settings.device)
    ranks = Ranks.here(device)
    if settings.batch % ranks.count:
        unequal = f"a batch of {settings.batch} cannot be shared by {ranks.count} processes: change --batch"
        ranks.agreed(TrainingError(unequal))
    run = Run(run_dir, settings)
    try:
        state = ranks.told(run.begin)
    except BaseException:
        run.leave()
        raise

    try:
        with ranks.together(), enough_memory(device):
            if state is None:
                network(settings)  # what is wrong with --init is to be said before all pictures are read
            data = yield from read(settings)
        ranks.agreed(other_data(data, ranks))
        if state is not None:  # it holds all weights: those that the run began with may be gone
            settings = settings.model_copy(update={"init": None})
        with ranks.together(), enough_memory(device):
            session = Session(settings, data, run, device, ranks)
            if state is not None:
                session.restore(state)
        train_pairs, validation_pairs, left_out = len(data.train), len(data.validation), data.left_out
        known = len(data.held_out) - len(session.unseen)
        del data  # the session has its own copy on the device
    except BaseException:
        run.withdraw()
        raise
    try:
        yield Started(
            run_dir=str(run_dir),
            version=__version__,
            torch=torch.__version__,
            processes=ranks.count,
            threads=torch.get_num_threads(),
            device=str(device),
            precision="bf16" if session.bf16 else "fp32",
            parameters=sum(parameter.numel() for parameter in session.net.parameters()),
            train_pairs=train_pairs,
            validation_pairs=validation_pairs,
            known=known,
            left_out=left_out,
            steps=session.step + session.left,
            done=session.step,
            finished=session.finished,
        )
        with enough_memory(device):
            yield from session.events()
        best = session.best > -math.inf
        yield Finished(str(run.best if best else run.last), time.monotonic() - began)
    finally:
        run.leave()


@contextmanager
def enough_memory(device: torch.device) -> Iterator[None]:
    """Work that, if memory runs out, ends with a TrainingError."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if out_of_memory(error):
            raise TrainingError(
                f"out of memory on {device}: lower --batch or --patch, or give fewer pictures; what was saved is whole"
            ) from error
        raise


def read(settings: TrainSettings) -> Generator[Event, None, trainingset.TrainingSet]:
    """Decode the data sets, saying how far that is, and split them. Photographs that hold no patch are left out."""
    found = datasets.to_train_on(settings.dataset, settings.data, settings.photos)
    pictures, faults = [], []
    for item, (picture, reason) in zip(found, trainingset.examined(found, darkened=False), strict=True):
        if settings.keep_flagged and picture is not None:
            reason = None
        if isinstance(item, datasets.Photo) and picture is not None and min(picture.high.shape[-2:]) < settings.patch:
            reason = f"{item.high}: smaller than a patch of {settings.patch} px"
        pictures.append(picture)
        faults.append(reason)
        yield Reading(len(pictures), len(found))
    data = trainingset.split(found, pictures, faults, fraction=settings.validation)
    captured = any(isinstance(item, datasets.Pair) and not fault for item, fault in zip(found, faults, strict=True))
    if not data.train or (captured and all(data.made)):
        many = len(data.validation)
        raise DatasetError(f"all {many} pairs show one scene, none is left to train on: use --validation 0")
    check_sizes(data, {id(picture): item for item, picture in zip(found, pictures, strict=True)}, settings)
    return data


def check_sizes(
    data: trainingset.TrainingSet, of: Mapping[int, datasets.Pair | datasets.Photo], settings: TrainSettings
) -> None:
    """Raise TrainingError if a picture to train on holds no patch, or one to validate cannot be measured. ``of`` says
    what each decoded pair, by its ``id``, is made of."""

    def side(picture: datasets.PixelPair) -> int:
        return min(picture.high.shape[-2:])

    smallest = min(data.train, key=side)
    if side(smallest) < settings.patch:
        step = 16 if settings.network == "retinex-plus" else 8
        patch = side(smallest) // step * step
        other = f", or use --patch {patch}" if patch >= 16 else ""
        raise TrainingError(f"{of[id(smallest)].high}: {side(smallest)} px a side hold no patch: take it out{other}")
    for name, picture in zip(data.held_out, data.validation, strict=True):
        if side(picture) < metrics.WINDOW:
            raise TrainingError(
                f"{name}: held out, with {side(picture)} px a side, and SSIM needs {metrics.WINDOW}: take it out, or "
                "use --validation 0"
            )


def other_data(data: trainingset.TrainingSet, ranks: Ranks) -> DatasetError | None:
    """What to say if this process has read other pairs than the first one, on another machine perhaps."""
    here = [tuple(high.shape) for _, high in data.train], data.validation_names
    first = ranks.told(lambda: here)
    if here == first:
        return None
    (ours, held_out), (theirs, held_out_there) = ((len(train), len(names)) for train, names in (here, first))
    return DatasetError(
        f"other pairs to train on and to validate ({ours} and {held_out}) than the first process has ({theirs} and "
        f"{held_out_there}): give every machine the same data"
    )
