"""Training as a stream of events: the engine computes and keeps the run's files, whoever iterates shows and logs.

A run is one or two phases. Phase "decom" trains Decom-Net; "enhance" trains Enhance-Net with Decom-Net frozen, as the
authors do; "joint" trains both at once through the sum of both objectives.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..settings import LossWeights, TrainSettings
from . import checkpoints, datasets, device, losses, metrics, tiling
from .errors import TrainingError
from .files import replacing
from .images import quantised
from .networks import Decomposition, RetinexNet
from .pairbank import PairBank

Phase = Literal["decom", "enhance", "joint"]
PHASES: dict[str, tuple[Phase, ...]] = {
    "decom": ("decom",),
    "enhance": ("enhance",),
    "separate": ("decom", "enhance"),
    "joint": ("joint",),
}
REPORT_EVERY = 10  # steps; reading a loss makes a GPU wait, so read rarely


@dataclass(frozen=True)
class Reading:
    """Pairs are being decoded."""

    done: int
    total: int


@dataclass(frozen=True)
class Started:
    """Data and networks are ready."""

    run_dir: str
    device: str
    precision: str
    train_pairs: int
    validation_pairs: int
    left_out: list[str]
    steps: int
    done: int


@dataclass(frozen=True)
class Step:
    """Mean loss terms since the last such event."""

    phase: Phase
    epoch: int
    step: int
    lr: float
    loss: float
    terms: dict[str, float]
    patches_per_second: float


@dataclass(frozen=True)
class Validated:
    """Figures on held-out scenes, whole pictures: the objective and, once there is an I_hat, PSNR and SSIM (RGB)."""

    phase: Phase
    epoch: int
    figures: dict[str, float]
    best: bool


@dataclass(frozen=True)
class Saved:
    """The state of the run is on disk."""

    phase: Phase
    epoch: int
    path: str


@dataclass(frozen=True)
class Finished:
    """All epochs are done; ``path`` is the model to use."""

    path: str
    seconds: float


Event = Reading | Started | Step | Validated | Saved | Finished


def terms(
    net: RetinexNet, phase: Phase, low: Tensor, high: Tensor, by: LossWeights, *, bf16: bool = False
) -> losses.Terms:
    """The loss terms of a batch (B, 3, H, W) in ``phase``. Networks may run in bf16, losses never do."""
    with torch.autocast(low.device.type, torch.bfloat16, enabled=bf16):
        if phase == "enhance":
            with torch.no_grad():
                of_low = net.decom(low)
        else:
            reflectance, illumination = net.decom(torch.cat([low, high]))
            of_low, of_high = (
                Decomposition(r, i) for r, i in zip(reflectance.chunk(2), illumination.chunk(2), strict=True)
            )
        relit = net.enhance(*of_low).float() if phase != "decom" else None
    of_low = Decomposition(*(maps.float() for maps in of_low))
    found: losses.Terms = {}
    if phase != "enhance":
        found |= losses.decomposition(low, high, of_low, Decomposition(*(maps.float() for maps in of_high)), by)
    if relit is not None:
        found |= losses.relighting(high, of_low.reflectance, relit, by)
    return found


def rate(settings: TrainSettings, epoch: int) -> float:
    """The learning rate of an epoch, counted from 0 in each phase."""
    if settings.scheduler == "cosine":
        return settings.lr * (1 + math.cos(math.pi * epoch / settings.epochs)) / 2
    return settings.lr * settings.decay ** sum(epoch >= start for start in settings.decay_epochs)


@torch.inference_mode()
def validate(net: RetinexNet, phase: Phase, bank: PairBank, by: LossWeights) -> dict[str, float]:
    """Mean figures over whole held-out pictures, in fp32."""
    rows: list[dict[str, float]] = []
    for index in range(len(bank)):
        low, high = (tiling.padded(picture, net.MULTIPLE) for picture in bank.pair(index))
        row = {"loss": float(sum(terms(net, phase, low, high, by).values(), torch.zeros(())))}
        if phase != "decom":
            low, high = bank.pair(index)
            enhanced = quantised(tiling.run(net, low).enhanced) / 255
            row |= {"psnr": float(metrics.psnr(enhanced, high)), "ssim": float(metrics.ssim(enhanced, high))}
        rows.append(row)
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


class Run:
    """The folder of a run: ``settings.json``, ``last`` and ``best`` models, and ``state.pt`` to resume from."""

    def __init__(self, folder: Path, settings: TrainSettings) -> None:
        self.folder, self.settings = folder, settings
        self.last, self.best = folder / "last.safetensors", folder / "best.safetensors"
        self.state = folder / "state.pt"

    def begin(self) -> dict[str, Any] | None:
        """Make the folder, or return the saved state if this very run was begun there before."""
        record = self.folder / "settings.json"
        now = self.settings.model_dump(mode="json", exclude={"run_dir", "data", "device", "init"})
        if record.exists():
            before = json.loads(record.read_text())
            changed = sorted(name for name in now if before.get(name) != now[name])
            if changed:
                raise TrainingError(
                    f"{self.folder} holds a run with another {', '.join(changed)}: choose another --run-dir"
                )
            if self.state.exists():
                state: dict[str, Any] = torch.load(self.state, weights_only=True)
                return state
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise TrainingError(f"{self.folder} is not empty and holds no run: choose another --run-dir")
        with replacing(record) as partial:
            partial.write_text(json.dumps(now, indent=2) + "\n")
        return None

    def save(self, net: RetinexNet, state: dict[str, Any], about: dict[str, Any]) -> None:
        checkpoints.save(net, self.last, about)
        with replacing(self.state) as partial:
            torch.save(state, partial)


def train(settings: TrainSettings, run_dir: Path) -> Iterator[Event]:
    """Train as ``settings`` say, in ``run_dir``; a run that was begun there goes on where it was saved.

    On a CPU the continued run ends with the same weights, bit for bit, as an uninterrupted one.
    """
    began = time.monotonic()
    place = device.choose(settings.device)
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and device.fast_bf16(place))
    run = Run(run_dir, settings)
    state = run.begin()

    found = [
        pair for name in settings.dataset for pair in datasets.pairs(datasets.folder(name, settings.data, "train"))
    ]
    pictures = []
    for picture in datasets.decoded(found):
        pictures.append(picture)
        yield Reading(len(pictures), len(found))
    data = datasets.split(found, pictures, fraction=settings.validation, seed=settings.seed)
    bank = PairBank(data.train, place)
    held_out = PairBank(data.validation, place) if data.validation else None
    if bank.smallest_side < settings.patch:
        raise TrainingError(
            f"the smallest picture has {bank.smallest_side} px a side: use --patch {bank.smallest_side // 8 * 8}"
        )

    torch.manual_seed(settings.seed)
    net = RetinexNet(settings.width) if settings.init is None else checkpoints.load(settings.init)[0].train()
    net = net.to(place).to(memory_format=torch.channels_last)
    generator = torch.Generator(place).manual_seed(settings.seed)
    steps_an_epoch = max(len(bank) // settings.batch, 1)
    phases = PHASES[settings.stage]
    first_phase = first_epoch = step = 0
    best = -math.inf
    if state is not None:
        first_phase, first_epoch, step, best = state["phase"], state["epoch"], state["step"], state["best"]
        net.load_state_dict(state["net"])
        generator.set_state(state["generator"])
    yield Started(
        run_dir=str(run_dir),
        device=str(place),
        precision="bf16" if bf16 else "fp32",
        train_pairs=len(bank),
        validation_pairs=len(held_out or ()),
        left_out=data.left_out,
        steps=len(phases) * settings.epochs * steps_an_epoch,
        done=step,
    )

    about = {"settings": settings.model_dump(mode="json", exclude={"run_dir", "data", "device", "init"})}
    for number, phase in enumerate(phases[first_phase:], first_phase):
        learning = {"decom": net.decom, "enhance": net.enhance, "joint": net}[phase]
        optimizer = torch.optim.Adam(learning.parameters(), fused=True)
        if state is not None and state["optimizer"] is not None and number == first_phase:
            optimizer.load_state_dict(state["optimizer"])
        for epoch in range(first_epoch if number == first_phase else 0, settings.epochs):
            lr = rate(settings, epoch)
            for group in optimizer.param_groups:
                group["lr"] = lr
            total: Tensor | None = None
            since, clock = 0, time.monotonic()
            for low, high in bank.epoch(settings.batch, settings.patch, generator):
                found_terms = terms(net, phase, low, high, settings.weights, bf16=bf16)
                values = torch.stack(list(found_terms.values()))
                optimizer.zero_grad(set_to_none=True)
                values.sum().backward()
                optimizer.step()
                total = values.detach() if total is None else total + values.detach()
                step, since = step + 1, since + 1
                if since == REPORT_EVERY or step % steps_an_epoch == 0:
                    means = dict(zip(found_terms, (total / since).tolist(), strict=True))
                    if not math.isfinite(sum(means.values())):
                        raise TrainingError(
                            f"the loss became {sum(means.values())} at step {step}: lower --lr from {lr:g}"
                        )
                    speed = since * settings.batch / (time.monotonic() - clock)
                    yield Step(phase, epoch, step, lr, sum(means.values()), means, speed)
                    total, since, clock = None, 0, time.monotonic()
            done = epoch + 1
            if held_out and (done % settings.validate_every == 0 or done == settings.epochs):
                figures = validate(net, phase, held_out, settings.weights)
                is_best = figures.get("psnr", -math.inf) > best
                if is_best:
                    best = figures["psnr"]
                    checkpoints.save(net, run.best, {**about, "phase": phase, "epoch": done, "validation": figures})
                yield Validated(phase, epoch, figures, is_best)
            if done % settings.checkpoint_every == 0 or done == settings.epochs:
                ended = done == settings.epochs
                state_now = {
                    "phase": number + 1 if ended else number,
                    "epoch": 0 if ended else done,
                    "step": step,
                    "best": best,
                    "net": net.state_dict(),
                    "optimizer": None if ended else optimizer.state_dict(),
                    "generator": generator.get_state(),
                }
                run.save(net, state_now, {**about, "phase": phase, "epoch": done})
                yield Saved(phase, epoch, str(run.last))
    yield Finished(str(run.best if run.best.exists() else run.last), time.monotonic() - began)


def as_record(event: Event) -> dict[str, Any]:
    """An event as plain data, its kind under ``event``."""
    return {"event": type(event).__name__.lower(), **asdict(event)}
