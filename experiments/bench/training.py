"""Training speed of the engine against a plain loop, in one run: patches a second, and the ratio.

    python experiments/bench/training.py [--data data] [--patch 48] [--seconds 20] [--json FILE]

The plain loop is what the widely read implementations do: open both PNG files for every patch, crop and turn in NumPy,
NCHW tensors in fp32, two forward passes, Adam. The engine is `lowlight train` as it stands, whatever it chooses for the
device. Both train Decom-Net on the same pairs, then Enhance-Net; both are warmed up first. LOL if it is there, else 32
pairs of noise of its size, which decode more slowly than LOL. Then the engine without one of its means at a time, and
the time of a step of retinex-plus: of LOL alone, as retinex_plus_lol.toml has it, and with as many photographs, for
which the high pictures stand, as retinex_plus.toml does.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lowlight_cli.core import device
from lowlight_cli.core.data import datasets, trainingset
from lowlight_cli.core.errors import DatasetError
from lowlight_cli.core.networks import RetinexNet
from lowlight_cli.core.training import losses
from lowlight_cli.core.training.ranks import Ranks
from lowlight_cli.core.training.runs import Run
from lowlight_cli.core.training.session import Session
from lowlight_cli.settings import LossWeights, TrainSettings

BATCH = 16
MOST = 160  # pairs; more only take longer to read
MEANS = ("bf16", "channels_last", "fused", "gather")
"""What makes the engine fast."""
PLUS = Path(__file__).parents[1] / "retinex_plus_lol.toml"


def pairs(data: Path, scratch: Path) -> list[datasets.Pair]:
    """LOL's training pairs, or noise."""
    try:
        return datasets.pairs(datasets.folder("lol", data, "train"))[:MOST]
    except DatasetError:
        rng = np.random.default_rng(0)
        for number in range(32):
            for side in ("low", "high"):
                (scratch / side).mkdir(parents=True, exist_ok=True)
                noise = rng.integers(0, 256, (400, 600, 3), dtype=np.uint8)
                Image.fromarray(noise).save(scratch / side / f"{number}.png")
        return datasets.pairs(scratch)


def plain_batches(found: list[datasets.Pair], patch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches as the plain loop makes them."""
    rng = np.random.default_rng(0)
    while True:
        lows, highs = [], []
        for index in rng.integers(len(found), size=BATCH):
            low, high = (
                np.asarray(Image.open(path), dtype=np.float32) / 255 for path in (found[index].low, found[index].high)
            )
            top, left = (rng.integers(side - patch + 1) for side in low.shape[:2])
            turn, flip = rng.integers(4), rng.integers(2)
            for picture, batch in ((low, lows), (high, highs)):
                piece = np.rot90(picture[top : top + patch, left : left + patch], turn)
                batch.append((np.flipud(piece) if flip else piece).transpose(2, 0, 1).copy())
        yield torch.from_numpy(np.stack(lows)), torch.from_numpy(np.stack(highs))


def plain(found: list[datasets.Pair], phase: str, patch: int, on: torch.device) -> Callable[[], None]:
    """One step of the plain loop."""
    torch.manual_seed(0)
    net, weights = RetinexNet().to(on), LossWeights()
    assert net.enhance is not None
    optimizer = torch.optim.Adam((net.decom if phase == "decom" else net.enhance).parameters(), lr=1e-3)
    batches = plain_batches(found, patch)

    def step() -> None:
        low, high = (side.to(on) for side in next(batches))
        assert net.enhance is not None
        if phase == "decom":
            terms = losses.decomposition(low, high, net.decom(low), net.decom(high), weights)
        else:
            with torch.no_grad():
                reflectance, illumination = net.decom(low)
            terms = losses.relighting(high, reflectance, net.enhance(reflectance, illumination), weights)
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # as they all do, for the progress line

    return step


def settings(phase: str, patch: int) -> TrainSettings:
    """What the engine is asked to do: both nets from nothing, retinex-plus as in its recipe."""
    if phase == "plus":
        how = TrainSettings.load(PLUS, epochs=10**6, validation=0.0)
    else:
        how = TrainSettings(
            stage="decom" if phase == "decom" else "enhance", init="none", patch=patch, epochs=10**6, validation=0.0
        )
    return how.model_copy(update={"init": None})


def begun(decoded: list[datasets.PixelPair], how: TrainSettings, on: torch.device, *, photographs: int = 0) -> Session:
    """A session of the engine in which so many of the pairs are photographs."""
    made = [number < photographs for number in range(len(decoded))]
    data = trainingset.TrainingSet(decoded, made, validation=[], held_out=[], learned_from=[], left_out=[])
    return Session(how, data, Run(Path(), how), on, Ranks(0, 1, on))


def without(session: Session, means: str, found: list[datasets.Pair]) -> Session:
    """The session without one of its ``MEANS``: in fp32, NCHW, with an optimiser that is not fused, or decoding both
    files for every patch."""
    match means:
        case "bf16":
            session.bf16 = False
            session.begin_phase()
        case "channels_last":
            session.net.to(memory_format=torch.contiguous_format)
        case "fused":
            for group in session.optimizer.param_groups:
                group["fused"] = False
        case "gather":
            patch, steps = session.settings.patch, session.steps_per_epoch
            decoding = ((low.to(session.device), high.to(session.device)) for low, high in plain_batches(found, patch))
            setattr(session.bank, "epoch", lambda *_: islice(decoding, steps))  # noqa: B010  (a method)
    return session


def one_epoch(session: Session) -> Callable[[], None]:
    """One epoch of the engine."""

    def epoch() -> None:
        session.step_in_epoch = 0
        for _ in session.one_epoch():
            pass

    return epoch


def speed(step: Callable[[], None], patches: int, seconds: float, on: torch.device) -> float:
    """Patches a second of ``step``, which takes so many, after two to warm up."""

    def wait() -> None:
        if on.type == "cuda":
            torch.cuda.synchronize(on)

    for _ in range(2):
        step()
    wait()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        step()
        count += 1
    wait()
    return count * patches / (time.perf_counter() - began)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--data", type=Path, default=Path("data"))
    options.add_argument("--patch", type=int, default=48)
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    on = device.choose("auto")
    name = torch.cuda.get_device_name(on) if on.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    report = {"torch": torch.__version__, "python": platform.python_version(), "device": name, "patch": given.patch}
    with tempfile.TemporaryDirectory() as scratch:
        found = pairs(given.data, Path(scratch))
        decoded = list(datasets.each_of(found, datasets.decode))
        epoch = len(decoded) // BATCH * BATCH
        for phase in ("decom", "enhance"):
            torch.backends.cudnn.allow_tf32 = True  # torch's default, as that loop has it; the engine's fp32 is fp32
            slow = speed(plain(found, phase, given.patch, on), BATCH, given.seconds, on)
            torch.backends.cudnn.allow_tf32 = False
            how = settings(phase, given.patch)
            fast = speed(one_epoch(begun(decoded, how, on)), epoch, given.seconds, on)
            report[phase] = {"plain": round(slow, 1), "engine": round(fast, 1), "ratio": round(fast / slow, 2)}
            print(f"{phase}: plain {slow:.1f}, engine {fast:.1f} patches/s: {fast / slow:.2f} times  ({name})")
            for means in MEANS:
                session = without(begun(decoded, how, on), means, found)
                rate = speed(one_epoch(session), epoch, given.seconds / 2, on)
                report[phase][f"without {means}"] = round(rate, 1)
                print(f"{phase} without {means}: {rate:.1f} patches/s, {rate / fast:.2f} of the engine's")
        how = settings("plus", given.patch)
        for kind, photographs in (("LOL alone", 0), ("LOL and photographs", len(decoded) // 2)):
            session = begun(decoded, how, on, photographs=photographs)
            rate = speed(one_epoch(session), session.steps_per_epoch * how.batch, given.seconds, on)
            took = 1000 * how.batch / rate
            report[f"plus, {kind}"] = {"batch": how.batch, "patch": how.patch, "ms per step": round(took, 1)}
            print(f"retinex-plus, {kind}: {took:.0f} ms per step of {how.batch} patches of {how.patch} px  ({name})")
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
