"""What is kept of a training run besides its models: consumers of the engine's events.

Always ``events.jsonl`` and picture grids in the run's folder, ``curves.png`` where matplotlib is installed, and Weights
& Biases on request.
"""

import json
import math
import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from PIL import Image

from . import console
from .core.errors import PictureError, TrainingError
from .core.files import replacing
from .core.pictures import images
from .core.pictures.panel import panel, stacked
from .core.training.events import Event, Finished, Pictured, Reading, Saved, Started, Step, Validated, as_record
from .settings import TrainSettings

Tracker = Callable[[Event], None]


@contextmanager
def tracking(settings: TrainSettings, folder: Path) -> Iterator[list[Tracker]]:
    """The trackers that the settings ask for, closed at the end whatever happens.

    Raises TrainingError, before anything is trained, if Weights & Biases is asked for and cannot be had.
    """

    with ExitStack() as stack:
        trackers: list[Tracker] = []
        if settings.wandb != "off":
            trackers.append(stack.enter_context(closing(WeightsAndBiases(settings, folder))))
        kept: list[Tracker] = [stack.enter_context(closing(Journal(folder))), Album(folder)]
        if find_spec("matplotlib") is not None:
            kept.append(Curves(folder))
        else:
            console.note("no curves.png: it needs the extra: pip install 'lowlight[plots]'")
        yield [*trackers, *(partial(keep, tracker, folder) for tracker in kept)]


def keep(tracker: Tracker, folder: Path, event: Event) -> None:
    """Let what writes into a run's folder see an event. Raises TrainingError if it cannot, as on a full disk."""
    try:
        tracker(event)
    except (OSError, PictureError) as error:
        fault = f"{folder}: {error.strerror or error}: make room" if isinstance(error, OSError) else str(error)
        raise TrainingError(f"{fault}, then go on with --resume {shlex.quote(str(folder))}") from error


class Journal:
    """Every event as a line of ``events.jsonl``; a continued run appends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "events.jsonl"
        self._file: TextIO | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Reading):
            return
        if self._file is None:  # opened late, so that a run that cannot start leaves no file
            self._file = self._path.open("a", encoding="utf-8")
            if self._path.stat().st_size and not self._path.read_bytes().endswith(b"\n"):  # a line that broke off
                self._file.write("\n")
        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **as_record(event)}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # of the line that the disk had no room for, which has been told
                self._file.close()


def records(journal: Path) -> Iterator[dict[str, Any]]:
    """The events of a journal, less a line that broke off where a run was killed."""
    for line in journal.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            yield json.loads(line)


class Album:
    """The maps of some held-out pairs after each validation, as ``pictures/PHASE-EPOCH.png``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, event: Event) -> None:
        if isinstance(event, Pictured):
            images.save(grid(event), page(self._folder, event.phase, event.epoch))


def page(folder: Path, phase: str, epoch: int) -> Path:
    """Where a run's folder has the grid of an epoch, counted from 0."""
    return folder / "pictures" / f"{phase}-{epoch + 1:04}.png"


def grid(event: Pictured) -> Image.Image:
    """One row for each pair: low, with its name, R, I, I_hat, enhanced, high."""
    return stacked(
        [
            panel(
                [(f"low, {short(name)}" if label == "low" else label, shown) for label, shown in maps.items()],
                width=240,
            )
            for name, maps in event.rows.items()
        ]
    )


def short(name: str) -> str:
    """The end of a name, as it finds room over a picture."""
    return name if len(name) <= 24 else f"…{name[-23:]}"


class Curves:
    """``curves.png``: losses, learning rates and validation figures over steps, drawn from the journal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drawn, self._current = -math.inf, False  # a picture takes a second: none is drawn twice

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        due = isinstance(event, Validated) or (isinstance(event, Saved) and now > self._drawn + SELDOM)
        if due or (isinstance(event, Finished) and not self._current):
            draw_curves(self._folder / "events.jsonl", self._folder / "curves.png")
            self._drawn, self._current = now, True
        elif isinstance(event, Step):
            self._current = False


SELDOM = 60
"""Seconds between curves of a run that validates seldom or never."""


WEIGHTED, SUM = "loss and its weighted terms", "sum, "
TITLES = {"loss": "validation loss", "psnr": "PSNR, dB", "ssim": "SSIM, RGB", "relit_mean": "mean of I_hat"}
"""What validation figures are called over their curves."""


def draw_curves(journal: Path, target: Path) -> None:
    """Draw the curves of a journal, whole or not at all."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # title, curve and step to value: a run that was killed repeats what it had not saved
    lines: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for record in records(journal):
        if record["event"] == "step":
            lines[WEIGHTED][f"{SUM}{record['phase']}"][record["step"]] = record["loss"]
            for name, value in record["terms"].items():
                lines[WEIGHTED][name][record["step"]] = value
            for name, value in record["rates"].items():
                lines["learning rate"][name][record["step"]] = value
        elif record["event"] == "validated":
            for name, value in record["figures"].items():
                lines[TITLES.get(name, name)][record["phase"]][record["step"]] = value
    count = max(len(lines), 1)
    figure = Figure(figsize=(10, 3 * count))
    figure.subplots_adjust(left=0.09, right=0.84, bottom=0.17 / count, top=1 - 0.11 / count, hspace=0.5)  # in no time
    rows = figure.subplots(count, sharex=True, squeeze=False)[:, 0]
    for axes, (title, curves) in zip(rows, lines.items(), strict=False):
        axes.set_prop_cycle(color=list(colormaps["tab20"](range(20))))  # ten colours do not tell all terms apart
        for name, points in curves.items():
            axes.plot(
                *zip(*sorted(points.items()), strict=True),
                label=name,
                linewidth=1,
                marker="." if len(points) < 40 else "",
                **({"color": "black"} if name.startswith(SUM) else {}),
            )
        axes.set(title=title, xlabel="step", yscale="log" if "loss" in title or "rate" in title else "linear")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.tick_params(labelbottom=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    with replacing(target) as partial:
        figure.savefig(partial, dpi=100)


class WeightsAndBiases:
    """Losses by term, learning rates, validation figures and picture grids, to Weights & Biases; of a run that goes on,
    to where they were before. Offline, what such a run has logged before is logged once more: of several parts of one
    run that are sent, the last takes the place of the others (https://github.com/wandb/wandb/issues/3841)."""

    def __init__(self, settings: TrainSettings, folder: Path) -> None:
        import wandb

        self._wandb, self._settings, self._folder = wandb, settings, folder
        self._offline = settings.wandb == "offline"
        self._run: Any = None
        remedy = "run `wandb login` once, or use --wandb offline"
        try:
            known = self._offline or wandb.login(prompt=False)
        except (wandb.Error, ValueError) as error:  # a key or an address that cannot be
            raise TrainingError(f"Weights & Biases: {' '.join(str(error).split())}: {remedy}") from error
        if not known:
            raise TrainingError(f"Weights & Biases: not logged in here: {remedy}")

    def _begin(self, started: Started) -> None:
        """Late, so that a run that cannot start leaves nothing there."""
        record = self._folder / "wandb.id"
        try:
            self._run = self._wandb.init(
                project=self._settings.wandb_project,
                name=self._folder.name,
                id=record.read_text() if record.exists() else None,
                resume=None if self._offline else "allow",
                mode="offline" if self._offline else "online",
                dir=self._folder.parent,
                config=self._settings.model_dump(mode="json") | {"started": as_record(started)},
                settings={"silent": True, "console": "off", "x_service_wait": 120},  # its own 30 s fail on busy cores
            )
        except self._wandb.Error as error:
            raise TrainingError(f"Weights & Biases did not start: {error}: use --wandb offline, or off") from error
        record.write_text(self._run.id)
        journal = self._folder / "events.jsonl"
        if self._offline and journal.exists():
            for before in records(journal):
                pictured = before["event"] == "pictured"
                shown = page(self._folder, before["phase"], before["epoch"]) if pictured else None
                if shown is None or shown.exists():
                    self._log(before, shown)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._begin(event)
        elif isinstance(event, Step | Validated | Pictured):
            self._log(as_record(event), grid(event) if isinstance(event, Pictured) else None)

    def _log(self, record: dict[str, Any], shown: Image.Image | Path | None) -> None:
        """Log what an event says, as the journal has it, and the grid ``shown`` with it."""
        match record["event"]:
            case "step":
                values = {name: record[name] for name in ("loss", "patches_per_second")}
                values |= {f"lr/{name}": value for name, value in record["rates"].items()}
                values |= {f"loss/{name}": value for name, value in record["terms"].items()}
            case "validated":
                values = {f"validation/{name}": value for name, value in record["figures"].items()}
            case "pictured":
                values = {"pictures": self._wandb.Image(shown, caption=", ".join(record["rows"]))}
            case _:
                return
        self._run.log(values, step=record["step"])

    def close(self) -> None:
        if self._run is None:
            return
        place = Path(self._run.dir).parent
        self._run.finish()
        if self._offline:
            console.note(f"for Weights & Biases: send it with `wandb sync {shlex.quote(str(place))}`")
