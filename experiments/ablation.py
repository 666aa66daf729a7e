"""What each part of retinex-plus buys: short runs without it, judged on held-out scenes of LOL.

    python experiments/ablation.py --data data --photos data/photos/bsds500 [--epochs 15] [ROW...]

Every row is a run of its own in runs/ablation/ROW that goes on where it stopped; the table of all finished rows
is written into RESULTS.md, between its two marks. All runs share seed, data and number of steps; "full" comes first.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from four_ways import insert
from held_out import figures as measured
from held_out import held_out
from torch import Tensor

from lowlight_cli.core import checkpoints, tiling
from lowlight_cli.core.evaluating.summary import Table, markdown_table
from lowlight_cli.core.networks import retinex_plus, thumbnail
from lowlight_cli.core.networks.exposure import mean_of
from lowlight_cli.core.pictures.picture import quantised
from lowlight_cli.core.training import contextbank, engine, losses, start
from lowlight_cli.core.training.events import Saved
from lowlight_cli.settings import TrainSettings

BEGIN, END = "<!-- written by experiments/ablation.py -->", "<!-- end of ablation -->"


def without(*names: str) -> Callable[..., losses.Terms]:
    """``losses.restoration`` less some of its terms."""
    whole = losses.restoration

    def restoration(*given: Any) -> losses.Terms:
        return {name: value for name, value in whole(*given).items() if name not in names}

    return restoration


whole_context = retinex_plus.GlobalNet.forward


def blind(self: retinex_plus.GlobalNet, picture: Tensor) -> tuple[Tensor, Tensor]:
    """The exposure, and a context of zeros."""
    log_gain, vector = whole_context(self, picture)
    return log_gain, torch.zeros_like(vector)


def fixed(self: retinex_plus.GlobalNet, picture: Tensor) -> tuple[Tensor, Tensor]:
    """The context, under an exposure that leads every picture to the same mean."""
    log_gain = torch.log(retinex_plus.MEAN / mean_of(picture))[:, None].expand(-1, 3)
    return log_gain, whole_context(self, picture)[1]


def unseen(self: retinex_plus.SceneNet, picture: Tensor, *_: Tensor) -> Tensor:
    """No scene: maps of zeros."""
    side = picture.shape[-1] // 2
    return picture.new_zeros(len(picture), self.head.out_channels, side, side)


class CropBank(contextbank.ContextBank):
    """Takes the thumbnail from the patch instead of the whole picture, as if that were all there is."""

    def patches(self, *given: Any) -> tuple[Tensor, ...]:
        low, high, _, _, _, *more = super().patches(*given)
        frame = low.new_tensor([[0, 0, 1, 1]]).expand(len(low), 4)
        return low, high, thumbnail(low), thumbnail(high), frame, *more


class OwnBank(contextbank.ContextBank):
    """Gives no thumbnails but those of the patches' own pictures."""

    def patches(self, *given: Any) -> tuple[Tensor, ...]:
        return super().patches(*given)[:5]


Row = tuple[str, dict[str, Any], list[Any]]
ROWS: dict[str, Row] = {
    "full": ("everything", {}, []),
    "own": ("brightness from the patches' own pictures alone", {}, [patch.object(start, "ContextBank", OwnBank)]),
    "crop": ("exposure and context from the patch", {}, [patch.object(start, "ContextBank", CropBank)]),
    "exposure": ("every picture to the same mean", {}, [patch.object(retinex_plus.GlobalNet, "forward", fixed)]),
    "context": ("no context in the local net", {}, [patch.object(retinex_plus.GlobalNet, "forward", blind)]),
    "scene": ("no scene in the local net", {}, [patch.object(retinex_plus.SceneNet, "forward", unseen)]),
    "unguided": ("a scene that need not show the truth, small", {}, [patch.object(losses, "scene", lambda *_: {})]),
    "ssim": ("no SSIM term", {}, [patch.object(losses, "restoration", without("ssim"))]),
    "colour": ("no mean-colour term", {}, [patch.object(losses, "restoration", without("colour"))]),
    "photos": ("LOL alone, for as many steps", {"dataset": ("lol",), "photos": None}, []),
    "ema": ("no average of the weights", {"ema": 0.0}, []),
}


@contextmanager
def all_of(patches: list[Any]) -> Iterator[None]:
    """Within, the patches are in force."""
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


@torch.inference_mode()
def judged(model: Path, pairs: Any) -> list[float] | None:
    """Mean PSNR and SSIM (RGB) of the 8-bit result, and PSNR with GT mean. None if the run is not at its end."""
    net, about = checkpoints.load(str(model))
    if about["epoch"] < about["settings"]["epochs"]:
        return None
    rows = []
    for low, high in ((low[None].float() / 255, high[None].float() / 255) for low, high in pairs):
        ours = quantised(tiling.run(net, low).enhanced[0])[None] / 255
        rows.append(measured(ours, high))
    return [float(value) for value in torch.tensor(rows, dtype=torch.double).mean(dim=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", default=list(ROWS))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--photos", type=Path, default=Path("data/photos/bsds500"))
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--epochs", type=int, default=15)
    given = parser.parse_args()
    lol = held_out(given.data)
    pairs = lol.validation
    recipe = Path(__file__).with_name("retinex_plus.toml")
    common = {"data": given.data, "photos": given.photos, "epochs": given.epochs, "validate_every": given.epochs}
    figures = {}
    for name, (_, options, patches) in ROWS.items():
        last = given.runs / name / "last.safetensors"
        with all_of(patches):
            if name in given.rows:
                whole = TrainSettings.load(recipe, **common)
                how = whole.model_dump() | options
                if "photos" in options:
                    photographs = len(held_out(given.data, whole).train) - len(lol.train)
                    more = min(photographs / len(lol.train), 1)  # an epoch shows no more of them than of pairs
                    how["epochs"] = how["validate_every"] = round(given.epochs * (1 + more))
                for event in engine.train(TrainSettings.model_validate(how), given.runs / name):
                    if isinstance(event, Saved):
                        print(f"{name}: epoch {event.epoch + 1} of {how['epochs']}", flush=True)
            if last.exists() and (row := judged(last, pairs)):
                figures[name] = row
    if "full" not in figures:
        raise SystemExit(f"{given.runs}: the row full is not finished")
    base = figures["full"]
    lines = []
    for name, (psnr, ssim, gt_mean) in figures.items():
        away = f"{psnr - base[0]:+.2f} / {ssim - base[1]:+.4f}"
        lines.append([ROWS[name][0], f"{psnr:.2f}", f"{ssim:.4f}", f"{gt_mean:.2f}", away])
    text = markdown_table(
        Table(["retinex-plus with", "PSNR dB", "SSIM RGB", "PSNR dB, GT mean", "against everything"], lines)
    )
    insert(text, BEGIN, END)


if __name__ == "__main__":
    main()
