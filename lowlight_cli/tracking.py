"""What is kept of a training run besides its models: consumers of the engine's events.

Always ``events.jsonl`` and picture grids in the run's folder, ``curves.png`` where matplotlib is installed, and Weights
& Biases on request.
"""

import json
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
from .core.training.events import Event, Finished, Pictured, Reading, Started, Step, Validated, as_record
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
        raise TrainingError(f"{fault}, then go on with --resume {folder}") from error


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


class Album:
    """The maps of some held-out pairs after each validation, as ``pictures/PHASE-EPOCH.png``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "pictures"

    def __call__(self, event: Event) -> None:
        if isinstance(event, Pictured):
            images.save(grid(event), self._folder / f"{event.phase}-{event.epoch + 1:04}.png")


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
        self._current = False  # a picture takes a second: none is drawn twice

    def __call__(self, event: Event) -> None:
        if isinstance(event, Validated) or (isinstance(event, Finished) and not self._current):
            draw_curves(self._folder / "events.jsonl", self._folder / "curves.png")
            self._current = True
        elif isinstance(event, Step):
            self._current = False


WEIGHTED = "loss and its weighted terms"
TITLES = {"loss": "validation loss", "psnr": "PSNR, dB", "ssim": "SSIM, RGB", "relit_mean": "mean of I_hat"}
"""What validation figures are called over their curves."""


def draw_curves(journal: Path, target: Path) -> None:
    """Draw the curves of a journal, whole or not at all."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # title, curve and step to value: a run that was killed repeats what it had not saved
    lines: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for text in journal.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(text)
        except json.JSONDecodeError:  # half a line, of a run that was killed
            continue
        if record["event"] == "step":
            lines[WEIGHTED][f"sum, {record['phase']}"][record["step"]] = record["loss"]
            for name, value in record["terms"].items():
                lines[WEIGHTED][name][record["step"]] = value
            for name, value in record["rates"].items():
                lines["learning rate"][name][record["step"]] = value
        elif record["event"] == "validated":
            for name, value in record["figures"].items():
                lines[TITLES.get(name, name)][record["phase"]][record["step"]] = value
    count = max(len(lines), 1)
    figure = Figure(figsize=(10, 3 * count))
    figure.subplots_adjust(left=0.09, right=0.98, bottom=0.17 / count, top=1 - 0.11 / count, hspace=0.5)  # in no time
    rows = figure.subplots(count, sharex=True, squeeze=False)[:, 0]
    for axes, (title, curves) in zip(rows, lines.items(), strict=False):
        for name, points in curves.items():
            axes.plot(
                *zip(*sorted(points.items()), strict=True),
                label=name,
                linewidth=1,
                marker="." if len(points) < 40 else "",
            )
        axes.set(title=title, xlabel="step", yscale="log" if "loss" in title or "rate" in title else "linear")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.tick_params(labelbottom=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, ncols=2)
    with replacing(target) as partial:
        figure.savefig(partial, dpi=100)


class WeightsAndBiases:
    """Losses by term, learning rates, validation figures and picture grids, to Weights & Biases; of a run that goes on,
    to where they were before."""

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

    def _begin(self) -> None:
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
                config=self._settings.model_dump(mode="json"),
                settings={"silent": True, "console": "off", "x_service_wait": 120},  # its own 30 s fail on busy cores
            )
        except self._wandb.Error as error:
            raise TrainingError(f"Weights & Biases did not start: {error}: use --wandb offline, or off") from error
        record.write_text(self._run.id)

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self._begin()
            case Step():
                rates = {f"lr/{name}": value for name, value in event.rates.items()}
                terms = {f"loss/{name}": value for name, value in event.terms.items()}
                self._log(
                    event.step, {"loss": event.loss, "patches_per_second": event.patches_per_second, **rates, **terms}
                )
            case Validated():
                self._log(event.step, {f"validation/{name}": value for name, value in event.figures.items()})
            case Pictured():
                image = self._wandb.Image(grid(event), caption=", ".join(event.rows))
                self._log(event.step, {"pictures": image})
            case _:
                pass

    def _log(self, step: int, values: dict[str, Any]) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        if self._run is None:
            return
        place = Path(self._run.dir).parent
        self._run.finish()
        if self._offline:
            console.note(f"for Weights & Biases: send it with `wandb sync {place}`")
