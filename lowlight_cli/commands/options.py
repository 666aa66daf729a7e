"""Command-line options made from the fields of settings."""

from typing import Any, Literal, get_args, get_origin

import typer

from ..config import Settings
from ..settings import DATASETS, MODELS

NAMED = {"model": MODELS, "init": MODELS, "dataset": DATASETS}
"""What fields of any text may be by name, besides files and folders."""
CONFIG = typer.Option(
    "--config",
    help="TOML or JSON file of settings. Options given here, and variables such as LOWLIGHT_DATA, win over it.",
)


def option(settings: type[Settings], field: str, *names: str, panel: str | None = None) -> Any:
    """A command-line option whose help and default are those of a settings field; ``panel`` is its group in --help.
    A shell that completes words knows what it may be."""
    info = settings.model_fields[field]
    default, sentence = info.default, info.description or ""
    words = choices(info.annotation)
    if not all(word in sentence for word in words):
        sentence += f" One of {', '.join(words)}."
    if default not in (None, ()) and not isinstance(default, bool) and "Default:" not in sentence:
        sentence += f" Default: {', '.join(map(str, default)) if isinstance(default, tuple) else default}."
    known = NAMED.get(field, words)

    def completion(begun: str) -> list[str]:
        return [word for word in known if word.startswith(begun)]

    return typer.Option(
        *names,
        help=sentence,
        show_default=False,
        metavar="" if info.annotation is bool else None,
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
