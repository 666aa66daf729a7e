"""Training as a stream of events: the engine computes and keeps the run's files, whoever iterates shows and logs.

A run is one or two phases over a bank of pairs that lives on the device. Under ``torchrun`` every process computes its
share of each batch; gradients are averaged, so that the result is that of one process with the whole batch.
"""

import math
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel

from ..settings import TrainSettings
from . import checkpoints, datasets, device, metrics, schedule, synthesis, validation
from .contextbank import MORE, ContextBank
from .errors import DatasetError, TrainingError
from .events import Event, Finished, Phase, Pictured, Reading, Saved, Started, Step, Validated
from .networks import Network, RetinexNet, RetinexPlus
from .objective import objective
from .pairbank import PairBank
from .ranks import Ranks
from .runs import Run, State

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
SHOWN = 3  # held-out pairs in the picture grids


def train(settings: TrainSettings, run_dir: Path) -> Generator[Event]:
    """Train as ``settings`` say, in ``run_dir``; a run that was begun there goes on where it was saved.

    On a CPU the continued run ends with the same weights, bit for bit, as an uninterrupted one. Closing the iterator
    saves the state first. Raises TrainingError, DatasetError or CheckpointError, each with the remedy.
    """
    began = time.monotonic()
    place = device.choose(settings.device)
    ranks = Ranks.here(place)
    if settings.batch % ranks.count:
        unequal = f"a batch of {settings.batch} cannot be shared by {ranks.count} processes: change --batch"
        ranks.agreed(TrainingError(unequal))
    run = Run(run_dir, settings)
    try:
        state = ranks.told(run.begin)
    except BaseException:
        run.leave()
        raise

    try:
        with ranks.together(), enough_memory(place):
            if state is None:
                network(settings)  # what is wrong with --init is to be said before all pictures are read
            data = yield from read(settings)
        ranks.agreed(other_data(data, ranks))
        if state is not None:  # it holds all weights: those that the run began with may be gone
            settings = settings.model_copy(update={"init": None})
        with ranks.together(), enough_memory(place):
            session = Session(settings, data, run, place, ranks)
            if state is not None:
                session.restore(state)
        train_pairs, validation_pairs, left_out = len(data.train), len(data.validation), data.left_out
        known = len(data.held_out) - len(session.unseen)
        del data  # the session has its own copy on the device
    except BaseException:
        run.withdraw()
        raise
    try:
        yield Started(
            run_dir=str(run_dir),
            device=str(place),
            precision="bf16" if session.bf16 else "fp32",
            parameters=sum(parameter.numel() for parameter in session.net.parameters()),
            train_pairs=train_pairs,
            validation_pairs=validation_pairs,
            known=known,
            left_out=left_out,
            steps=session.steps_an_epoch * settings.epochs * len(session.phases),
            done=session.step,
        )
        with enough_memory(place):
            yield from session.events()
        best = session.best > -math.inf
        yield Finished(str(run.best if best else run.last), time.monotonic() - began)
    finally:
        run.leave()


@contextmanager
def enough_memory(place: torch.device) -> Iterator[None]:
    """Work that, if memory runs out, ends with a TrainingError."""
    try:
        yield
    except RuntimeError as error:
        if device.out_of_memory(error):
            raise TrainingError(
                f"out of memory on {place}: lower --batch or --patch, or give fewer pictures; what was saved is whole"
            ) from error
        raise


def read(settings: TrainSettings) -> Generator[Event, None, datasets.TrainingSet]:
    """Decode the data sets, saying how far that is, and split them. Photographs that hold no patch are left out."""
    found = datasets.to_train_on(settings.dataset, settings.data, settings.photos, settings.seed)
    pictures, faults = [], []
    for item, (picture, reason) in zip(found, datasets.examined(found, darkened=False), strict=True):
        if settings.keep_flagged and picture is not None:
            reason = None
        if isinstance(item, datasets.Photo) and picture is not None and min(picture.high.shape[-2:]) < settings.patch:
            reason = f"{item.high}: smaller than a patch of {settings.patch} px"
        pictures.append(picture)
        faults.append(reason)
        yield Reading(len(pictures), len(found))
    data = datasets.split(found, pictures, faults, fraction=settings.validation)
    captured = any(isinstance(item, datasets.Pair) and not fault for item, fault in zip(found, faults, strict=True))
    if not data.train or (captured and all(data.made)):
        many = len(data.validation)
        raise DatasetError(f"all {many} pairs show one scene, none is left to train on: use --validation 0")
    return data


def other_data(data: datasets.TrainingSet, ranks: Ranks) -> DatasetError | None:
    """What to say if this process has read other pairs than the first one, on another machine perhaps."""
    here = [tuple(high.shape) for _, high in data.train], data.validation_names
    first = ranks.told(lambda: here)
    if here == first:
        return None
    (ours, held_out), (theirs, held_out_there) = ((len(train), len(names)) for train, names in (here, first))
    return DatasetError(
        f"other pairs to train on and to validate ({ours} and {held_out}) than the first process has ({theirs} and "
        f"{held_out_there}): give every machine the same data"
    )


class Session:
    """The moving parts of a run: networks, optimiser, random generator, and how far they have come."""

    def __init__(
        self, settings: TrainSettings, data: datasets.TrainingSet, run: Run, place: torch.device, ranks: Ranks
    ) -> None:
        self.settings, self.run, self.place, self.ranks = settings, run, place, ranks
        self.phases: tuple[Phase, ...] = ("plus",) if settings.network == "retinex-plus" else PHASES[settings.stage]
        self.bf16 = settings.precision == "bf16" or (settings.precision == "auto" and device.fast_bf16(place))
        self.bank = bank(settings, data, place)
        if self.bank.smallest_side < settings.patch:
            side = self.bank.smallest_side
            step = 16 if settings.network == "retinex-plus" else 8
            patch = side // step * step
            remedy = f"use --patch {patch}" if patch >= 16 else "a patch has at least 16: take such pictures out"
            raise TrainingError(f"the smallest picture has {side} px a side: {remedy}")
        self.validation = PairBank(data.validation, device=place) if data.validation else None
        if self.validation is not None and self.validation.smallest_side < metrics.WINDOW:
            raise TrainingError(
                f"a held-out picture has {self.validation.smallest_side} px a side, and SSIM needs {metrics.WINDOW}: "
                "take it out, or use --validation 0"
            )
        self.validation_names = data.validation_names
        self.steps_an_epoch = max(self.bank.an_epoch // settings.batch, 1)

        torch.manual_seed(settings.seed)
        net, before = network(settings)
        self.net = net.to(place).to(memory_format=torch.channels_last)
        self.learned_from = sorted({*before.get("learned_from", ()), *data.learned_from})
        self.unseen = unseen(data.held_out, before)
        self.generator = torch.Generator(place).manual_seed(settings.seed)
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
        computed = objective(self.net, self.phase, settings.weights, bf16=self.bf16)
        self.objective: nn.Module = DistributedDataParallel(computed) if self.ranks.count > 1 else computed
        optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
        self.optimizer = optimizer(groups, fused=True)
        self.plateau = (
            ReduceLROnPlateau(self.optimizer, factor=settings.decay, patience=settings.patience)
            if settings.scheduler == "plateau"
            else None
        )
        self.average = (
            AveragedModel(self.net, multi_avg_fn=schedule.moving_average(settings.ema)) if settings.ema else None
        )
        self.epoch_start = self.generator.get_state()
        self.step_in_epoch = 0

    @property
    def result(self) -> Network:
        """The network as it would be saved: the average if there is one."""
        return self.net if self.average is None else cast(Network, self.average.module)

    def events(self) -> Iterator[Event]:
        """Train from where the session is to its end."""
        try:
            while True:
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
        since, clock = 0, time.monotonic()
        if self.plateau is None:
            for group in self.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * schedule.fall(settings, self.epoch)
        learning = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for number, batch in enumerate(self.bank.epoch(settings.batch, settings.patch, self.generator)):
            if number < self.step_in_epoch:  # a continued epoch draws again what it drew before the break
                clock = time.monotonic()
                continue
            terms = self.objective(*(self.ranks.share(part) for part in batch))
            values = torch.stack(list(terms.values()))
            self.optimizer.zero_grad(set_to_none=True)
            values.sum().backward()
            if settings.clip:
                nn.utils.clip_grad_norm_(learning, settings.clip)
            self.optimizer.step()
            if self.average is not None:
                self.average.update_parameters(self.net)
            names = list(terms)
            total = values.detach() if total is None else total + values.detach()
            self.step, self.step_in_epoch, since = self.step + 1, number + 1, since + 1
            if since == REPORT_EVERY or self.step_in_epoch == self.steps_an_epoch:
                means = dict(zip(names, (self.ranks.mean(total) / since).tolist(), strict=True))
                loss = sum(means.values())
                rates = {group["name"]: group["lr"] for group in self.optimizer.param_groups}
                if not math.isfinite(loss):
                    raise self.diverged(f"the loss became {loss}")
                speed = since * settings.batch / (time.monotonic() - clock)
                yield Step(self.phase, self.epoch, self.step, rates, loss, means, speed)
                total, since, clock = None, 0, time.monotonic()

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
            # by SSIM, as PSNR is most of all brightness, which a dark picture leaves to chance (experiments/RESULTS.md)
            best = figures.get("ssim", -math.inf) > self.best
            if best:
                self.ranks.told(
                    lambda: self.run.store("best", self.result, {**self.about(done), "validation": figures})
                )
            yield Validated(*at, figures, best)
            shown = self.validation_names[:SHOWN] if self.ranks.first else []
            yield Pictured(*at, validation.pictures(self.result, bank, shown))
            if self.plateau is not None:
                self.plateau.step(figures["loss"])
            if best:
                self.best = figures["ssim"]
        self.epoch = done
        self.step_in_epoch, self.epoch_start = 0, self.generator.get_state()
        if last or self.epoch % settings.checkpoint_every == 0:
            self.ranks.told(self.save)
            yield Saved(*at, str(self.run.last))

    def check(self) -> None:
        """Raise TrainingError if the weights are ruined."""
        if not all(parameter.isfinite().all() for parameter in self.net.parameters()):
            raise self.diverged("weights became infinite")

    def diverged(self, how: str) -> TrainingError | SystemExit:
        """That it went wrong, and what to do, which the first process alone says: all come here together."""
        if not self.ranks.first:
            return SystemExit(1)
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
            "place": self.place.type,
            "number": self.number,
            "epoch": self.epoch,
            "step": self.step,
            "step_in_epoch": self.step_in_epoch,
            "best": self.best,
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
            if isinstance(error, RuntimeError) and device.out_of_memory(error):
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
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.plateau is not None:
            self.plateau.load_state_dict(state["plateau"])
        if state["place"] == self.place.type:
            self.epoch_start = state["generator"].cpu()
            self.generator.set_state(self.epoch_start)
        else:  # generators of two kinds of devices do not understand each other: the rest of the run is as good a draw
            self.generator.manual_seed(self.settings.seed + self.step)
            self.epoch_start = self.generator.get_state()


def bank(settings: TrainSettings, data: datasets.TrainingSet, place: torch.device) -> PairBank:
    """What gives batches: with thumbnails of whole pictures where the network is to know of these, and with further
    ones where a thumbnail is what it learns to read."""
    if settings.network == "retinex-plus":
        return ContextBank(data.train, data.made, place, more=0 if settings.keep_context else MORE)
    if settings.exposure:
        return ContextBank(data.train, data.made, place, more=0, drawn=synthesis.draw)
    return synthesis.SynthesisBank(data.train, data.made, place)


def network(settings: TrainSettings) -> tuple[Network, dict[str, Any]]:
    """A fresh network; or the one to start from, which must be of the kind that the settings name, and what its file
    says of it."""
    if settings.network == "retinex-plus":
        plus = RetinexPlus()
        about: dict[str, Any] = {}
        if settings.init is not None:
            given, about = checkpoints.load(settings.init)
            if not isinstance(given, RetinexPlus) or given.config != plus.config:
                raise TrainingError(f"{settings.init} is no retinex-plus of {plus.config}")
            plus.load_state_dict(given.state_dict())
        return plus, about
    fresh = RetinexNet(
        settings.width,
        settings.upsampling,
        ignore_enhance_net=settings.ignore_enhance_net,
        exposure=settings.exposure,
    )
    if settings.init is None:
        return fresh, {}
    given, about = checkpoints.load(settings.init)
    decom_alone = settings.stage == "enhance"
    exposed = given.config.get("exposure", 0)  # a net may learn to see pictures turned up, but not lose it unsaid
    if exposed not in (0, settings.exposure):
        raise TrainingError(f"{settings.init} sees its pictures with exposure {exposed}: use --exposure {exposed}")
    if given.config | {"exposure": settings.exposure} == fresh.config:
        fresh.load_state_dict(given.state_dict())
    elif isinstance(given, RetinexNet) and decom_alone and given.config["width"] == fresh.config["width"]:
        fresh.decom.load_state_dict(given.decom.state_dict())
    else:
        raise TrainingError(f"{settings.init} is a net of {given.config}, the settings ask for {fresh.config}")
    return fresh, about


def unseen(names: list[str], before: dict[str, Any]) -> list[str]:
    """Those of the held-out pairs that the weights to start from, of which ``before`` tells, have not learned from
    either."""
    learned = datasets.known_folders(before.get("learned_from", ()))
    return [name for name in names if name.partition("/")[0] not in learned or name in before["held_out"]]
