from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..settings import DownloadSettings
from . import CONFIG, option


def download(
    name: Annotated[str | None, typer.Argument(help="The data set: lol or synthetic.", show_default="lol")] = None,
    data: Annotated[Path | None, option(DownloadSettings, "data")] = None,
    archive: Annotated[Path | None, option(DownloadSettings, "archive")] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Get a data set, verified and unpacked. What broke off goes on where it was.

    For instance: lowlight download lol --data data
    """
    settings = DownloadSettings.load(config, name=name, data=data, archive=archive)
    from ..core import downloads

    source = downloads.SOURCES[settings.name]
    with console.transferring(settings.name) as counter:
        show = console.DownloadView(counter)
        for event in downloads.obtain(source, settings.data, settings.archive):
            show(event)
