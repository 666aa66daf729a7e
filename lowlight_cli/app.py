"""The ``lowlight`` command: registers the subcommands and turns known failures into one line and an exit code."""

import io
import os
import signal
import sys
import warnings
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import __version__, console
from .commands import decompose, download, enhance, evaluate, serve, synthesise, train
from .config import ConfigError
from .core.errors import LowlightError, SaidElsewhere
from .signals import endings, handled


class Commands(TyperGroup):
    """The subcommands. Ctrl-C gets its word here, since Typer turns it into an exit without any."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            console.note("stopped")
            raise SystemExit(130) from None


app = typer.Typer(
    name="lowlight",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (enhance, decompose, serve, evaluate, train, download, synthesise):
    app.command()(getattr(module, module.__name__.rpartition(".")[2]))


def show_version(wanted: bool) -> None:
    if wanted:
        console.out.print(f"lowlight {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def lowlight(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Bright pictures from dark ones, with retinex-plus and RetinexNet.

    Start with: lowlight enhance night.jpg --out night_bright.jpg
    """


def empty(before: str, argument: str) -> bool:
    """Whether an argument, or the value in it, is empty though it should not be."""
    option, sign, value = argument.partition("=") if argument.startswith("--") else (before, "=", argument)
    return sign == "=" and value == "" and option != "--suffix"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line. Exits with 1 if something failed, 2 for wrong usage or settings, 130 after Ctrl-C."""
    # damaged metadata, and sizes below Pillow's refusal, are no reason to talk
    warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\.")
    # torch: fresh memory in large pages, which takes a fifth of the time on a CPU
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started this; no file shall be mistaken for it
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal or file of few letters gets what it can hold
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        given = sys.argv[1:] if arguments is None else arguments
        if any(empty(before, argument) for before, argument in pairwise(["", *given])):
            raise ConfigError("an argument is empty, which would mean this folder: is a shell variable unset?")
        with handled(signal.default_int_handler, *endings()):
            app(arguments)
    except SaidElsewhere:
        sys.exit(1)
    except LowlightError as error:
        console.error(str(error))
        sys.exit(1)
    except ConfigError as error:
        console.error(str(error))
        sys.exit(2)
    except OSError as error:  # a folder that may not be looked into, a disk that fails
        console.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        sys.exit(1)
