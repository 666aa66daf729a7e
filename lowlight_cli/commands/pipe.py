"""One picture from standard input, to standard output, or both."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .. import console
from ..config import ConfigError
from ..settings import PIPE, EnhanceSettings
from . import load_enhancer

if TYPE_CHECKING:
    from ..core.enhancing.look import Look
    from ..core.pictures.encoding import Encoding


def piped(settings: EnhanceSettings, look: "Look", encoding: "Encoding") -> None:
    """Enhance the one picture. Raises ConfigError or PictureError before anything is read if that cannot be."""
    from ..core.enhancing import jobs
    from ..core.enhancing.enhancer import finish
    from ..core.pictures import images
    from ..core.pictures.encoding import encode
    from ..views.pictures import plan

    source, out = ends(settings)
    kind = ""  # that of the input, unknown before it is read
    if settings.format:
        kind = images.WRITTEN[f".{settings.format}"]
    elif out != PIPE:
        kind = images.kind_of(out)
    check_depth(settings, kind)
    if settings.dry_run:
        raise SystemExit(not plan([jobs.Job(source, (out,))], overwrite=settings.overwrite))
    if out != PIPE and out.exists() and not settings.overwrite:
        console.note(f"{out} exists, skipped: use --overwrite to replace it")
        return
    if out == PIPE:
        check_stdout()
    picture = images.read(sys.stdin.buffer if source == PIPE else source)
    kind = kind or images.kept_as(picture)
    check_depth(settings, kind)
    dtype = encoding.dtype(kind, picture.samples.dtype)
    (result,) = finish(load_enhancer(settings).enhanced([picture], look, dtype=dtype))
    if out == PIPE:
        file = io.BytesIO()  # some formats are not written from start to end
        encode(file, result, kind, encoding)
        send(file)
    else:
        images.write(out, result, encoding)
        console.note(f"1 done: {out}")


def ends(settings: EnhanceSettings) -> tuple[Path, Path]:
    """Where the picture comes from and where it goes, one of them ``PIPE``."""
    from ..core.enhancing import jobs
    from ..core.errors import PictureError
    from ..core.pictures import folders

    if len(settings.inputs) != 1:
        raise ConfigError("- stands for one picture: give one input with it")
    for name in ("json_lines", "compare", "watch", "suffix", "shard"):
        if settings.changed(name):
            raise ConfigError(f"- stands for one picture without a name: leave out --{name.removesuffix('_lines')}")
    (source,), out = settings.inputs, settings.out or PIPE
    if out.is_dir() or (source == PIPE != out and not out.suffix):
        raise ConfigError(f"{out}: a picture from standard input has no name: give --out a file")
    if out != PIPE:
        jobs.check_kind(out, settings.format)
    if source != PIPE and folders.is_folder(source):
        raise PictureError(f"{source}: a folder, and - stands for one picture: give --out a folder")
    if settings.dry_run and source != PIPE and (fault := folders.missing(source)):
        raise PictureError(fault)
    return source, out


def check_depth(settings: EnhanceSettings, kind: str) -> None:
    """Raise ConfigError if a format, where it is known, cannot hold the bits that are asked for."""
    from ..core.enhancing import jobs

    if kind and settings.depth == "16" and (fault := jobs.too_narrow(kind)):
        raise ConfigError(fault)


def check_stdout() -> None:
    """Raise ConfigError where no picture can be sent."""
    if getattr(sys.stdout, "name", "") == os.devnull:
        raise ConfigError("standard output is closed: send the picture to a file with > or --out FILE")
    if sys.stdout.isatty():
        raise ConfigError("a terminal cannot show a picture: send it to a file with > or --out FILE")


def send(file: io.BytesIO) -> None:
    """Write a file to standard output. Raises PictureError if that does not take it."""
    from ..core.errors import PictureError

    try:
        rest = file.getbuffer()
        while rest:  # unbuffered, as Python can be asked to be, it takes a part at a time
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # whoever read it has had enough
        raise
    except OSError as error:
        raise PictureError(f"standard output: {error.strerror}: send the picture elsewhere, with --out") from error
