"""Who may compute now, who waits, and who is turned away: a line of bounded length, served in order of arrival."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from ..core.enhancing.enhancer import Steps, Value

LOOK_UP = 0.25
"""Seconds after which one who waits looks whether the client is still there."""

LONGEST = 60
"""Seconds after which to come again, at most."""


class FullError(Exception):
    """The line is as long as it may be, or takes too long; ``seconds`` is when to come again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class TooLongError(Exception):
    """The time for a request is over."""


class GoneError(Exception):
    """Whoever asked has hung up."""


@dataclass(eq=False)
class Turn:
    """One request's place in the line, and how far its work is."""

    name: str
    deadline: float
    gone: Callable[[], bool]
    workers: Executor
    began: float | None = None
    share: float = 0.0  # in [0, 1]

    def check(self) -> None:
        """Raise FullError, TooLongError or GoneError if there is no point in going on."""
        if self.gone():
            raise GoneError
        if time.monotonic() > self.deadline:
            raise FullError(LONGEST) if self.began is None else TooLongError

    def follow(self, steps: Steps[Value]) -> Value:
        """The result of work done in steps, unless time is over or nobody waits for it any more.

        Always in the same few threads: each that has run a network keeps memory for the next time.
        """
        return self.workers.submit(self._follow, steps).result()

    def _follow(self, steps: Steps[Value]) -> Value:
        try:
            while True:
                self.share = next(steps)
                self.check()
        except StopIteration as end:
            return end.value
        finally:
            steps.close()


class Desk:
    """Lets ``workers`` requests work at once and ``waiting`` more wait, none of them longer than ``seconds``."""

    def __init__(self, workers: int, waiting: int, seconds: float) -> None:
        self.workers, self.waiting, self.seconds = workers, waiting, seconds
        self._pool = ThreadPoolExecutor(workers, "network")
        self._line: list[Turn] = []  # the first ``workers`` of it work
        self._moved = threading.Condition()
        self._usual = 1.0  # seconds that a request works, averaged over the last few

    def refuse_if_full(self) -> None:
        """Raise FullError if the line is full."""
        with self._moved:
            if len(self._line) >= self.workers + self.waiting:
                raise FullError(min(max(ceil(self._usual * len(self._line) / self.workers), 1), LONGEST))

    @contextmanager
    def turn(self, name: str = "", gone: Callable[[], bool] = lambda: False) -> Iterator[Turn]:
        """Wait in line, then work within the block. Raises FullError, TooLongError or GoneError."""
        turn = Turn(name, time.monotonic() + self.seconds, gone, self._pool)
        with self._moved:
            self.refuse_if_full()
            self._line.append(turn)
        try:
            with self._moved:
                while self._line.index(turn) >= self.workers:
                    self._moved.wait(LOOK_UP)
                    turn.check()
            turn.began = time.monotonic()
            yield turn
            self._usual += 0.2 * (time.monotonic() - turn.began - self._usual)
        finally:
            with self._moved:
                self._line.remove(turn)
                self._moved.notify_all()

    def progress(self, name: str) -> dict[str, object] | None:
        """How far the request of that name is; None if it is not in the line."""
        with self._moved:
            for place, turn in enumerate(self._line):
                if name and turn.name == name:
                    if turn.began is None:
                        return {"state": "waiting", "ahead": max(place - self.workers + 1, 0)}
                    return {"state": "working", "share": round(turn.share, 3)}
        return None

    def counts(self) -> dict[str, int]:
        """How many work and how many wait."""
        with self._moved:
            working = min(len(self._line), self.workers)
            return {"working": working, "waiting": len(self._line) - working}
