from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..config import ConfigError
from ..settings import PIPE, DecomposeSettings
from . import check_enhancer, load_enhancer, own_share
from .options import CONFIG, option


def decompose(
    inputs: Annotated[
        list[Path], typer.Argument(help="Pictures, or folders of them.", show_default=False, readable=False)
    ],
    out: Annotated[Path | None, option(DecomposeSettings, "out", "--out", "-o")] = None,
    maps: Annotated[str | None, option(DecomposeSettings, "maps")] = None,
    model: Annotated[str | None, option(DecomposeSettings, "model", "--model", "-m")] = None,
    overwrite: Annotated[bool | None, option(DecomposeSettings, "overwrite", "--overwrite/--skip-existing")] = None,
    denoise: Annotated[str | None, option(DecomposeSettings, "denoise")] = None,
    ensemble: Annotated[bool | None, option(DecomposeSettings, "ensemble", "--ensemble")] = None,
    dry_run: Annotated[bool | None, option(DecomposeSettings, "dry_run", "--dry-run")] = None,
    json_lines: Annotated[bool | None, option(DecomposeSettings, "json_lines", "--json")] = None,
    device: Annotated[str | None, option(DecomposeSettings, "device")] = None,
    precision: Annotated[str | None, option(DecomposeSettings, "precision")] = None,
    tile: Annotated[str | None, option(DecomposeSettings, "tile")] = None,
    threads: Annotated[int | None, option(DecomposeSettings, "threads")] = None,
    shard: Annotated[str | None, option(DecomposeSettings, "shard")] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Split pictures into reflectance and illumination, and show how the light is turned up.

    Writes NAME_reflectance, NAME_illumination, NAME_relit, NAME_enhanced and one labelled NAME_panel.
    For instance: lowlight decompose night.jpg --out maps/
    """
    settings = DecomposeSettings.load(**locals())
    if PIPE in settings.inputs:
        raise ConfigError("- is for enhance: decompose reads pictures from files, and writes several files of each")
    import torch

    from ..core.enhancing import batch, jobs
    from ..core.enhancing.look import Look
    from ..views import pictures

    todo = own_share(jobs.decompose_jobs(settings.inputs, settings.out, settings.maps), settings)
    report = partial(pictures.json_line, model=Path(settings.model).stem) if settings.json_lines else None
    if settings.dry_run:
        check_enhancer(settings)
        raise SystemExit(not pictures.plan(todo, report, overwrite=settings.overwrite))
    enhancer = load_enhancer(settings)
    dtype = {"png": torch.uint8, "png16": torch.uint16, "tiff": torch.float32, "npz": torch.float32}[settings.maps]
    look = Look(denoise=settings.denoise)
    events = batch.decompose(enhancer, todo, look, dtype=dtype, overwrite=settings.overwrite)
    raise SystemExit(not pictures.follow("decomposing", len(todo), events, report))
