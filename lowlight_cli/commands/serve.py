import os
import signal
import threading
from pathlib import Path
from typing import Annotated

from .. import console
from ..core.errors import LowlightError
from ..settings import ServeSettings
from ..signals import endings, handled
from .options import CONFIG, option

LIMITS, MACHINE = "Limits", "Machine"


def serve(
    host: Annotated[str | None, option(ServeSettings, "host")] = None,
    port: Annotated[int | None, option(ServeSettings, "port")] = None,
    public: Annotated[str | None, option(ServeSettings, "public")] = None,
    model: Annotated[list[str] | None, option(ServeSettings, "model", "--model", "-m")] = None,
    max_megapixels: Annotated[float | None, option(ServeSettings, "max_megapixels", panel=LIMITS)] = None,
    max_megabytes: Annotated[int | None, option(ServeSettings, "max_megabytes", panel=LIMITS)] = None,
    workers: Annotated[int | None, option(ServeSettings, "workers", panel=LIMITS)] = None,
    queue: Annotated[int | None, option(ServeSettings, "queue", panel=LIMITS)] = None,
    time_limit: Annotated[float | None, option(ServeSettings, "time_limit", panel=LIMITS)] = None,
    device: Annotated[str | None, option(ServeSettings, "device", panel=MACHINE)] = None,
    threads: Annotated[int | None, option(ServeSettings, "threads", panel=MACHINE)] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Serve a web page where pictures can be brightened, and the HTTP API that it uses.

    Opens on this machine alone unless --host says otherwise; works offline; keeps no picture.
    For instance: lowlight serve --port 8000
    """
    settings = ServeSettings.load(**locals())
    try:
        from ..web import create_app, server
    except ModuleNotFoundError as error:
        if error.name not in ("flask", "waitress", "werkzeug"):
            raise
        raise LowlightError("lowlight serve needs two more packages: pip install 'lowlight[web]'") from error

    listening = server.listening(create_app(settings), settings)
    stop = threading.Event()

    def end(*_: object) -> None:
        if stop.is_set():
            console.note("stopped")
            os._exit(130)  # the interpreter's own end would wait for the network's threads
        stop.set()  # first: the next signal may come while this one is being told of
        console.note("finishing what is being computed; Ctrl-C once more to leave at once")

    with handled(end, signal.SIGINT, *endings()):
        address = settings.address(int(listening.effective_port))
        console.out.print(address, markup=False, highlight=False, soft_wrap=True)
        console.note("Open this address in a browser; Ctrl-C ends the server.")
        if not settings.loopback:
            console.note("Other machines can reach it, without a password and unencrypted.")
        server.run(listening, stop, settings.time_limit)
