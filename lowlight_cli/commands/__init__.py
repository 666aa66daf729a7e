"""One file a command: its options, its settings, one call into the core, and what is printed of the answer."""

import os
from typing import TYPE_CHECKING

from .. import console
from ..settings import PictureSettings

if TYPE_CHECKING:
    from ..core.enhancing.enhancer import Enhancer
    from ..core.enhancing.jobs import Job


def load_enhancer(settings: PictureSettings) -> "Enhancer":
    """The model that the settings ask for, on its device."""
    import torch

    from ..core.checkpoints import UNTRAINED
    from ..core.enhancing.enhancer import Enhancer

    if settings.threads:
        torch.set_num_threads(settings.threads)
    enhancer = Enhancer(
        settings.model, settings.device, precision=settings.precision, tile=settings.tile, ensemble=settings.ensemble
    )
    if enhancer.about.get("phase") == "decom":
        console.note(f"{settings.model}: {UNTRAINED}")
    return enhancer


def check_enhancer(settings: PictureSettings) -> None:
    """Raise what ``load_enhancer`` would of a model or device that is not there, without loading anything."""
    from ..core import checkpoints, device

    checkpoints.locate(settings.model)
    device.choose(settings.device)


def process() -> tuple[int, int]:
    """Which of those that ``torchrun`` started this process is, counted from 0, and of how many."""
    if {"TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"} <= os.environ.keys():
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return 0, 1


def own_share(todo: "list[Job]", settings: PictureSettings) -> "list[Job]":
    """The jobs of this process: all, or one shard, or under ``torchrun`` one of as many shards as processes.

    Skipped jobs belong to no shard, so that another machine's results do not shift the count.
    """
    number, count = process() if settings.shard is None else settings.share
    return todo if count == 1 else [job for job in todo if not job.skip][number::count]
