"""The moving parts of a run, which the engine sets going: what learns in which phase, step by step, and its state."""

import math
import time
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ...settings import TrainSettings
from ..data import trainingset
from ..device import fast_bf16, out_of_memory
from ..errors import SaidElsewhere, TrainingError
from ..networks import Network
from . import schedule, validation
from .events import Event, Phase, Pictured, Saved, Step, Validated
from .objective import objective
from .pairbank import PairBank
from .ranks import Ranks
from .runs import Run, State
from .start import bank, network, unseen

PHASES: dict[str, tuple[Phase, ...]] = {
    "decom": ("decom",),
    "enhance": ("enhance",),
    "separate": ("decom", "enhance"),
    "joint": ("joint",),
}
LEARNING: dict[Phase, tuple[str, ...]] = {
    "decom": ("decom",),
    "enhance": ("enhance",),
    "joint": ("decom", "enhance"),
    "plus": ("globals", "scenes", "locals"),
}
"""The parts of a network that learn in each phase."""
REPORT_EVERY = 10  # steps; reading a loss makes a GPU wait, so read rarely
SHOWN = 3  # held-out pairs in the picture grids, far apart in the list, where the pairs of a scene stand together


class Session:
    """The moving parts of a run: networks, optimiser, random generator, and how far they have come."""

    def __init__(
        self, settings: TrainSettings, data: trainingset.TrainingSet, run: Run, device: torch.device, ranks: Ranks
    ) -> None:
        self.settings, self.run, self.device, self.ranks = settings, run, device, ranks
        self.phases: tuple[Phase, ...] = ("plus",) if settings.network == "retinex-plus" else PHASES[settings.stage]
        self.bf16 = settings.precision == "bf16" or (settings.precision == "auto" and fast_bf16(device))
        self.bank = bank(settings, data, device)
        self.validation = PairBank(data.validation, device=device) if data.validation else None
        self.steps_per_epoch = max(self.bank.epoch_size // settings.batch, 1)

        torch.manual_seed(settings.seed)
        net, before = network(settings)
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.learned_from = sorted({*before.get("learned_from", ()), *data.learned_from})
        self.held_out, self.unseen = data.held_out, unseen(data.held_out, before)
        self.generator = torch.Generator(device).manual_seed(settings.seed)
        self.number = self.epoch = self.step = 0  # of the phase, of the epoch in it, of all steps
        self.best = -math.inf
        self.begin_phase()

    @property
    def phase(self) -> Phase:
        return self.phases[self.number]

    def begin_phase(self) -> None:
        """What learns in the current phase, its objective, optimiser, schedule and average."""
        settings = self.settings
        learning = ("locals",) if settings.keep_context else LEARNING[self.phase]
        rates = {"decom": settings.decom_lr or settings.lr, "enhance": settings.enhance_lr or settings.lr}
        groups: list[dict[str, Any]] = []
        for name, net in self.net.named_children():
            net.requires_grad_(name in learning)
            if name in learning:
                rate = rates.get(name, settings.lr)
                groups.append({"params": list(net.parameters()), "lr": rate, "initial_lr": rate, "name": name})
        self.objective: nn.Module = objective(self.net, self.phase, settings.weights, bf16=self.bf16)
        optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
        self.optimizer = optimizer(groups, fused=True)
        self.plateau = (
            ReduceLROnPlateau(self.optimizer, factor=settings.decay, patience=settings.patience)
            if settings.scheduler == "plateau"
            else None
        )
        self.average = schedule.MovingAverage(self.net, settings.ema) if settings.ema else None
        self.epoch_start = self.generator.get_state()
        self.step_in_epoch = 0

    @property
    def left(self) -> int:
        """The steps to come."""
        epochs = (len(self.phases) - self.number) * self.settings.epochs - self.epoch
        return epochs * self.steps_per_epoch - min(self.step_in_epoch, self.steps_per_epoch)  # pairs may be gone

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, their validation included."""
        return self.number + 1 == len(self.phases) and self.epoch == self.settings.epochs

    @property
    def result(self) -> Network:
        """The network as it would be saved: the average if there is one."""
        return self.net if self.average is None else self.average.net

    def events(self) -> Iterator[Event]:
        """Train from where the session is to its end."""
        try:
            while True:
                if self.ranks.count > 1:  # not before all have come this far: it waits for the others
                    self.objective = DistributedDataParallel(self.objective)
                while self.epoch < self.settings.epochs:
                    yield from self.one_epoch()
                    yield from self.after_epoch()
                if self.number + 1 == len(self.phases):
                    return
                self.net.load_state_dict(self.result.state_dict())
                self.number, self.epoch = self.number + 1, 0
                self.begin_phase()
        except GeneratorExit:  # events end with whole steps, so the state is sound
            self.save()
            raise

    def one_epoch(self) -> Iterator[Step]:
        """The steps that are left of the epoch."""
        settings = self.settings
        total: Tensor | None = None
        names: list[str] = []
        since, clock = 0, time.perf_counter()
        if self.plateau is None:
            for group in self.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * schedule.rate_factor(settings, self.epoch)
        learning = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        batches = self.bank.epoch(settings.batch, settings.patch, self.generator, self.ranks.share)
        for number, batch in enumerate(batches):
            if number < self.step_in_epoch:  # a continued epoch draws again what it drew before the break
                clock = time.perf_counter()
                continue
            terms = self.objective(*batch)
            values = torch.stack(list(terms.values()))
            self.optimizer.zero_grad(set_to_none=True)
            values.sum().backward()
            if settings.clip:
                nn.utils.clip_grad_norm_(learning, settings.clip)
            self.optimizer.step()
            if self.average is not None:
                self.average.update(self.net)
            names = list(terms)
            total = values.detach() if total is None else total + values.detach()
            self.step, self.step_in_epoch, since = self.step + 1, number + 1, since + 1
            if since == REPORT_EVERY or self.step_in_epoch == self.steps_per_epoch:
                means = dict(zip(names, (self.ranks.mean(total) / since).tolist(), strict=True))
                loss = sum(means.values())
                rates = {group["name"]: group["lr"] for group in self.optimizer.param_groups}
                if not math.isfinite(loss):
                    raise self.diverged(f"the loss became {loss}")
                speed = since * settings.batch / (time.perf_counter() - clock)
                yield Step(self.phase, self.epoch, self.step, rates, loss, means, speed)
                total, since, clock = None, 0, time.perf_counter()

    def after_epoch(self) -> Iterator[Event]:
        """Validate and save, as due. The epoch counts as done when its events are out: whoever stops between them gets
        the rest of them when the run goes on."""
        settings = self.settings
        done = self.epoch + 1
        last = done == settings.epochs
        at = (self.phase, self.epoch, self.step)
        if done in settings.restarts:
            self.check()
            self.ranks.told(lambda: self.run.store(f"{self.phase}-{done}", self.result, self.about(done)))
        if (bank := self.validation) is not None and (last or done % settings.validate_every == 0):
            figures = validation.figures(self.result, self.phase, bank, settings.weights, self.ranks)
            if not math.isfinite(figures["loss"]):
                raise self.diverged(f"the validation loss became {figures['loss']}")
            # by SSIM: PSNR is most of all brightness, which a dark picture leaves to chance (experiments/RESULTS.md).
            # Decom-Net alone has none; its loss, below 0 here, is less than any SSIM of a later phase
            score = figures.get("ssim", -figures["loss"])
            best = score > self.best
            if best:
                self.ranks.told(
                    lambda: self.run.store("best", self.result, {**self.about(done), "validation": figures})
                )
            yield Validated(*at, figures, best)
            shown = range(0, len(bank), -(-len(bank) // SHOWN)) if self.ranks.first else []
            named = {self.held_out[index]: index for index in shown}
            yield Pictured(*at, validation.pictures(self.result, self.phase, bank, named))
            if self.plateau is not None:
                self.plateau.step(figures["loss"])
            if best:
                self.best = score
        self.epoch = done
        self.step_in_epoch, self.epoch_start = 0, self.generator.get_state()
        if last or self.epoch % settings.checkpoint_every == 0:
            self.ranks.told(self.save)
            yield Saved(*at, str(self.run.last))

    def check(self) -> None:
        """Raise TrainingError if the weights are ruined."""
        if not all(parameter.isfinite().all() for parameter in self.net.parameters()):
            raise self.diverged("weights became infinite")

    def diverged(self, how: str) -> TrainingError | SaidElsewhere:
        """That it went wrong, and what to do, which the first process alone says: all come here together."""
        if not self.ranks.first:
            return SaidElsewhere()
        fastest = max(self.optimizer.param_groups, key=lambda group: float(group["initial_lr"]))
        own = getattr(self.settings, f"{fastest['name']}_lr", None)
        option = "--lr" if own is None else f"--{fastest['name']}-lr"
        return TrainingError(f"{how} at step {self.step}: begin anew with a {option} below {fastest['initial_lr']:g}")

    def save(self) -> None:
        """Write the model and everything that the rest of the run depends on, unless it is ruined."""
        if not self.ranks.first:
            return
        self.check()
        state: State = {
            "device": self.device.type,
            "number": self.number,
            "epoch": self.epoch,
            "step": self.step,
            "step_in_epoch": self.step_in_epoch,
            "best": self.best,
            "held_out": self.held_out,
            "unseen": self.unseen,
            "learned_from": self.learned_from,
            "net": self.net.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "plateau": None if self.plateau is None else self.plateau.state_dict(),
            "generator": self.epoch_start,
        }
        self.run.save(self.result, state, self.about(self.epoch))

    def about(self, epochs: int) -> dict[str, Any]:
        """What a checkpoint after so many epochs of the phase says of itself besides the settings."""
        return {"phase": self.phase, "epoch": epochs, "held_out": self.unseen, "learned_from": self.learned_from}

    def restore(self, state: State) -> None:
        """Go back to a saved state. Raises TrainingError if it is none of this run."""
        try:
            self._restore(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if out_of_memory(error):
                raise
            raise self.run.damaged() from error

    def _restore(self, state: State) -> None:
        self.number = state["number"]
        self.begin_phase()
        self.epoch, self.step, self.step_in_epoch = state["epoch"], state["step"], state["step_in_epoch"]
        self.best = state["best"]
        # pairs added meanwhile may hold others out
        self.unseen = [name for name in self.unseen if name in state["unseen"]]
        self.learned_from = sorted({*self.learned_from, *state["learned_from"]})
        self.net.load_state_dict(state["net"])
        if self.average is not None:
            self.average.load_state_dict(cast(dict[str, Any], state["average"]))
        self.optimizer.load_state_dict(state["optimizer"])
        if self.plateau is not None:
            self.plateau.load_state_dict(cast(dict[str, Any], state["plateau"]))
        if state["held_out"] != self.held_out:  # figures of other pictures are no measure for these
            self.best = -math.inf
            if self.plateau is not None:
                self.plateau.best = math.inf
        if state["device"] == self.device.type:
            self.epoch_start = state["generator"].cpu()
            self.generator.set_state(self.epoch_start)
        else:  # generators of two kinds of devices do not understand each other: the rest of the run is as good a draw
            self.generator.manual_seed(self.settings.seed + self.step)
            self.epoch_start = self.generator.get_state()
