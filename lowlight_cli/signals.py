"""The signals that end a command."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def endings() -> list[signal.Signals]:
    """The signals besides Ctrl-C by which systems end a command, save those that are to be ignored, as nohup asks."""
    names = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__]
    return [name for name in names if signal.getsignal(name) != signal.SIG_IGN]


@contextmanager
def handled(handler: Callable[..., object], *signals: signal.Signals) -> Iterator[None]:
    """Within, these signals go to ``handler``, which is called with the number and the frame."""
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
