"""One file a command: its options, its settings, one call into the core, and what is printed of the answer."""

import os
import signal
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import typer

from ..config import Settings
from ..settings import DATASETS, MODELS, PictureSettings

if TYPE_CHECKING:
    from ..core.enhancing.enhancer import Enhancer
    from ..core.enhancing.jobs import Job

NAMED = {"model": MODELS, "init": MODELS, "dataset": DATASETS}
"""What fields of any text may be by name, besides files and folders."""
CONFIG = typer.Option("--config", help="TOML or JSON file of settings; options given here win over it.")


def option(settings: type[Settings], field: str, *names: str, panel: str | None = None) -> Any:
    """A command-line option whose help and default are those of a settings field; ``panel`` is its group in --help.
    A shell that completes words knows what it may be."""
    info = settings.model_fields[field]
    default = info.default
    shown = ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    quiet = default in (None, ()) or isinstance(default, bool) or "Default:" in (info.description or "")
    sentence = info.description or ""
    words = choices(info.annotation)
    if not all(word in sentence for word in words):
        sentence += f" One of {', '.join(words)}."
    default = False if quiet else shown
    known = NAMED.get(field, words)

    def completion(begun: str) -> list[str]:
        return [word for word in known if word.startswith(begun)]

    return typer.Option(
        *names,
        help=sentence,
        show_default=default,
        rich_help_panel=panel,
        readable=False,
        autocompletion=completion if known else None,
    )


def choices(annotation: Any) -> list[str]:
    """The words that a field of this type may be, or none if it may be anything."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    parts = [part for part in get_args(annotation) if part not in (type(None), ...)]
    return choices(parts[0]) if len(parts) == 1 else []


def endings() -> list[signal.Signals]:
    """The signals besides Ctrl-C by which systems end a command, save those that are to be ignored, as nohup asks."""
    names = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__]
    return [name for name in names if signal.getsignal(name) != signal.SIG_IGN]


def started(settings: PictureSettings) -> "Enhancer":
    """The model that the settings ask for, on its device."""
    import torch

    from ..core.enhancing.enhancer import Enhancer

    if settings.threads:
        torch.set_num_threads(settings.threads)
    return Enhancer(
        settings.model, settings.device, precision=settings.precision, tile=settings.tile, ensemble=settings.ensemble
    )


def startable(settings: PictureSettings) -> None:
    """Raise what ``started`` would of a model or device that is not there, without loading anything."""
    from ..core import checkpoints, device

    checkpoints.locate(settings.model)
    device.choose(settings.device)


def own_share(todo: "list[Job]", settings: PictureSettings) -> "list[Job]":
    """The jobs of this process: all, or one shard, or under ``torchrun`` one of as many shards as processes.

    What other shards have made by now is in none: it must not shift the count.
    """
    number, count = settings.share
    if settings.shard is None and {"TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"} <= os.environ.keys():
        number, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return todo if count == 1 else [job for job in todo if not job.skip][number::count]
