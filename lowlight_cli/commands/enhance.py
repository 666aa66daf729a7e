import io
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..config import ConfigError
from ..settings import PIPE, EnhanceSettings
from . import own_share, process, startable, started
from .options import CONFIG, option

if TYPE_CHECKING:
    from ..core.enhancing.jobs import Job
    from ..core.enhancing.look import Look
    from ..core.pictures.encoding import Encoding

LOOK, FILES, MACHINE = "Look", "Files", "Machine"


def enhance(
    inputs: Annotated[
        list[Path], typer.Argument(help="Pictures, folders of them, or -.", show_default=False, readable=False)
    ],
    out: Annotated[Path | None, option(EnhanceSettings, "out", "--out", "-o")] = None,
    model: Annotated[str | None, option(EnhanceSettings, "model", "--model", "-m")] = None,
    overwrite: Annotated[bool | None, option(EnhanceSettings, "overwrite", "--overwrite/--skip-existing")] = None,
    strength: Annotated[float | None, option(EnhanceSettings, "strength", panel=LOOK)] = None,
    shadows: Annotated[float | None, option(EnhanceSettings, "shadows", panel=LOOK)] = None,
    denoise: Annotated[str | None, option(EnhanceSettings, "denoise", panel=LOOK)] = None,
    ensemble: Annotated[bool | None, option(EnhanceSettings, "ensemble", "--ensemble", panel=LOOK)] = None,
    protect_highlights: Annotated[
        bool | None, option(EnhanceSettings, "protect_highlights", "--protect-highlights", panel=LOOK)
    ] = None,
    compare: Annotated[bool | None, option(EnhanceSettings, "compare", "--compare", panel=LOOK)] = None,
    format: Annotated[str | None, option(EnhanceSettings, "format", panel=FILES)] = None,
    suffix: Annotated[str | None, option(EnhanceSettings, "suffix", panel=FILES)] = None,
    depth: Annotated[str | None, option(EnhanceSettings, "depth", panel=FILES)] = None,
    quality: Annotated[int | None, option(EnhanceSettings, "quality", panel=FILES)] = None,
    subsampling: Annotated[str | None, option(EnhanceSettings, "subsampling", panel=FILES)] = None,
    strip: Annotated[bool | None, option(EnhanceSettings, "strip", "--strip", panel=FILES)] = None,
    watch: Annotated[bool | None, option(EnhanceSettings, "watch", "--watch", panel=FILES)] = None,
    dry_run: Annotated[bool | None, option(EnhanceSettings, "dry_run", "--dry-run", panel=FILES)] = None,
    json_lines: Annotated[bool | None, option(EnhanceSettings, "json_lines", "--json", panel=FILES)] = None,
    device: Annotated[str | None, option(EnhanceSettings, "device", panel=MACHINE)] = None,
    precision: Annotated[str | None, option(EnhanceSettings, "precision", panel=MACHINE)] = None,
    tile: Annotated[str | None, option(EnhanceSettings, "tile", panel=MACHINE)] = None,
    threads: Annotated[int | None, option(EnhanceSettings, "threads", panel=MACHINE)] = None,
    shard: Annotated[str | None, option(EnhanceSettings, "shard", panel=MACHINE)] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Make dark pictures bright.

    For instance: lowlight enhance photos/ --out bright/
    """
    settings = EnhanceSettings.load(**locals())
    if settings.watch and process()[1] > 1:
        raise ConfigError("several processes share the pictures that are there, and watch waits for others: start one")
    from ..core.enhancing import batch
    from ..core.enhancing.look import Look
    from ..core.pictures.encoding import Encoding
    from ..views import pictures

    if settings.dry_run:
        startable(settings)
    look = Look(settings.strength, settings.denoise, settings.protect_highlights, settings.shadows)
    encoding = Encoding(settings.quality, settings.subsampling, settings.depth, settings.strip)
    if PIPE in (*settings.inputs, settings.out):
        piped(settings, look, encoding)
        return
    report = partial(pictures.json_line, model=Path(settings.model).stem) if settings.json_lines else None
    if settings.dry_run:
        raise SystemExit(not pictures.plan(planned(settings), report, overwrite=settings.overwrite))
    enhancer = started(settings)
    well = True
    for todo in arrivals(settings) if settings.watch else [planned(settings)]:
        events = batch.enhance(enhancer, todo, look, encoding, overwrite=settings.overwrite)
        well = pictures.follow("enhancing", len(todo), events, report) and well
    raise SystemExit(not well)


def planned(settings: EnhanceSettings) -> "list[Job]":
    """What is to be done here."""
    from ..core.enhancing import jobs

    return own_share(
        jobs.enhance_jobs(
            settings.inputs,
            settings.out,
            suffix=settings.suffix,
            kind=settings.format,
            compare=settings.compare,
            wide=settings.depth == "16",
        ),
        settings,
    )


def arrivals(settings: EnhanceSettings) -> "Iterator[list[Job]]":
    """What is to be done now, and then, again and again, what has come or changed."""
    from ..core.enhancing import watch

    tried: dict[Path, int] = {}
    for number, _ in enumerate(watch.changes(settings.inputs)):
        if number == 0:  # by now it is known that they can be watched
            console.note(f"watching {', '.join(map(str, settings.inputs))}: Ctrl-C ends it")
        todo = []
        for job in planned(settings):
            changed = watch.changed(job.source)
            wanted = settings.overwrite or not job.finished
            if not changed or job.skip or tried.get(job.source) == changed:
                continue
            if wanted:
                todo.append(job)
            elif job.source in tried:
                console.note(f"{job.source} has changed, its result is kept: --overwrite replaces it")
            tried[job.source] = changed
        if todo:
            yield todo


def piped(settings: EnhanceSettings, look: "Look", encoding: "Encoding") -> None:
    """One picture from standard input, to standard output, or both."""
    from ..core.enhancing import jobs
    from ..core.enhancing.enhancer import finish
    from ..core.errors import PictureError
    from ..core.pictures import folders, images
    from ..core.pictures.encoding import encode
    from ..views.pictures import plan

    if len(settings.inputs) != 1:
        raise ConfigError("- stands for one picture: give one input with it")
    for name in ("json_lines", "compare", "watch", "suffix", "shard"):
        if settings.changed(name):
            option = name.removesuffix("_lines")
            raise ConfigError(f"- stands for one picture without a name: leave out --{option}")
    (source,), out = settings.inputs, settings.out or PIPE
    if out.is_dir() or (source == PIPE != out and not out.suffix):
        raise ConfigError(f"{out}: a picture from standard input has no name: give --out a file")
    if out != PIPE:
        jobs.check_kind(out, settings.format)
    if source != PIPE and folders.is_folder(source):
        raise PictureError(f"{source}: a folder, and - stands for one picture: give --out a folder")
    if settings.dry_run and source != PIPE and (fault := folders.missing(source)):
        raise PictureError(fault)
    if settings.dry_run:
        raise SystemExit(not plan([jobs.Job(source, (out,))], overwrite=settings.overwrite))
    if out == PIPE and getattr(sys.stdout, "name", "") == os.devnull:
        raise ConfigError("standard output is closed: send the picture to a file with > or --out FILE")
    if out == PIPE and sys.stdout.isatty():
        raise ConfigError("a terminal cannot show a picture: send it to a file with > or --out FILE")
    if out != PIPE and out.exists() and not settings.overwrite:
        console.note(f"{out} exists, skipped: use --overwrite to replace it")
        return
    picture = images.read(sys.stdin.buffer if source == PIPE else source)
    if settings.format:
        kind = images.WRITTEN[f".{settings.format}"]
    elif out != PIPE:
        kind = images.kind_of(out)
    else:
        kind = "TIFF" if source.suffix.lower() in images.RAW else images.kept_as(picture)
    if settings.depth == "16" and jobs.too_narrow(kind):
        raise ConfigError(jobs.too_narrow(kind))
    dtype = encoding.dtype(kind, picture.samples.dtype)
    (result,) = finish(started(settings).enhanced([picture], look, dtype=dtype))
    if out == PIPE:
        file = io.BytesIO()  # some formats are not written from start to end
        encode(file, result, kind, encoding)
        try:
            rest = file.getbuffer()
            while rest:  # unbuffered, as Python can be asked to be, it takes a part at a time
                rest = rest[sys.stdout.buffer.write(rest) :]
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # whoever read it has had enough
            raise
        except OSError as error:
            raise PictureError(f"standard output: {error.strerror}: send the picture elsewhere, with --out") from error
    else:
        images.write(out, result, encoding)
        console.note(f"1 done: {out}")
