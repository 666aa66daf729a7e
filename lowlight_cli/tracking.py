"""The record of a training run: every event as a line of ``events.jsonl`` in the run's folder."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from .core import engine


class Journal:
    """Writes events as they come, with their time; a continued run appends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "events.jsonl"
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __call__(self, event: "engine.Event") -> None:
        from .core import engine

        if isinstance(event, engine.Reading):
            return
        if self._file is None:  # opened late, so that a run that cannot start leaves no file
            self._file = self._path.open("a", encoding="utf-8")
        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **engine.as_record(event)}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
