"""The training engine on tiny pictures: it learns, repeats itself, resumes, and says what is wrong."""

import errno
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
from conftest import scenery

from lowlight_cli.core import checkpoints
from lowlight_cli.core.data import datasets
from lowlight_cli.core.data.trainingset import TrainingSet
from lowlight_cli.core.errors import DatasetError, LowlightError, TrainingError
from lowlight_cli.core.networks import Network, RetinexNet
from lowlight_cli.core.pictures import images
from lowlight_cli.core.training import engine, session, start
from lowlight_cli.core.training.events import Event, Finished, Pictured, Reading, Saved, Started, Step, Validated
from lowlight_cli.core.training.objective import Objective
from lowlight_cli.core.training.schedule import MovingAverage
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


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


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


def test_the_best_model_is_that_of_the_highest_ssim(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though an earlier one has the higher PSNR; and a run that goes on still knows it."""
    figures = iter([(20.0, 0.5), (19.0, 0.7), (21.0, 0.6), (22.0, 0.65)])

    def validate(*_: object) -> dict[str, float]:
        return {"loss": 0.0, **dict(zip(("psnr", "ssim"), next(figures), strict=True))}

    monkeypatch.setattr(session.validation, "figures", validate)
    how = settings(pair_folder, stage="joint", epochs=4, validate_every=1)
    stream = engine.train(how, tmp_path / "run")
    seen = list(itertools.takewhile(lambda event: not (isinstance(event, Saved) and event.epoch == 2), stream))
    stream.close()
    seen += events(engine.train(how, tmp_path / "run"))
    assert [event.best for event in seen if isinstance(event, Validated)] == [True, True, False, False]
    _, about = checkpoints.load(str(tmp_path / "run" / "best.safetensors"))
    assert (about["epoch"], about["validation"]["ssim"]) == (2, 0.7)


def test_the_best_decom_net_is_that_of_the_lowest_loss(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.3, 0.1, 0.2, 0.9])

    def validate(net: Network, phase: str, *_: object) -> dict[str, float]:
        return {"loss": next(losses), **({} if phase == "decom" else {"ssim": 0.01})}

    monkeypatch.setattr(session.validation, "figures", validate)
    how = settings(pair_folder, stage="decom", epochs=3, validate_every=1)
    seen = events(engine.train(how, tmp_path / "decom"))
    assert [event.best for event in seen if isinstance(event, Validated)] == [True, True, False]
    assert checkpoints.load(str(tmp_path / "decom" / "best.safetensors"))[1]["epoch"] == 2
    losses = iter([0.1, 0.9])
    how = settings(pair_folder, stage="separate", epochs=1, validate_every=1)
    seen = events(engine.train(how, tmp_path / "separate"))
    assert [event.best for event in seen if isinstance(event, Validated)] == [True, True]
    assert checkpoints.load(str(tmp_path / "separate" / "best.safetensors"))[1]["phase"] == "enhance"


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


FANCY = {"ema": 0.9, "clip": 0.5, "optimizer": "adamw", "scheduler": "plateau", "patience": 0, "validate_every": 1}


@pytest.mark.parametrize("steps", [1, 3, 4, 6])
def test_a_run_closed_in_the_middle_of_an_epoch_goes_on_as_if_it_had_not(
    steps: int, pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything that has a state: average, plateau scheduler, AdamW; three steps an epoch, one event a step."""
    monkeypatch.setattr(session, "REPORT_EVERY", 1)
    how = settings(pair_folder, stage="joint", epochs=3, batch=2, checkpoint_every=3, **FANCY)
    events(engine.train(how, tmp_path / "whole"))
    stream = engine.train(how, tmp_path / "broken")
    for _ in range(steps):
        next(event for event in stream if isinstance(event, Step))
    stream.close()
    seen = events(engine.train(how, tmp_path / "broken"))
    assert isinstance(seen[0], Started)
    assert seen[0].done == steps
    assert [event.step for event in seen if isinstance(event, Step)] == list(range(steps + 1, 10))
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "broken"))


def test_a_run_killed_while_it_saves_goes_on(pair_folder: Path, tmp_path: Path) -> None:
    """kill -9 after half of the third state file has been written."""
    how = settings(pair_folder, stage="joint", epochs=4)
    events(engine.train(how, tmp_path / "whole"))
    record = tmp_path / "settings.json"
    record.write_text(how.model_dump_json())
    script = f"""
import os, signal, torch
from pathlib import Path
from lowlight_cli.core.training import engine
from lowlight_cli.settings import TrainSettings
torch.set_num_threads(1)
save, count = torch.save, 0
def dying(state, path):
    global count
    count += 1
    save(state, path)
    if count == 3:
        path.write_bytes(path.read_bytes()[:1000])
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = dying
for _ in engine.train(TrainSettings.load(Path({str(record)!r})), Path({str(tmp_path / "broken")!r})):
    pass
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    seen = events(engine.train(how, tmp_path / "broken"))
    assert isinstance(seen[0], Started)
    assert seen[0].done == 2
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "broken"))


@pytest.mark.parametrize(
    "options",
    [
        {"upsampling": "transposed"},
        {"stage": "joint", "ignore_enhance_net": True},
        {"stage": "joint", "weights": {"ssim": 0.2}},
        {"stage": "joint", "exposure": 0.3},
        {"decom_lr": 1e-5, "enhance_lr": 1e-2, "scheduler": "cosine"},
    ],
)
def test_variants_train(options: dict[str, object], pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, **options)
    seen = events(engine.train(how, tmp_path / "run"))
    steps = [event for event in seen if isinstance(event, Step)]
    assert ("ssim" in steps[-1].terms) == (how.weights.ssim > 0)
    assert ("smooth_relit" in steps[-1].terms) != how.ignore_enhance_net
    learning = {"decom"} if how.ignore_enhance_net else {"enhance"} if how.stage == "separate" else {"decom", "enhance"}
    assert steps[-1].rates.keys() == learning
    assert isinstance(seen[-1], Finished)
    net, header = checkpoints.load(seen[-1].path)
    assert header["settings"]["upsampling"] == net.config["upsampling"] == how.upsampling
    assert ("enhance.stem.weight" in weights(tmp_path / "run")) != how.ignore_enhance_net


def test_each_net_has_its_rate_and_the_plateau_lowers_both(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(
        pair_folder,
        stage="joint",
        epochs=6,
        decom_lr=1e-6,
        enhance_lr=1e-7,
        scheduler="plateau",
        patience=0,
        validate_every=1,
    )
    steps = [event for event in engine.train(how, tmp_path / "run") if isinstance(event, Step)]
    assert steps[0].rates == {"decom": 1e-6, "enhance": 1e-7}
    assert steps[-1].rates["decom"] < 1e-6 and steps[-1].rates["enhance"] < 1e-7


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_average_is_what_is_saved(
    decay: float, pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The saved weights are those of a naive average over all steps, whose decay grows with their number."""
    seen: list[dict[str, torch.Tensor]] = []
    update = MovingAverage.update

    def watched(average: MovingAverage, net: Network) -> None:
        seen.append({name: value.clone() for name, value in net.state_dict().items()})
        update(average, net)

    monkeypatch.setattr(MovingAverage, "update", watched)
    events(engine.train(settings(pair_folder, stage="joint", epochs=8, lr=0.01, ema=decay), tmp_path / "run"))
    average, *others = seen
    for number, current in enumerate(others, start=1):
        kept = min(decay, (1 + number) / (10 + number))
        average = {name: kept * value + (1 - kept) * current[name] for name, value in average.items()}
    assert len(seen) == 8
    for name, value in weights(tmp_path / "run").items():
        torch.testing.assert_close(value, average[name])
        assert not torch.equal(value, seen[-1][name])


def test_enhance_net_is_trained_on_the_average_of_decom_net(pair_folder: Path, tmp_path: Path) -> None:
    stream = engine.train(settings(pair_folder, stage="separate", lr=0.01, ema=0.9), tmp_path / "run")
    next(event for event in stream if isinstance(event, Step) and event.phase == "enhance")
    averaged = safetensors.torch.load_file(tmp_path / "run" / "last.safetensors")
    stream.close()
    learned_on = torch.load(tmp_path / "run" / "state.pt", weights_only=True)["net"]
    decom = [name for name in averaged if name.startswith("decom.")]
    assert decom
    assert all(torch.equal(averaged[name], learned_on[name]) for name in decom)


def test_a_run_goes_on_on_another_kind_of_device(pair_folder: Path, tmp_path: Path) -> None:
    """A state as a GPU would have left it: its generator's is of no use to a CPU's."""
    how = settings(pair_folder, stage="joint", epochs=4)
    stream = engine.train(how, tmp_path / "run")
    next(event for event in stream if isinstance(event, Saved))
    stream.close()
    file = tmp_path / "run" / "state.pt"
    state = torch.load(file, weights_only=True)
    assert state["device"] == "cpu"
    torch.save(state | {"device": "cuda", "generator": torch.zeros(16, dtype=torch.uint8)}, file)
    seen = events(engine.train(how, tmp_path / "run"))
    assert isinstance(seen[-1], Finished)
    assert next(event.epoch for event in seen if isinstance(event, Step)) == state["epoch"]
    torch.save(state | {"generator": torch.zeros(16, dtype=torch.uint8)}, file)
    with pytest.raises(TrainingError, match="damaged"):
        events(engine.train(how, tmp_path / "run"))


def test_held_out_counts_what_the_first_weights_have_learned(pair_folder: Path, tmp_path: Path) -> None:
    """A pair that ``--init`` has learned from was not held out, unless it is of another data set."""

    def run(name: str, pairs: Path, **options: object) -> list[str]:
        events(engine.train(settings(pairs, stage="joint", epochs=1, **options), tmp_path / name))
        held_out: list[str] = checkpoints.load(str(tmp_path / name / "last.safetensors"))[1]["held_out"]
        return held_out

    first = run("first", pair_folder)
    other = shutil.copytree(pair_folder, tmp_path / "other")
    init = str(tmp_path / "first" / "last.safetensors")
    assert len(run("elsewhere", other, validation=0.5, init=init)) == 4
    assert run("again", pair_folder, validation=0.5, init=init) == first
    how = settings(pair_folder, stage="joint", epochs=1, validation=0.5, init=init)
    (started,) = [event for event in events(engine.train(how, tmp_path / "told")) if isinstance(event, Started)]
    assert (started.validation_pairs, started.known) == (4, 2)
    assert len(first) == 2
    assert all(name.startswith(f"{pair_folder.name}/") for name in first)
    assert run("back", pair_folder, init=str(tmp_path / "elsewhere" / "last.safetensors")) == []


@pytest.mark.parametrize("before", ["lol", "our485"])
def test_lol_by_name_and_by_folder_is_one_data_set(before: str) -> None:
    names = ["our485/1", "our485/2"]
    assert start.unseen(names, {"learned_from": [before], "held_out": ["our485/2"]}) == ["our485/2"]


def test_pairs_of_a_further_data_set_stay_held_out() -> None:
    before = {"learned_from": ["lol"], "held_out": ["our485/2"]}
    assert start.unseen(["our485/1", "our485/2", "mine/1"], before) == ["our485/2", "mine/1"]
    assert start.unseen(["synthetic/1"], {"learned_from": ["synthetic"], "held_out": []}) == []


def test_held_out_counts_what_a_run_learned_before_pairs_were_added(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, stage="joint", epochs=3)
    held_out = []
    for new in range(8, 14):
        for side, light in (("low", 0.15), ("high", 1)):
            images.write(tmp_path / "new" / side / f"{new}.png", images.Picture(scenery(new) * light))
    for added in (False, True):
        if added:
            shutil.copytree(tmp_path / "new", pair_folder, dirs_exist_ok=True)
        stream = engine.train(how, tmp_path / "run")
        next(event for event in stream if isinstance(event, Saved))
        stream.close()
        if not added:
            state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
            torch.save({**state, "best": 0.999}, tmp_path / "run" / "state.pt")
        held_out.append(set(checkpoints.load(str(tmp_path / "run" / "last.safetensors"))[1]["held_out"]))
    assert held_out[1] < held_out[0]
    best = [event.best for event in events(engine.train(how, tmp_path / "run")) if isinstance(event, Validated)]
    assert best[0], "what was reached on other pictures is no bound"


def test_one_scene_cannot_be_learned_and_held_out(pair_folder: Path, tmp_path: Path) -> None:
    for side in ("low", "high"):
        for path in (pair_folder / side).glob("[1-7].png"):
            shutil.copy(pair_folder / side / "0.png", path)
    (tmp_path / "photos").mkdir()
    for seed in range(20, 24):
        images.write(tmp_path / "photos" / f"{seed}.png", images.Picture(scenery(seed)))
    with pytest.raises(DatasetError, match="all 8 pairs show one scene, none is left to train on: use --validation 0"):
        more = {"dataset": (str(pair_folder), "synthetic"), "photos": tmp_path / "photos"}
        list(engine.train(settings(pair_folder, **more), tmp_path / "run"))
    with pytest.raises(DatasetError, match="all 8 pairs show one scene, none is left to train on: use --validation 0"):
        events(engine.train(settings(pair_folder), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


OFTEN = """
import os, sys
from lowlight_cli import tracking
from lowlight_cli.app import main
from lowlight_cli.core.errors import TrainingError
from lowlight_cli.core.training import session
from lowlight_cli.core.training.events import Reading
elsewhere = ["--run-dir", sys.argv[2], "--dataset"]
second = os.environ["RANK"] == "1"
bank, write = session.bank, tracking.Journal.__call__
def no_room(journal, event):
    if not isinstance(event, Reading):
        raise TrainingError("no room for the journal")
def no_memory(*given):
    raise MemoryError
for number, more in enumerate((
    [],
    ["--config", "plus.json"],
    ["--lr", "0.5"],
    [*elsewhere, "gone"],
    [*elsewhere, "gone" if second else "pairs"],
    [*elsewhere, "fewer" if second else "pairs"],
    [*elsewhere, "pairs", "--patch", "400"],
    [*elsewhere, "pairs"],
    ["--run-dir", "four", "--dataset", "pairs"],
)):
    session.bank = no_memory if number == 7 and second else bank
    tracking.Journal.__call__ = no_room if number == 8 else write
    try:
        main(["train", "--config", sys.argv[1], *more])
    except SystemExit as left:
        print(f"left with {left.code}\\n", end="", flush=True)  # in one piece: two processes write it
"""


PLUS = {"network": "retinex-plus", "epochs": 2, "batch": 4, "patch": 32, "validation": 0.25, "precision": "fp32"}


def losses(run: Path) -> list[float]:
    """The loss of each step that a run's journal tells of."""
    records = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if record["event"] == "step"]


def test_two_processes_compute_what_one_does(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, stage="separate", epochs=3, run_dir=tmp_path / "two")
    found = list(engine.train(how, tmp_path / "alone"))
    alone = [event.loss for event in found if isinstance(event, Step)]
    figures = [event.figures for event in found if isinstance(event, Validated)]
    (tmp_path / "recipe.json").write_text(how.model_dump_json())
    (tmp_path / "often.py").write_text(OFTEN)
    how = TrainSettings.model_validate({**PLUS, "dataset": (str(pair_folder),), "run_dir": tmp_path / "plus two"})
    of_plus = [event.loss for event in engine.train(how, tmp_path / "plus") if isinstance(event, Step)]
    (tmp_path / "plus.json").write_text(how.model_dump_json())
    shutil.copytree(pair_folder, tmp_path / "fewer")
    for side in ("low", "high"):
        (tmp_path / "fewer" / side / "0.png").unlink()
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", free_port()]
    command += [str(tmp_path / name) for name in ("often.py", "recipe.json", "three")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr
    records = [json.loads(line) for line in (tmp_path / "two" / "events.jsonl").read_text().splitlines()]
    assert losses(tmp_path / "two") == pytest.approx(alone, rel=1e-4)
    validated = [record["figures"] for record in records if record["event"] == "validated"]  # each process a part
    assert len(validated) == len(figures) == 4
    for of_two, of_one in zip(validated, figures, strict=True):
        assert of_two == pytest.approx(of_one, rel=1e-3)
    one, two = weights(tmp_path / "alone"), weights(tmp_path / "two")
    assert all(torch.allclose(one[name], two[name], rtol=0, atol=1e-4) for name in one)
    assert losses(tmp_path / "plus two") == pytest.approx(of_plus, rel=1e-3)
    # what went wrong, then, the first process says alone; the others leave without a word
    said = [line.partition("error: ")[2] for line in done.stderr.splitlines() if "error: " in line]
    assert len(said) == 7
    assert "lr 0.001, not 0.5" in said[0]
    assert said[1].startswith("gone")
    assert said[2].startswith("process 2 of 2: gone")
    assert said[3].startswith("process 2 of 2: other pairs to train on")
    assert "px a side hold no patch: take it out, or use --patch" in said[4]
    assert said[5].startswith("process 2 of 2: out of memory on cpu")
    assert said[6] == "no room for the journal"
    assert "[rank1]" not in done.stderr
    assert done.stdout.count("left with 1") == 14
    assert not (tmp_path / "three").exists()


def test_several_processes_save_when_they_are_ended(pair_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", free_port()]
    command += ["-m", "lowlight_cli", "train", "--dataset", str(pair_folder), "--run-dir", str(run), "--stage", "decom"]
    command += ["--epochs", "100000", "--patch", "16", "--batch", "4", "--validation", "0"]
    command += ["--checkpoint-every", "100000"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True
    )
    journal = run / "events.jsonl"
    while process.poll() is None and not (journal.exists() and '"step"' in journal.read_text()):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)  # to torchrun and to its processes, which hear of it twice
    _, err = process.communicate(timeout=60)
    assert "go on with the same command\n" in err, err  # which names the folder
    assert "[rank" not in err, err
    steps = [json.loads(line)["step"] for line in journal.read_text().splitlines() if '"event": "step"' in line]
    assert torch.load(run / "state.pt", weights_only=True)["step"] == steps[-1]


def test_two_machines_go_on_with_a_run_that_only_the_first_has(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, stage="joint", epochs=4)
    events(engine.train(how, tmp_path / "whole"))
    stream = engine.train(how, tmp_path / "first" / "run")
    next(event for event in stream if isinstance(event, Saved))
    stream.close()
    config = tmp_path / "recipe.json"
    config.write_text(how.model_dump_json())
    (tmp_path / "second").mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    command += ["--master-addr", "127.0.0.1", "--master-port", free_port()]
    train = ["-m", "lowlight_cli", "train", "--config", str(config), "--run-dir", "run"]
    machines = [
        subprocess.Popen(
            [*command, "--node-rank", str(rank), *train],
            cwd=tmp_path / home,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, home in enumerate(("first", "second"))
    ]
    for machine in machines:
        said = machine.communicate(timeout=120)[1]
        assert machine.returncode == 0, said
    assert not (tmp_path / "second" / "run").exists()
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "first" / "run")
    assert all(torch.allclose(one[name], two[name], rtol=0, atol=1e-4) for name in one)


def test_a_finished_run_has_nothing_left_to_do(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, stage="joint")
    events(engine.train(how, tmp_path / "run"))
    seen = list(engine.train(how, tmp_path / "run"))
    assert not any(isinstance(event, Step) for event in seen)
    assert [event.finished for event in seen if isinstance(event, Started)] == [True]


def test_a_run_is_finished_when_its_last_epoch_is_measured(pair_folder: Path, tmp_path: Path) -> None:
    stream = engine.train(settings(pair_folder, stage="separate"), tmp_path / "run")
    next(event for event in stream if isinstance(event, Step) and event.step == 4)
    stream.close()
    seen = list(engine.train(settings(pair_folder, stage="separate"), tmp_path / "run"))
    (begun,) = (event for event in seen if isinstance(event, Started))
    assert (begun.done, begun.steps, begun.finished) == (4, 4, False)
    assert any(isinstance(event, Validated) for event in seen)


def test_steps_are_counted_from_what_is_there(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, stage="joint", batch=1, epochs=4)
    stream = engine.train(how, tmp_path / "run")
    next(event for event in stream if isinstance(event, Step) and event.step == 12)  # the last of an epoch
    stream.close()
    for side in ("low", "high"):
        for name in ("5", "6", "7"):
            (pair_folder / side / f"{name}.png").unlink()
    seen = list(engine.train(how, tmp_path / "run"))
    (begun,) = (event for event in seen if isinstance(event, Started))
    assert begun.steps == max(event.step for event in seen if isinstance(event, Step)) > begun.done


def test_a_run_does_not_go_on_with_other_pictures_of_one_name(pair_folder: Path, tmp_path: Path) -> None:
    for place in ("a", "b"):
        shutil.copytree(pair_folder, tmp_path / place / "train")
    stream = engine.train(settings(tmp_path / "a/train"), tmp_path / "run")
    next(event for event in stream if isinstance(event, Saved))
    stream.close()
    with pytest.raises(TrainingError, match=r"dataset .*a/train, not .*b/train: choose another --run-dir"):
        events(engine.train(settings(tmp_path / "b/train"), tmp_path / "run"))
    shutil.rmtree(tmp_path / "a")  # as if it had been moved
    events(engine.train(settings(tmp_path / "b/train"), tmp_path / "run"))


@pytest.mark.parametrize(
    ("network", "init", "fault"),
    [
        ("retinexnet", "retinexnet-transposed", "its width is 64, not 4, its upsampling is transposed, not resize"),
        ("retinexnet", "retinex-plus", "retinex-plus is a retinex-plus: use --network retinex-plus"),
        ("retinex-plus", "retinexnet", "retinexnet is a RetinexNet: leave out --network retinex-plus"),
    ],
)
def test_what_is_no_start_is_told_apart(pair_folder: Path, tmp_path: Path, network: str, init: str, fault: str) -> None:
    own = {"stage": "joint"} if network == "retinexnet" else {"network": network, "width": 64, "patch": 32}
    with pytest.raises(TrainingError, match=fault):
        next(iter(engine.train(settings(pair_folder, init=init, **own), tmp_path / "run")))


def test_enhance_starts_from_a_trained_decom_net(pair_folder: Path, tmp_path: Path) -> None:
    events(engine.train(settings(pair_folder, stage="decom"), tmp_path / "decom"))
    before = weights(tmp_path / "decom")
    start = str(tmp_path / "decom" / "last.safetensors")
    events(engine.train(settings(pair_folder, stage="enhance", init=start), tmp_path / "enhance"))
    after = weights(tmp_path / "enhance")
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("decom."))


def test_a_net_of_another_upsampling_is_a_start_for_enhance_alone(
    pair_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    how = settings(pair_folder, stage="enhance", upsampling="transposed", init=str(tiny_model))
    next(engine.train(how, tmp_path / "enhance"))
    with pytest.raises(TrainingError, match="its upsampling is resize, not transposed"):
        next(engine.train(how.model_copy(update={"stage": "joint"}), tmp_path / "joint"))


def test_other_settings_do_not_enter_a_run(pair_folder: Path, tmp_path: Path) -> None:
    events(engine.train(settings(pair_folder), tmp_path / "run"))
    before = weights(tmp_path / "run")
    with pytest.raises(LowlightError, match=r"epochs 2, not 9, lr 0\.001, not 0\.5"):
        next(iter(engine.train(settings(pair_folder, epochs=9, lr=0.5), tmp_path / "run")))
    assert equal(before, weights(tmp_path / "run"))


def test_a_run_goes_on_elsewhere_and_its_model_does_not_tell_where(pair_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    how = settings(pair_folder, stage="decom", validation=0)
    stream = engine.train(how, run)
    next(event for event in stream if isinstance(event, Saved))
    stream.close()
    elsewhere = {"device": "auto", "data": tmp_path, "run_dir": run, "wandb_project": "other", "checkpoint_every": 2}
    *_, last = engine.train(how.model_copy(update=elsewhere), run)
    assert isinstance(last, Finished) and last.path == str(run / "last.safetensors")
    assert str(tmp_path) not in json.dumps(checkpoints.load(last.path)[1])


def test_a_setting_that_an_older_record_lacks_had_its_default(pair_folder: Path, tmp_path: Path) -> None:
    events(engine.train(settings(pair_folder), tmp_path / "run"))
    record = tmp_path / "run" / "settings.json"
    older = json.loads(record.read_text())
    del older["exposure"], older["clip"]
    record.write_text(json.dumps(older))
    with pytest.raises(TrainingError, match=r"clip 0\.0, not 1\.0"):
        next(iter(engine.train(settings(pair_folder, clip=1.0), tmp_path / "run")))
    next(iter(engine.train(settings(pair_folder), tmp_path / "run")))


def test_what_a_run_without_a_state_has_left_is_not_mixed_with_another(pair_folder: Path, tmp_path: Path) -> None:
    """Killed after its first validation and before its first checkpoint."""
    run = tmp_path / "run"
    how = settings(pair_folder, stage="joint", epochs=3, validate_every=1, checkpoint_every=9)
    stream = engine.train(how, run)
    next(event for event in stream if isinstance(event, Pictured))
    stream.close()
    (run / "state.pt").unlink()
    (run / "last.safetensors").rename(run / "joint-2.safetensors")  # as a cosine's end leaves one
    (run / "events.jsonl").write_text("{}\n")
    (run / "wandb.id").write_text("old")
    with pytest.raises(TrainingError, match=r"lr 0\.001, not 0\.5"):
        events(engine.train(how.model_copy(update={"lr": 0.5}), run))
    assert (run / "best.safetensors").exists()
    stream = engine.train(how, run)
    next(event for event in stream if isinstance(event, Started))
    assert not list(run.glob("*.safetensors"))
    assert not (run / "events.jsonl").exists() and not (run / "wandb.id").exists()
    kept = {path.name for path in run.glob("*.old")}
    assert kept == {"best.safetensors.old", "joint-2.safetensors.old", "events.jsonl.old"}
    stream.close()


def test_photographs_darkened_anew_do_not_become_pairs_unsaid(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, dataset=("synthetic",), photos=pair_folder / "high", data=tmp_path)
    stream = engine.train(how, tmp_path / "run")
    next(event for event in stream if isinstance(event, Saved))
    stream.close()
    shutil.copytree(pair_folder, tmp_path / "synthetic")
    with pytest.raises(TrainingError, match=r"holds a run with photos .*high, not None: choose another"):
        events(engine.train(how.model_copy(update={"photos": None}), tmp_path / "run"))


def test_a_net_keeps_its_exposure(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, stage="joint", exposure=0.3)
    events(engine.train(how, tmp_path / "run"))
    start = str(tmp_path / "run" / "last.safetensors")
    for stage in ("joint", "enhance"):
        with pytest.raises(TrainingError, match=r"use --exposure 0\.3"):
            next(engine.train(settings(pair_folder, stage=stage, init=start), tmp_path / "other"))
        next(engine.train(settings(pair_folder, stage=stage, init=start, exposure=0.3), tmp_path / stage))


@pytest.mark.parametrize("exposure", [0.0, 0.3])
def test_photographs_are_darkened_alike_whatever_the_exposure(exposure: float) -> None:
    """So that two runs differ in what the network knows alone."""
    photographs = torch.full((12, 3, 64, 64), 128, dtype=torch.uint8)
    data = TrainingSet([(x, x) for x in photographs], [True] * 12, [], [], [], [])
    bank = start.bank(TrainSettings(patch=48, exposure=exposure), data, torch.device("cpu"))
    batch = bank.patches(torch.arange(12).repeat(8), 48, torch.Generator().manual_seed(0))
    assert len(batch) == (5 if exposure else 2)
    shares = (batch[0].mean(dim=(1, 2, 3)) / batch[1].mean(dim=(1, 2, 3))).quantile(torch.tensor([0.5, 0.95]))
    assert shares[0] == pytest.approx(0.1, abs=0.04) and shares[1] < 0.5


def test_the_bench_times_the_engine(pair_folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("bench", Path(__file__).parents[1] / "experiments/bench/training.py")
    assert spec is not None and spec.loader is not None
    training = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(training)
    decoded = [datasets.PixelPair(*torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)) for _ in range(4)]
    how = training.settings("decom", 16).model_copy(update={"width": 4})
    found, cpu = datasets.pairs(pair_folder), torch.device("cpu")
    for means in ("", *training.MEANS):
        session = training.without(training.begun(decoded, how, cpu, photographs=2), means, found)
        training.one_epoch(session)()
        assert session.step == 1


def test_a_wrong_init_is_told_before_pictures_are_read(pair_folder: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "run", tmp_path / "runs" / "first"):
        with pytest.raises(LowlightError, match="typo"):
            next(engine.train(settings(pair_folder, stage="joint", init="typo"), folder))
    assert not (tmp_path / "run").exists() and not (tmp_path / "runs").exists()
    (tmp_path / "runs").mkdir()
    with pytest.raises(LowlightError, match="typo"):
        next(engine.train(settings(pair_folder, stage="joint", init="typo"), folder))
    assert (tmp_path / "runs").exists(), "it was there before"


def test_two_runs_do_not_share_a_folder(pair_folder: Path, tmp_path: Path) -> None:
    first = engine.train(settings(pair_folder, stage="joint", epochs=9), tmp_path / "run")
    next(event for event in first if isinstance(event, Started))  # nothing is saved yet
    with pytest.raises(TrainingError, match="another process trains there: choose another --run-dir"):
        next(iter(engine.train(settings(pair_folder, stage="decom"), tmp_path / "run")))
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["stage"] == "joint"
    first.close()
    assert isinstance(
        events(engine.train(settings(pair_folder, stage="joint", epochs=9), tmp_path / "run"))[-1], Finished
    )


def test_a_folder_with_other_things_is_refused(pair_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("dear")
    with pytest.raises(LowlightError, match="not empty"):
        next(iter(engine.train(settings(pair_folder), tmp_path / "run")))


def test_a_patch_larger_than_a_picture_is_refused(pair_folder: Path, tmp_path: Path) -> None:
    small = images.Picture(images.read(pair_folder / "low" / "5.png").pixels[:, :40, :40])
    for side in ("low", "high"):
        images.write(pair_folder / side / "5.png", small)
    with pytest.raises(LowlightError, match=r"high/5\.png: 40 px a side hold no patch: take it out, or use --patch 40"):
        events(engine.train(settings(pair_folder, patch=48, keep_flagged=True, validation=0), tmp_path / "run"))


def test_a_loss_that_is_no_number_stops_the_run(pair_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LowlightError, match="with a --lr below"):
        events(engine.train(settings(pair_folder, stage="joint", lr=1e30, epochs=8), tmp_path / "run"))
    with pytest.raises(LowlightError, match=r"with a --decom-lr below 1e\+30"):
        events(engine.train(settings(pair_folder, stage="joint", decom_lr=1e30, epochs=8), tmp_path / "again"))


@pytest.mark.parametrize("validation", [0.25, 0])
def test_ruined_weights_are_not_saved(
    validation: float, pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = settings(pair_folder, stage="joint", epochs=2, validation=validation, batch=8)  # a step an epoch
    stream = engine.train(how, tmp_path / "run")
    next(event for event in stream if isinstance(event, Saved))
    stream.close()
    sound = weights(tmp_path / "run")
    step = torch.optim.Adam.step

    def ruin(optimizer: torch.optim.Adam) -> None:
        step(optimizer)
        optimizer.param_groups[0]["params"][0].data[:] = torch.inf

    if validation:
        monkeypatch.setattr(session.validation, "figures", lambda *_: {"loss": torch.nan})
    else:
        monkeypatch.setattr(torch.optim.Adam, "step", ruin)
    with pytest.raises(TrainingError, match="became"):
        events(engine.train(how, tmp_path / "run"))
    assert equal(weights(tmp_path / "run"), sound)
    monkeypatch.undo()
    assert isinstance(events(engine.train(how, tmp_path / "run"))[-1], Finished)


def test_a_full_disk_is_one_line_and_the_last_save_stays(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = settings(pair_folder, stage="joint", epochs=3)
    events(engine.train(how, tmp_path / "whole"))
    stream = engine.train(how, tmp_path / "run")
    next(event for event in stream if isinstance(event, Saved))

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        with pytest.raises(LowlightError, match=r"run: cannot save \(No space left on device\); .* make room"):
            events(stream)
    seen = events(engine.train(how, tmp_path / "run"))
    assert isinstance(seen[0], Started)
    assert seen[0].done == 1
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "run"))


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: not enough memory")]
)
def test_out_of_memory_names_what_to_lower(
    error: RuntimeError, pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(Objective, "forward", failing)
    with pytest.raises(LowlightError, match="out of memory on cpu: lower --batch or --patch"):
        events(engine.train(settings(pair_folder), tmp_path / "run"))


def test_out_of_memory_before_the_first_step(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    for module, name in ((engine, "network"), (session, "bank")):
        with monkeypatch.context() as patched, pytest.raises(LowlightError, match="out of memory on cpu"):
            patched.setattr(module, name, failing)
            events(engine.train(settings(pair_folder), tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_picture_that_cannot_be_read_is_named(pair_folder: Path, tmp_path: Path) -> None:
    broken = pair_folder / "low" / "5.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(LowlightError, match=re.escape(str(broken))):
        events(engine.train(settings(pair_folder), tmp_path / "run"))


def test_the_model_of_each_cosine_is_kept(pair_folder: Path, tmp_path: Path) -> None:
    """It is what a run of that cosine alone ends with."""
    alone = settings(pair_folder, stage="joint", scheduler="cosine", epochs=2, ema=0.9)
    events(engine.train(alone, tmp_path / "alone"))
    events(engine.train(alone.model_copy(update={"epochs": 3, "restarts": (2,)}), tmp_path / "twice"))
    kept, header = checkpoints.load(tmp_path / "twice" / "joint-2.safetensors")
    assert equal(dict(kept.state_dict()), weights(tmp_path / "alone"))
    assert not equal(dict(kept.state_dict()), weights(tmp_path / "twice"))
    assert (header["phase"], header["epoch"]) == ("joint", 2)


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


@pytest.mark.parametrize(("given", "computed"), [("fp32", "fp32"), ("auto", "bf16"), ("bf16", "bf16")])
def test_training_is_in_bf16_where_that_is_fast_unless_told(
    given: str, computed: str, pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "fast_bf16", lambda _: True)
    stream = engine.train(settings(pair_folder, stage="decom", precision=given), tmp_path / "run")
    assert next(event.precision for event in stream if isinstance(event, Started)) == computed


@pytest.mark.parametrize("event", [Validated, Pictured])
def test_a_run_stopped_between_the_events_of_an_epoch_misses_none(
    event: type[Event], pair_folder: Path, tmp_path: Path
) -> None:
    how = settings(pair_folder, stage="joint", scheduler="cosine", epochs=3, restarts=(1,), validate_every=1)
    whole = events(engine.train(how, tmp_path / "whole"))
    stream = engine.train(how, tmp_path / "broken")
    next(each for each in stream if isinstance(each, event))
    (tmp_path / "broken" / "joint-1.safetensors").unlink()
    stream.close()
    rest = events(engine.train(how, tmp_path / "broken"))
    assert [each.epoch for each in rest if isinstance(each, Pictured)] == [0, 1, 2]
    assert [each.figures for each in rest if isinstance(each, Validated)] == [
        each.figures for each in whole if isinstance(each, Validated)
    ]
    assert sorted(path.name for path in (tmp_path / "broken").iterdir()) == sorted(
        path.name for path in (tmp_path / "whole").iterdir()
    )
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "broken"))


def test_a_picture_too_small_to_learn_from_or_to_be_judged_by_is_refused(pair_folder: Path, tmp_path: Path) -> None:
    """Each pair in turn has 8 px a side: some of them are held out, the others are not."""
    said = set()
    for number in range(8):
        pairs = tmp_path / f"pairs{number}"
        shutil.copytree(pair_folder, pairs)
        for name, value in (("low", 0.1), ("high", 0.5)):
            images.write(pairs / name / f"{number}.png", images.Picture(torch.full((3, 8, 8), value)))
        with pytest.raises(TrainingError, match="8 px a side") as refused:
            events(engine.train(settings(pairs, keep_flagged=True, stage="joint"), tmp_path / "run"))
        assert str(number) in str(refused.value).partition(":")[0]
        said.add("held out" in str(refused.value))
        assert not (tmp_path / "run").exists()
    assert said == {True, False}


def test_a_damaged_state_is_one_line(pair_folder: Path, tmp_path: Path) -> None:
    events(engine.train(settings(pair_folder, stage="joint"), tmp_path / "run"))
    state = tmp_path / "run" / "state.pt"
    for damaged in (state.read_bytes()[:500], b"", b"e" * 40, b"dear diary"):
        state.write_bytes(damaged)
        with pytest.raises(TrainingError, match="damaged"):
            events(engine.train(settings(pair_folder, stage="joint"), tmp_path / "run"))
    torch.save({"a": 1}, state)
    with pytest.raises(TrainingError, match=r"state\.pt: damaged"):
        events(engine.train(settings(pair_folder, stage="joint"), tmp_path / "run"))
    (tmp_path / "run" / "settings.json").write_text('{"stage":')
    with pytest.raises(TrainingError, match=r"settings\.json: damaged"):
        events(engine.train(settings(pair_folder, stage="joint"), tmp_path / "run"))


def test_the_rate_falls_within_a_run(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, stage="joint", epochs=3, lr=0.01, decay_epochs=(1, 2), decay=0.5)
    steps = [event for event in engine.train(how, tmp_path / "run") if isinstance(event, Step)]
    assert [event.rates["decom"] for event in steps] == pytest.approx([0.01, 0.005, 0.0025])


def test_the_norm_of_all_gradients_together_is_bounded(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms, step = [], torch.optim.Adam.step

    def watched(optimizer: torch.optim.Adam) -> None:
        learning = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norms.append(float(torch.nn.utils.get_total_norm(learning)))
        step(optimizer)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    events(engine.train(settings(pair_folder, stage="joint", epochs=2, clip=1e-3), tmp_path / "run"))
    assert norms == pytest.approx([1e-3] * 2, rel=1e-3)


def test_adamw_decays_the_weights(pair_folder: Path, tmp_path: Path) -> None:
    for name in ("adam", "adamw"):
        events(engine.train(settings(pair_folder, stage="joint", optimizer=name), tmp_path / name))
    assert not equal(weights(tmp_path / "adam"), weights(tmp_path / "adamw"))


def test_the_average_is_what_is_validated(pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, figures = [], session.validation.figures

    def watched(net: Network, *more: object) -> dict[str, float]:
        seen.append({name: value.clone() for name, value in net.state_dict().items()})
        return figures(net, *more)

    monkeypatch.setattr(session.validation, "figures", watched)
    events(engine.train(settings(pair_folder, stage="joint", lr=0.01, ema=0.9), tmp_path / "run"))
    assert equal(seen[-1], weights(tmp_path / "run"))


def test_the_plateau_waits_and_lowers_by_decay(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.validation, "figures", lambda *_: {"loss": 1.0, "ssim": 0.0})
    how = settings(
        pair_folder, stage="joint", epochs=5, lr=0.01, scheduler="plateau", patience=1, decay=0.5, validate_every=1
    )
    steps = [event for event in engine.train(how, tmp_path / "run") if isinstance(event, Step)]
    assert [event.rates["decom"] for event in steps] == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.005])


def test_a_run_that_goes_on_elsewhere_has_learned_from_both(pair_folder: Path, tmp_path: Path) -> None:
    how = settings(pair_folder, stage="joint")
    stream = engine.train(how, tmp_path / "run")
    next(event for event in stream if isinstance(event, Saved))
    stream.close()
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    torch.save({**state, "learned_from": ["before"]}, tmp_path / "run" / "state.pt")
    events(engine.train(how, tmp_path / "run"))
    assert checkpoints.load(str(tmp_path / "run" / "last.safetensors"))[1]["learned_from"] == ["before", "pairs"]


def test_a_loss_is_the_mean_over_the_steps_that_it_tells_of(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for every in (1, 10):
        monkeypatch.setattr(session, "REPORT_EVERY", every)
        how = settings(pair_folder, stage="joint", epochs=1, batch=2)
        told.append([event.loss for event in engine.train(how, tmp_path / str(every)) if isinstance(event, Step)])
    assert len(told[0]) == 3 and told[1] == pytest.approx([sum(told[0]) / 3])
