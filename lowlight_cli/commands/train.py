from datetime import datetime
from pathlib import Path
from typing import Annotated

from .. import console, tracking
from ..settings import TrainSettings
from . import CONFIG, option


def train(
    config: Annotated[Path | None, CONFIG] = None,
    stage: Annotated[str | None, option(TrainSettings, "stage")] = None,
    dataset: Annotated[list[str] | None, option(TrainSettings, "dataset")] = None,
    data: Annotated[Path | None, option(TrainSettings, "data")] = None,
    run_dir: Annotated[Path | None, option(TrainSettings, "run_dir")] = None,
    init: Annotated[str | None, option(TrainSettings, "init")] = None,
    epochs: Annotated[int | None, option(TrainSettings, "epochs")] = None,
    batch: Annotated[int | None, option(TrainSettings, "batch")] = None,
    patch: Annotated[int | None, option(TrainSettings, "patch")] = None,
    lr: Annotated[float | None, option(TrainSettings, "lr")] = None,
    scheduler: Annotated[str | None, option(TrainSettings, "scheduler")] = None,
    seed: Annotated[int | None, option(TrainSettings, "seed")] = None,
    validation: Annotated[float | None, option(TrainSettings, "validation")] = None,
    validate_every: Annotated[int | None, option(TrainSettings, "validate_every")] = None,
    checkpoint_every: Annotated[int | None, option(TrainSettings, "checkpoint_every")] = None,
    precision: Annotated[str | None, option(TrainSettings, "precision")] = None,
    device: Annotated[str | None, option(TrainSettings, "device")] = None,
) -> None:
    """Train RetinexNet on pairs of dark and well-lit pictures.

    For instance: lowlight train --stage joint
    """
    settings = TrainSettings.load(
        config,
        stage=stage,
        dataset=dataset or None,
        data=data,
        run_dir=run_dir,
        init=init,
        epochs=epochs,
        batch=batch,
        patch=patch,
        lr=lr,
        scheduler=scheduler,
        seed=seed,
        validation=validation,
        validate_every=validate_every,
        checkpoint_every=checkpoint_every,
        precision=precision,
        device=device,
    )
    from ..core import engine

    folder = settings.run_dir or Path("runs") / f"{settings.stage}-{datetime.now():%Y%m%d-%H%M%S}"
    with console.counting("reading pairs", 1) as counter, tracking.Journal(folder) as journal:
        show = console.TrainingView(counter)
        for event in engine.train(settings, folder):
            journal(event)
            show(event)
