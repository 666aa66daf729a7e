from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..settings import DecomposeSettings
from . import CONFIG, option


def decompose(
    inputs: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.", show_default=False)],
    out: Annotated[Path | None, option(DecomposeSettings, "out", "--out", "-o")] = None,
    model: Annotated[str | None, option(DecomposeSettings, "model", "--model", "-m")] = None,
    overwrite: Annotated[bool | None, option(DecomposeSettings, "overwrite", "--overwrite/--keep")] = None,
    device: Annotated[str | None, option(DecomposeSettings, "device")] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Split pictures into reflectance and illumination, and show how the light is turned up.

    Writes NAME_reflectance, NAME_illumination, NAME_relit, NAME_enhanced and one labelled NAME_panel, all PNG.
    For instance: lowlight decompose night.jpg --out maps/
    """
    settings = DecomposeSettings.load(config, inputs=inputs, out=out, model=model, overwrite=overwrite, device=device)
    from ..core import jobs
    from ..core.enhancer import Enhancer

    todo = jobs.decompose_jobs(settings.inputs, settings.out)
    enhancer = Enhancer(settings.model, settings.device)
    console.follow("decomposing", todo, jobs.work(todo, enhancer.decompose_file, overwrite=settings.overwrite))
