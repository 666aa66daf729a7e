"""One file a command: its options, its settings, one call into the core, and what is printed of the answer."""

from typing import Any

import typer

from ..settings import Settings

CONFIG = typer.Option("--config", help="TOML or JSON file of settings; options given here win over it.")


def option(settings: type[Settings], field: str, *names: str) -> Any:
    """A command-line option whose help and default are those of a settings field."""
    info = settings.model_fields[field]
    default = info.default
    shown = ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    quiet = default is None or isinstance(default, bool) or "Default:" in (info.description or "")
    return typer.Option(*names, help=info.description, show_default=False if quiet else shown)
