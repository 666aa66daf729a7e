from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..settings import DownloadSettings
from .options import CONFIG, option


def download(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="lol or synthetic. Default: lol.", show_default=False)
    ] = None,
    data: Annotated[Path | None, option(DownloadSettings, "data")] = None,
    archive: Annotated[Path | None, option(DownloadSettings, "archive")] = None,
    check: Annotated[bool | None, option(DownloadSettings, "check", "--check/--no-check")] = None,
    show_list: Annotated[
        bool, typer.Option("--list", metavar="", help="Show what there is: size, licence, source, and what is here.")
    ] = False,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Download data sets, verify and unpack them, and check every pair. An interrupted download resumes.

    For instance: lowlight download lol --data data
    """
    settings = DownloadSettings.load(config, names=names or None, data=data, archive=archive, check=check)
    from ..core.data import downloads
    from ..core.errors import LowlightError
    from ..views.downloads import downloading, sources_table

    if show_list:
        console.out.print(sources_table(settings.data))
        return
    failed = False
    for name in settings.names:
        source = downloads.SOURCES[name]
        try:
            with downloading() as show:
                events = (
                    downloads.check(source, settings.data)
                    if settings.check
                    else downloads.obtain(source, settings.data, settings.archive)
                )
                for event in events:
                    show(event)
        except LowlightError as error:
            console.error(str(error))
            failed = True
    if failed:
        raise typer.Exit(1)
