from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..config import ConfigError
from ..settings import PIPE, EnhanceSettings
from . import check_enhancer, load_enhancer, own_share, process
from .options import CONFIG, option
from .pipe import piped

if TYPE_CHECKING:
    from ..core.enhancing.jobs import Job

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
        check_enhancer(settings)
    look = Look(settings.strength, settings.denoise, settings.protect_highlights, settings.shadows)
    encoding = Encoding(settings.quality, settings.subsampling, settings.depth, settings.strip)
    if PIPE in (*settings.inputs, settings.out):
        piped(settings, look, encoding)
        return
    report = partial(pictures.json_line, model=Path(settings.model).stem) if settings.json_lines else None
    if settings.dry_run:
        raise SystemExit(not pictures.plan(planned(settings), report, overwrite=settings.overwrite))
    enhancer = load_enhancer(settings)
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
