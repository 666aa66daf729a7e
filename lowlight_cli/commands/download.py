from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..settings import DownloadSettings
from . import CONFIG, option


def download(
    name: Annotated[str | None, typer.Argument(help="The data set: lol.", show_default="lol")] = None,
    data: Annotated[Path | None, option(DownloadSettings, "data")] = None,
    archive: Annotated[Path | None, option(DownloadSettings, "archive")] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Get a data set, verified and unpacked.

    For instance: lowlight download lol --data data
    """
    settings = DownloadSettings.load(config, name=name, data=data, archive=archive)
    console.note(str(settings))
