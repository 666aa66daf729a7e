"""A training run as it goes."""

import time

from .. import console
from ..core.training import events


class TrainingView:
    """Shows the events of a training run: one live bar, and a line for each validation; into a file, which holds no
    bar, also one for each checkpoint."""

    def __init__(self, counter: console.Counter) -> None:
        self._counter = counter
        self._began, self._begun_at, self._steps, self._loss = time.monotonic(), 0, 0, ""

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.Reading(done=done, total=total):
                self._counter.at(done, total, "reading pairs")
            case events.Started():
                for pair in event.left_out[: console.LISTED]:
                    console.note(f"left out: {pair}")
                if event.left_out:
                    more = f" ({event.run_dir}/events.jsonl names all)" if len(event.left_out) > console.LISTED else ""
                    console.note(f"{len(event.left_out)} left out: --keep-flagged trains on what it can of them{more}")
                console.note(
                    f"{event.train_pairs} pairs to train on, {event.validation_pairs} of other scenes to validate, "
                    f"on {event.device} in {event.precision}; files in {event.run_dir}"
                )
                if event.known:
                    console.note(
                        f"{event.known} of the validation pairs were trained on before, by the weights of --init or by "
                        "this run with other data: figures flatter"
                    )
                self._began, self._begun_at, self._steps = time.monotonic(), event.done, event.steps
                if event.finished:
                    console.note(
                        "this run is finished: to train further, give another --run-dir, and --init with its weights"
                    )
                self._counter.at(event.done, event.steps, "starting")
            case events.Step():
                self._loss = f"loss {event.loss:.4f}, "
                self._counter.at(
                    event.step,
                    what=f"{event.phase} epoch {event.epoch + 1}  loss {event.loss:.4f}  "
                    f"lr {max(event.rates.values()):g}  {event.patches_per_second:.0f} patches/s",
                )
            case events.Validated():
                figures = "  ".join(f"{name} {value:.4f}" for name, value in event.figures.items())
                best = "  (best)" if event.best else ""
                console.note(f"{event.phase} epoch {event.epoch + 1}: held-out scenes  {figures}{best}")
            case events.Finished() if self._begun_at == self._steps:
                console.note(f"its model: {event.path}")
            case events.Finished():
                trained = "went on for" if self._begun_at else "trained in"
                console.note(f"{trained} {event.seconds / 60:.1f} min: {event.path}")
            case events.Saved() if not console.talk.is_terminal:
                spent, done = time.monotonic() - self._began, event.step - self._begun_at
                left = f"; {spent / done * (self._steps - event.step) / 60:.0f} min left" if done else ""
                console.note(f"{event.phase} epoch {event.epoch + 1}: {self._loss}saved{left}")
            case events.Saved() | events.Pictured():
                pass
