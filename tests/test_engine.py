"""The training engine on tiny pictures: it learns, repeats itself, resumes, and says what is wrong."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch

from lowlight_cli.core import engine
from lowlight_cli.core.errors import LowlightError
from lowlight_cli.core.events import Event, Reading, Saved, Step, Validated
from lowlight_cli.core.networks import RetinexNet
from lowlight_cli.core.objective import Objective
from lowlight_cli.settings import TrainSettings


def settings(pairs: Path, **options: object) -> TrainSettings:
    small = {"dataset": (str(pairs),), "epochs": 2, "batch": 4, "patch": 16, "validation": 0.25, "validate_every": 2}
    return TrainSettings.model_validate(
        {**small, "checkpoint_every": 1, "precision": "fp32", "device": "cpu", "width": 4, **options}
    )


def weights(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "last.safetensors")


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def events(stream: Iterator[Event]) -> list[Event]:
    return [event for event in stream if not isinstance(event, Reading)]


def test_separate_trains_one_net_after_the_other(pair_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    seen: list[Event] = []
    after_decom: dict[str, torch.Tensor] = {}
    for event in engine.train(settings(pair_folder, stage="separate"), run):
        seen.append(event)
        if isinstance(event, Saved) and event.phase == "decom":
            after_decom = weights(run)
    kinds = [type(event).__name__ for event in seen]
    assert kinds[:8] == ["Reading"] * 8
    assert [kind for kind, _ in itertools.groupby(kinds[8:])] == [
        *("Started", "Step", "Saved", "Step", "Validated", "Pictured", "Saved"),
        *("Step", "Saved", "Step", "Validated", "Pictured", "Saved", "Finished"),
    ]
    steps = [event for event in seen if isinstance(event, Step)]
    assert [(event.phase, event.epoch, event.step) for event in steps] == [
        *(("decom", 0, 1), ("decom", 1, 2)),
        *(("enhance", 0, 3), ("enhance", 1, 4)),
    ]
    assert set(steps[0].terms) >= {"recon_low", "recon_high", "equal_R", "smooth_low"}
    assert set(steps[-1].terms) == {"relight", "smooth_relit"}
    validated = [event for event in seen if isinstance(event, Validated)]
    assert set(validated[0].figures) == {"loss"}
    assert set(validated[1].figures) == {"loss", "psnr", "ssim", "relit_mean"}
    final = weights(run)
    assert all(torch.equal(final[name], after_decom[name]) == name.startswith("decom.") for name in final)
    assert json.loads((run / "settings.json").read_text())["stage"] == "separate"


def test_joint_moves_both_nets_and_the_loss_falls(pair_folder: Path, tmp_path: Path) -> None:
    seen = events(engine.train(settings(pair_folder, stage="joint", epochs=30, lr=0.01), tmp_path / "run"))
    losses = [event.loss for event in seen if isinstance(event, Step)]
    assert losses[-1] < 0.7 * losses[0]
    assert {name.partition(".")[0] for name in weights(tmp_path / "run")} == {"decom", "enhance"}


def test_the_same_seed_gives_the_same_weights(pair_folder: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        events(engine.train(settings(pair_folder, stage="joint", seed=seed), tmp_path / name))
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not equal(weights(tmp_path / "a"), weights(tmp_path / "c"))


@pytest.mark.parametrize("saves", [1, 2, 3, 4])
def test_an_interrupted_run_ends_with_the_same_weights(saves: int, pair_folder: Path, tmp_path: Path) -> None:
    """Stopped a little after its ``saves``-th checkpoint: within a phase, and at the border of two."""
    how = settings(pair_folder, stage="separate", epochs=3)
    events(engine.train(how, tmp_path / "whole"))
    stream = engine.train(how, tmp_path / "broken")
    for _ in range(saves):
        next(event for event in stream if isinstance(event, Saved))
    next(stream, None)
    stream.close()
    events(engine.train(how, tmp_path / "broken"))
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "broken"))


def test_a_finished_run_has_nothing_left_to_do(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, stage="joint")
    events(engine.train(how, tmp_path / "run"))
    assert not any(isinstance(event, Step) for event in engine.train(how, tmp_path / "run"))


def test_enhance_starts_from_a_trained_decom_net(pair_folder: Path, tmp_path: Path) -> None:
    events(engine.train(settings(pair_folder, stage="decom"), tmp_path / "decom"))
    before = weights(tmp_path / "decom")
    start = str(tmp_path / "decom" / "last.safetensors")
    events(engine.train(settings(pair_folder, stage="enhance", init=start), tmp_path / "enhance"))
    after = weights(tmp_path / "enhance")
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("decom."))


def test_other_settings_do_not_enter_a_run(pair_folder: Path, tmp_path: Path) -> None:
    events(engine.train(settings(pair_folder), tmp_path / "run"))
    before = weights(tmp_path / "run")
    with pytest.raises(LowlightError, match="another epochs, lr"):
        next(iter(engine.train(settings(pair_folder, epochs=9, lr=0.5), tmp_path / "run")))
    assert equal(before, weights(tmp_path / "run"))


def test_a_folder_with_other_things_is_refused(pair_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("dear")
    with pytest.raises(LowlightError, match="not empty"):
        next(iter(engine.train(settings(pair_folder), tmp_path / "run")))


def test_a_patch_larger_than_a_picture_is_refused(pair_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LowlightError, match="48 px a side: use --patch 48"):
        events(engine.train(settings(pair_folder, patch=56), tmp_path / "run"))


def test_a_loss_that_is_no_number_stops_the_run(pair_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LowlightError, match="lower --lr"):
        events(engine.train(settings(pair_folder, stage="joint", lr=1e30, epochs=8), tmp_path / "run"))


def test_rates() -> None:
    step = engine.fall(TrainSettings(epochs=50, decay_epochs=(20, 40)))
    assert [step(epoch) for epoch in (0, 19, 20, 39, 40)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    cosine = engine.fall(TrainSettings(epochs=50, scheduler="cosine"))
    assert [cosine(epoch) for epoch in (0, 25)] == pytest.approx([1, 0.5])
    assert cosine(49) < 0.01


def test_bf16_stays_close_to_fp32() -> None:
    torch.manual_seed(0)
    net, weights = RetinexNet(), TrainSettings().weights
    low, high = torch.rand(2, 1, 3, 16, 16).unbind(0)
    for phase in ("decom", "enhance", "joint"):
        exact = Objective(net, phase, weights)(low, high)
        coarse = Objective(net, phase, weights, bf16=True)(low, high)
        for name in exact:
            assert coarse[name].dtype == torch.float32
            assert coarse[name].item() == pytest.approx(exact[name].item(), rel=0.05, abs=1e-3), name
