from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..settings import EnhanceSettings
from . import CONFIG, option


def enhance(
    inputs: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.", show_default=False)],
    out: Annotated[Path | None, option(EnhanceSettings, "out", "--out", "-o")] = None,
    model: Annotated[str | None, option(EnhanceSettings, "model", "--model", "-m")] = None,
    overwrite: Annotated[bool | None, option(EnhanceSettings, "overwrite", "--overwrite/--keep")] = None,
    device: Annotated[str | None, option(EnhanceSettings, "device")] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Make dark pictures bright.

    For instance: lowlight enhance photos/ --out bright/
    """
    settings = EnhanceSettings.load(config, inputs=inputs, out=out, model=model, overwrite=overwrite, device=device)
    from ..core import jobs
    from ..core.enhancer import Enhancer

    todo = jobs.enhance_jobs(settings.inputs, settings.out)
    enhancer = Enhancer(settings.model, settings.device)
    console.follow("enhancing", todo, jobs.work(todo, enhancer.enhance_file, overwrite=settings.overwrite))
