import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..config import ConfigError
from ..settings import TrainSettings
from ..signals import endings, handled
from .options import CONFIG, option

if TYPE_CHECKING:
    from ..core.training.events import Event
    from ..core.training.ranks import Ranks

DATA, NETWORK, STEPS, RECORDS, MACHINE = "Data", "Network", "Steps", "Records", "Machine"
STOPPING = "stopping soon, and saving; Ctrl-C again leaves at once, without saving"


def train(
    config: Annotated[Path | None, CONFIG] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.", show_default=False)] = None,
    network: Annotated[str | None, option(TrainSettings, "network", panel=NETWORK)] = None,
    stage: Annotated[str | None, option(TrainSettings, "stage", panel=NETWORK)] = None,
    dataset: Annotated[list[str] | None, option(TrainSettings, "dataset", panel=DATA)] = None,
    data: Annotated[Path | None, option(TrainSettings, "data", panel=DATA)] = None,
    photos: Annotated[Path | None, option(TrainSettings, "photos", panel=DATA)] = None,
    keep_flagged: Annotated[
        bool | None, option(TrainSettings, "keep_flagged", "--keep-flagged/--leave-flagged", panel=DATA)
    ] = None,
    run_dir: Annotated[Path | None, option(TrainSettings, "run_dir", panel=RECORDS)] = None,
    init: Annotated[str | None, option(TrainSettings, "init", panel=NETWORK)] = None,
    keep_context: Annotated[
        bool | None, option(TrainSettings, "keep_context", "--keep-context/--learn-context", panel=NETWORK)
    ] = None,
    upsampling: Annotated[str | None, option(TrainSettings, "upsampling", panel=NETWORK)] = None,
    ignore_enhance_net: Annotated[
        bool | None, option(TrainSettings, "ignore_enhance_net", "--ignore-enhance-net/--enhance-net", panel=NETWORK)
    ] = None,
    exposure: Annotated[float | None, option(TrainSettings, "exposure", panel=NETWORK)] = None,
    epochs: Annotated[int | None, option(TrainSettings, "epochs", panel=STEPS)] = None,
    batch: Annotated[int | None, option(TrainSettings, "batch", panel=STEPS)] = None,
    patch: Annotated[int | None, option(TrainSettings, "patch", panel=STEPS)] = None,
    optimizer: Annotated[str | None, option(TrainSettings, "optimizer", panel=STEPS)] = None,
    lr: Annotated[float | None, option(TrainSettings, "lr", panel=STEPS)] = None,
    decom_lr: Annotated[float | None, option(TrainSettings, "decom_lr", panel=STEPS)] = None,
    enhance_lr: Annotated[float | None, option(TrainSettings, "enhance_lr", panel=STEPS)] = None,
    scheduler: Annotated[str | None, option(TrainSettings, "scheduler", panel=STEPS)] = None,
    ema: Annotated[float | None, option(TrainSettings, "ema", panel=STEPS)] = None,
    clip: Annotated[float | None, option(TrainSettings, "clip", panel=STEPS)] = None,
    seed: Annotated[int | None, option(TrainSettings, "seed", panel=STEPS)] = None,
    validation: Annotated[float | None, option(TrainSettings, "validation", panel=DATA)] = None,
    validate_every: Annotated[int | None, option(TrainSettings, "validate_every", panel=RECORDS)] = None,
    checkpoint_every: Annotated[int | None, option(TrainSettings, "checkpoint_every", panel=RECORDS)] = None,
    precision: Annotated[str | None, option(TrainSettings, "precision", panel=MACHINE)] = None,
    device: Annotated[str | None, option(TrainSettings, "device", panel=MACHINE)] = None,
    wandb: Annotated[str | None, option(TrainSettings, "wandb", panel=RECORDS)] = None,
    wandb_project: Annotated[str | None, option(TrainSettings, "wandb_project", panel=RECORDS)] = None,
) -> None:
    """Train RetinexNet or retinex-plus on pairs of dark and well-lit pictures.

    Ctrl-C saves and exits; --resume RUN continues, on a CPU with
    as many threads to exactly the same weights. Settings may stand in a TOML
    file (--config) or in the environment; width, decay_epochs, decay, patience,
    restarts and weights have no option.

    For instance: lowlight train --stage joint
    """
    given = {name: value for name, value in locals().items() if name != "resume"}
    if resume is not None:
        if not (resume / "settings.json").is_file():
            raise ConfigError(f"{resume}: no run to go on with: it should hold settings.json")
        if run_dir is not None:
            raise ConfigError(f"--resume goes on in {resume}: leave out --run-dir, or start from it with --init")
        config = config or resume / "settings.json"
        run_dir = resume
    of_run = resume is not None and config == resume / "settings.json"
    settings = TrainSettings.load(**given | {"config": config, "run_dir": run_dir, "of_run": of_run})
    from ..core.device import choose
    from ..core.training import engine
    from ..core.training.events import Reading
    from ..core.training.ranks import Ranks

    ranks = Ranks.here(choose(settings.device))
    folder = settings.run_dir or own_folder(settings)
    if resume is not None and ranks.first and not (resume / "state.pt").is_file():
        kept = "its state.pt is gone: it begins anew, and its models stay as NAME.safetensors.old"
        saved = any(resume.glob("[!.]*.safetensors"))
        console.note(f"{resume}: {kept if saved else 'nothing was saved there yet: it begins anew'}")

    with (
        watched(settings, folder, ranks) as watchers,
        closing(engine.train(settings, folder)) as events,
        interruptible(STOPPING if ranks.first else "") as interrupted,
    ):
        stopped = False
        for event in events:
            uneven = ranks.count > 1 and isinstance(event, Reading)  # one process may have more of these than another
            with nullcontext() if uneven else ranks.together():
                for watcher in watchers:
                    watcher(event)
            stopped = not uneven and ranks.any(bool(interrupted))
            if stopped:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                events.close()  # which saves, while no further signal interrupts
                break
    if stopped and ranks.first:
        console.note(how_to_go_on(folder, ranks, named=settings.run_dir is not None))
    if stopped:
        sys.exit(130)


@contextmanager
def watched(settings: TrainSettings, folder: Path, ranks: "Ranks") -> "Iterator[list[Callable[[Event], None]]]":
    """What is to see each event of a run: what keeps them in files or elsewhere, and what shows them. Of several
    processes only the first writes and speaks; if it cannot, all leave."""
    from ..tracking import tracking
    from ..views.training import TrainingView

    with ExitStack() as stack:
        watchers: list[Callable[[Event], None]] = []
        with ranks.together():
            if ranks.first:
                watchers += stack.enter_context(tracking(settings, folder))
        if ranks.first:
            watchers.append(TrainingView(stack.enter_context(console.counting("reading pairs", 1))))
        yield watchers


def how_to_go_on(folder: Path, ranks: "Ranks", *, named: bool) -> str:
    """What to do after an interruption; the folder may have been ``named`` in the command."""
    if not (folder / "state.pt").is_file():
        return "stopped before anything was learned: the same command begins anew"
    place = shlex.quote(str(folder))
    if ranks.count > 1:
        return f"stopped and saved: go on with the same command{'' if named else f' and --run-dir {place}'}"
    return f"stopped and saved: go on with `lowlight train --resume {place}`"


def own_folder(settings: TrainSettings) -> Path:
    """A folder for a run that was given none. The process in its name tells it from one that began with it."""
    name = settings.network if settings.network == "retinex-plus" else settings.stage
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"


@contextmanager
def interruptible(said: str = "") -> Iterator[list[bool]]:
    """Within, Ctrl-C, SIGTERM and SIGHUP fill the list that is yielded; the first of them prints what is ``said``.

    A second Ctrl-C interrupts at once; not under torchrun, which passes on what the terminal has sent already, and ends
    by itself what does not end. A second SIGTERM or SIGHUP does nothing: whoever shuts down sends several.
    """
    seen: list[bool] = []

    def note(number: int, _: object) -> None:
        if seen and number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:
            raise KeyboardInterrupt
        if said and not seen:
            console.note(said)
        seen.append(True)

    with handled(note, signal.SIGINT, *endings()):
        yield seen
