"""waitress as this application wants it: errors in JSON, slow senders and readers cut off, and an end that finishes
what runs."""

import json
import socket
import threading
import time
from math import inf
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer, create_server
from waitress.task import ErrorTask

from ..core.errors import LowlightError
from ..settings import ServeSettings

SPARE = 8
"""Threads beyond those that compute or wait: for the page, for progress, and for saying no."""
LOOK_UP = 0.25
"""Seconds between two looks at who is slow, and whether the end has come."""


class Refusal(ErrorTask):  # type: ignore[misc]
    """What waitress itself refuses, a body that is too large or a request that is none, as JSON."""

    def execute(self) -> None:
        fault = self.request.error
        sentence = f"{fault.reason.lower()}: {fault.body}"
        if fault.code == 413:
            allowed = self.channel.adj.max_request_body_size >> 20
            sentence = f"more than the {allowed} MB that are allowed here: send a smaller file"
        body = json.dumps({"error": sentence}).encode() + b"\n"
        self.status = f"{fault.code} {fault.reason}"
        self.response_headers += [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")]
        self.content_length = len(body)
        self.set_close_on_finish()
        self.write(body)


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection."""

    error_task_class = Refusal
    request: Any

    def handle_close(self) -> None:
        """As waitress, but what has arrived of a request leaves the disk at once."""
        if self.request is not None:
            self.request.close()
            self.request = None
        super().handle_close()


def listening(app: Flask, settings: ServeSettings) -> TcpWSGIServer:
    """A server that accepts connections as soon as it is run. Raises LowlightError if the address cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        place = socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        fault = f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}"
        raise LowlightError(f"{fault}: choose another --host or --port") from error
    server = create_server(
        app,
        sockets=[place],
        ident=None,
        threads=settings.workers + settings.queue + SPARE,
        max_request_body_size=app.config["MAX_CONTENT_LENGTH"] + 1,
        channel_request_lookahead=1,  # keep reading, so that a client that hangs up is noticed
        connection_limit=512,
        channel_timeout=60,
        clear_untrusted_proxy_headers=True,
    )
    server.channel_class = Channel
    return server


def run(server: TcpWSGIServer, stop: threading.Event, patience: float) -> None:
    """Serve until ``stop`` is set, then finish what has been asked for. A request may take ``patience`` s to arrive;
    who takes no byte of an answer for ``channel_timeout`` s loses it."""
    arriving: dict[object, float] = {}
    leaving: dict[object, float] = {}
    accepting = True
    while accepting or any(busy(channel) for channel in server.active_channels.values()):
        server.asyncore.loop(LOOK_UP, server.adj.asyncore_use_poll, server._map, count=1)
        if accepting and stop.is_set():
            accepting = False
            wasyncore.dispatcher.close(server)
        now = time.monotonic()
        channels = list(server.active_channels.values())
        arriving = {each.request: arriving.get(each.request, now) for each in channels}
        leaving = {each: leaving.get(each, now) for each in channels if each.total_outbufs_len}
        for channel in channels:
            stuck = min(now - leaving.get(channel, now), time.time() - channel.last_activity)
            if stuck > server.adj.channel_timeout:
                channel.handle_close()  # by itself waitress would wait until it can be written to, which it cannot
                continue
            late = channel.request is not None and now - arriving.get(channel.request, inf) > patience
            if late or not (accepting or busy(channel)):
                channel.will_close = True
    server.task_dispatcher.shutdown()
    server.trigger.close()
    for channel in list(server.active_channels.values()):
        channel.handle_close()


def busy(channel: HTTPChannel) -> bool:
    """Whether a connection waits for an answer or for the rest of one."""
    return bool(channel.requests or channel.total_outbufs_len)
