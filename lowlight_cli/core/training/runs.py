"""The folder of a training run: settings, the last model and that of the best SSIM, and the state to resume from."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypedDict, cast

import torch
from torch import Tensor

from ...settings import TrainSettings
from .. import checkpoints
from ..errors import TrainingError
from ..files import locked, replacing, unfinished
from ..networks import Network

ELSEWHERE = {"run_dir", "data", "photos", "device", "wandb", "wandb_project", "checkpoint_every"}
"""Settings that may differ when a run goes on: where it runs and what it keeps, not what it computes, but for two
things: another kind of device draws other patches, and where the precision is auto, its own is used."""

ROOM = 32 << 20
"""Bytes free on a disk below which it counts as full, where a write failed and torch does not say why."""


class State(TypedDict):
    """All that the rest of a run depends on, as it is saved."""

    device: str  # its kind
    number: int  # of the phase
    epoch: int
    step: int
    step_in_epoch: int
    best: float
    held_out: list[str]
    unseen: list[str]
    learned_from: list[str]
    net: dict[str, Tensor]
    average: dict[str, Any] | None
    optimizer: dict[str, Any]
    plateau: dict[str, Any] | None
    generator: Tensor  # as it was when the epoch began


def said(value: object) -> str:
    """A setting's value in a message."""
    return (",".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def same(before: object, now: object) -> bool:
    """Whether a setting is what it was. Of a path that is gone, as files and folders may be moved, the name must be."""
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(same, before, now))
    moved = isinstance(before, str) and isinstance(now, str) and not Path(before).exists()
    return before == now or (moved and Path(str(before)).name == Path(str(now)).name)


class Run:
    """One run's files. Every file is replaced whole, so a crash at any moment leaves the state before or after."""

    def __init__(self, folder: Path, settings: TrainSettings) -> None:
        self.folder, self.settings = folder, settings
        self.last, self.best = folder / "last.safetensors", folder / "best.safetensors"
        self._state = folder / "state.pt"
        self._record = folder / "settings.json"
        self._lock = folder / ".lock"
        self._held = ExitStack()
        self._made = self._parent_made = False

    def begin(self) -> State | None:
        """Make the folder, and hold it until ``leave``; or, if this very run was begun and saved there before, return
        its saved state.

        Raises TrainingError if the folder holds anything else, or if another process trains there.
        """
        try:
            self._made = not self._record.exists()
            there = {*self.folder.iterdir()} if self.folder.exists() else set()
            if self._made and there - {self._lock, *unfinished(self.folder)}:
                raise TrainingError(f"{self.folder} is not empty and holds no run: choose another --run-dir")
            self._parent_made = not self.folder.parent.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(locked(self._lock))
            for path in (*unfinished(self.folder), *unfinished(self.folder / "pictures")):
                path.unlink(missing_ok=True)
            if self._state.exists():
                self._check_settings()
                return self._read_state()
            if not self._made:
                self._clear()
            with replacing(self._record) as partial:
                partial.write_text(json.dumps(self.settings.located(), indent=2) + "\n")
        except BlockingIOError as error:
            raise TrainingError(f"{self.folder}: another process trains there: choose another --run-dir") from error
        except OSError as error:
            raise TrainingError(
                f"{error.filename or self.folder}: {error.strerror}: choose another --run-dir"
            ) from error
        return None

    def _clear(self) -> None:
        """Put away what a run has left that has no state, which now begins anew: its models and its journal are kept as
        NAME.old. One with other settings, which has got as far as a model, is left as it is."""
        models = list(self.folder.glob("*.safetensors"))
        if models:
            self._check_settings()
        for path in (*models, self.folder / "events.jsonl"):
            if path.exists():
                path.replace(path.with_name(f"{path.name}.old"))
        left = (self.folder / name for name in ("curves.png", "wandb.id"))
        for path in (*left, *(self.folder / "pictures").glob("*.png")):
            path.unlink(missing_ok=True)

    def withdraw(self) -> None:
        """Leave nothing of a run that could not start."""
        if self._made:
            self._record.unlink(missing_ok=True)
        self.leave()
        if self._made:
            with suppress(OSError):  # others may be there by now
                self._lock.unlink(missing_ok=True)
                self.folder.rmdir()
                if self._parent_made:
                    self.folder.parent.rmdir()

    def leave(self) -> None:
        """Let others have the folder."""
        self._held.close()

    def _read_state(self) -> State:
        """What was saved last."""
        try:
            return cast(State, torch.load(self._state, map_location="cpu", weights_only=True))
        except (RuntimeError, EOFError, ValueError, LookupError, TypeError, UnpicklingError) as error:
            raise self.damaged() from error

    def damaged(self, file: Path | None = None) -> TrainingError:
        """What to say of a file, by default the state, that is not what was written there."""
        return TrainingError(
            f"{file or self._state}: damaged, or of another version of lowlight: begin anew in another --run-dir, from "
            f"its weights with --init {self.last}"
        )

    def _check_settings(self) -> None:
        try:
            recorded = json.loads(self._record.read_text())
            now, before = self.settings.located(), TrainSettings.model_validate(recorded, extra="ignore").located()
        except ValueError as error:
            raise self.damaged(self._record) from error
        changed = sorted(name for name in now.keys() - ELSEWHERE if not same(before[name], now[name]))
        if (before["photos"] is None) != (now["photos"] is None):  # darkened anew for each patch, or once for all
            changed.append("photos")
        if changed:
            others = ", ".join(f"{name} {said(before[name])}, not {said(now[name])}" for name in changed)
            raise TrainingError(
                f"{self.folder} holds a run with {others}: choose another --run-dir, "
                f"to go on from its weights with --init {self.last}"
            )

    def save(self, net: Network, state: State, about: Mapping[str, Any]) -> None:
        """Replace the last model and the state."""
        self.store("last", net, about)
        with self._saving(), replacing(self._state) as partial:
            torch.save(state, partial)

    def store(self, name: str, net: Network, about: Mapping[str, Any]) -> None:
        """Write a model into the folder, in the place of what had that name: "last", "best", or a cosine's end."""
        settings = self.settings.model_dump(mode="json", exclude=ELSEWHERE)
        settings["dataset"] = self.settings.dataset_names
        settings["init"] = self.settings.init and Path(self.settings.init).name
        with self._saving():
            checkpoints.save(net, self.folder / f"{name}.safetensors", {**about, "settings": settings})

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            fault = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            if isinstance(error, RuntimeError) and shutil.disk_usage(self.folder).free < ROOM:
                fault = "no space left on the disk"
            before = "what was saved before is whole" if self._state.exists() else "nothing was saved yet"
            raise TrainingError(
                f"{self.folder}: cannot save ({fault}); {before}: make room, repeat the command"
            ) from error
