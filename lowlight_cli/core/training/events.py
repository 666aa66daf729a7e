"""What a training run reports. The engine yields these; progress views, logs and trackers consume them."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from torch import Tensor

Phase = Literal["decom", "enhance", "joint", "plus"]


@dataclass(frozen=True)
class Reading:
    """Pairs are being decoded."""

    done: int
    total: int


@dataclass(frozen=True)
class Started:
    """Data and networks are ready; ``done`` of ``steps`` lie behind a continued run, or all that there was to do."""

    run_dir: str
    version: str  # of lowlight
    torch: str
    processes: int
    threads: int  # of each
    device: str
    precision: str
    parameters: int
    train_pairs: int
    validation_pairs: int
    known: int  # of these, that the weights to start from, or this run with other data, have learned from
    left_out: list[str]
    steps: int
    done: int
    finished: bool


@dataclass(frozen=True)
class Step:
    """Mean loss terms since the last such event; learning rates by network."""

    phase: Phase
    epoch: int
    step: int
    rates: dict[str, float]
    loss: float
    terms: dict[str, float]
    patches_per_second: float


@dataclass(frozen=True)
class Validated:
    """Figures on held-out scenes, whole pictures, by the weights that would be saved."""

    phase: Phase
    epoch: int
    step: int
    figures: dict[str, float]
    best: bool  # the highest SSIM so far; of Decom-Net alone, the lowest loss


@dataclass(frozen=True)
class Pictured:
    """What the networks make of some held-out pairs: low, R, I, I_hat, enhanced and high, each (3 or 1, H, W)."""

    phase: Phase
    epoch: int
    step: int
    rows: dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Saved:
    """The state of the run is on disk."""

    phase: Phase
    epoch: int
    step: int
    path: str


@dataclass(frozen=True)
class Finished:
    """All epochs are done; ``path`` is the model to use."""

    path: str
    seconds: float


Event = Reading | Started | Step | Validated | Pictured | Saved | Finished


def as_record(event: Event) -> dict[str, Any]:
    """An event as plain data, its kind under ``event``, without pictures."""
    if isinstance(event, Pictured):
        values: dict[str, Any] = {field.name: getattr(event, field.name) for field in fields(event)}
        values["rows"] = list(event.rows)
    else:
        values = asdict(event)
    return {"event": type(event).__name__.lower(), **values}
