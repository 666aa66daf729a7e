"""What is kept of a run: the journal, picture grids, curves, and what Weights & Biases really wrote."""

import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lowlight_cli import tracking
from lowlight_cli.core.errors import TrainingError
from lowlight_cli.core.training.events import Pictured, Saved
from lowlight_cli.settings import TrainSettings
from lowlight_cli.tracking import draw_curves

Run = Callable[..., tuple[int, str, str]]


def small(pairs: Path, run: Path, *more: object) -> list[object]:
    options = [
        "--epochs",
        2,
        "--patch",
        16,
        "--batch",
        4,
        "--validation",
        0.25,
        "--validate-every",
        2,
        "--stage",
        "joint",
    ]
    return ["train", "--config", pairs.parent / "width.toml", "--dataset", pairs, "--run-dir", run, *options, *more]


@pytest.fixture(autouse=True)
def narrow(tmp_path: Path) -> None:
    (tmp_path / "width.toml").write_text("width = 4\n")


def test_pictures_and_curves(lowlight: Run, pair_folder: Path, tmp_path: Path) -> None:
    assert lowlight(*small(pair_folder, tmp_path / "run"))[0] == 0
    with Image.open(tmp_path / "run" / "pictures" / "joint-0002.png") as grid:
        assert grid.width > 6 * 64  # six columns
        assert grid.height > 2 * 48  # two held-out pairs
    with Image.open(tmp_path / "run" / "curves.png") as curves:
        assert len(curves.convert("RGB").getcolors(1 << 24)) > 20
    with (tmp_path / "run" / "events.jsonl").open("a") as journal:
        journal.write('{"time": "2026-11')  # killed while writing
    draw_curves(tmp_path / "run" / "events.jsonl", tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "run" / "curves.png").read_bytes()
    journal = tmp_path / "run" / "events.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines + [line for line in lines if '"step"' in line][:2]))  # as a resumed run repeats
    draw_curves(journal, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "run" / "curves.png").read_bytes()


def records(path: Path) -> Iterator[bytes]:
    """The records of a LevelDB log, 32 KiB blocks of checksum, length, kind and data, after wandb's 7-byte header."""
    data, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        room = 32768 - at % 32768
        if room < 7:
            at += room
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or last part
            yield parts
            parts = b""


def history(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Configuration and logged rows of the one offline run below ``folder``: the file that `wandb sync` would send."""
    from wandb.proto import wandb_internal_pb2

    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    config: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for data in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for update in record.run.config.update:
            config[update.key or "/".join(update.nested_key)] = json.loads(update.value_json)
        if record.history.item:
            rows.append({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item})
    return config, rows


def test_weights_and_biases_offline_holds_what_was_trained(pair_folder: Path, tmp_path: Path) -> None:
    """In a process of its own, as wandb starts threads and a service that outlive a test."""
    command = [str(argument) for argument in small(pair_folder, tmp_path / "runs" / "one", "--wandb", "offline")]
    done = subprocess.run([sys.executable, "-m", "lowlight_cli", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    config, rows = history(tmp_path / "runs")
    (place,) = (tmp_path / "runs" / "wandb").glob("offline-run-*")
    assert f"wandb sync {place}" in done.stderr
    assert config["stage"] == "joint"
    merged: dict[str, Any] = {}
    for row in rows:
        merged |= row
    journal = [json.loads(line) for line in (tmp_path / "runs" / "one" / "events.jsonl").read_text().splitlines()]
    steps = [record for record in journal if record["event"] == "step"]
    for name, value in steps[-1]["terms"].items():
        assert merged[f"loss/{name}"] == pytest.approx(value)
    assert merged["lr/decom"] == steps[-1]["rates"]["decom"]
    validated = next(record for record in journal if record["event"] == "validated")
    assert merged["validation/psnr"] == pytest.approx(validated["figures"]["psnr"])
    pictured = next(record for record in journal if record["event"] == "pictured")
    assert merged["pictures/caption"] == ", ".join(pictured["rows"])
    assert list(tmp_path.glob(f"runs/wandb/offline-run-*/files/{merged['pictures/path']}"))


def test_a_run_that_goes_on_is_the_same_one_for_weights_and_biases(pair_folder: Path, tmp_path: Path) -> None:
    def told(*arguments: object) -> tuple[int, str]:
        command = [sys.executable, "-m", "lowlight_cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    run, options = tmp_path / "runs" / "one", ("--wandb", "offline")
    place = tmp_path / "runs" / "wandb"
    code, _ = told(*small(pair_folder, run, *options, "--patch", 1000))
    assert code == 1 and not place.exists() and not run.exists()
    assert told(*small(pair_folder, run, *options))[0] == 0
    _, rows = history(tmp_path / "runs")
    (first,) = place.glob("offline-run-*")
    first.rename(tmp_path / first.name)  # a second name within one second would be the same
    code, talk = told("train", "--resume", run)
    (second,) = place.glob("offline-run-*")
    assert code == 0 and f"wandb sync {second}" in talk
    assert first.name.rpartition("-")[2] == second.name.rpartition("-")[2] == (run / "wandb.id").read_text()
    own = ("_timestamp", "_runtime")
    config, again = history(tmp_path / "runs")  # whole: sent after the first part, it takes its place
    assert [row.keys() for row in again] == [row.keys() for row in rows]
    for row, before in zip(again, rows, strict=True):
        for name in row.keys() - {*own, "pictures/path"}:
            assert row[name] == pytest.approx(before[name])
    assert config["started"]["processes"] == 1 and config["started"]["finished"]


def test_online_without_a_login_stops_before_training(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    command = [str(argument) for argument in small(pair_folder, tmp_path / "run", "--wandb", "online")]
    done = subprocess.run([sys.executable, "-m", "lowlight_cli", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "wandb login" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("WANDB_API_KEY", "abc")
    done = subprocess.run([sys.executable, "-m", "lowlight_cli", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "API key" in done.stderr and "wandb login" in done.stderr
    assert "Traceback" not in done.stderr


def test_wandb_is_not_imported_unasked(pair_folder: Path, tmp_path: Path) -> None:
    arguments = [str(argument) for argument in small(pair_folder, tmp_path / "run")]
    code = f"import sys; from lowlight_cli.app import main; main({arguments!r}); sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_half_a_line_does_not_swallow_the_next_event(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"event": "st')
    journal = tracking.Journal(tmp_path)
    journal(Saved("decom", 0, 10, "last.safetensors"))
    journal.close()
    first, second = (tmp_path / "events.jsonl").read_text().splitlines()
    assert first == '{"event": "st' and json.loads(second)["event"] == "saved"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full")
def test_a_disk_that_is_full_for_the_journal_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    said = f"^{tmp_path}: No space left on device: make room, then go on with --resume {tmp_path}$"
    with pytest.raises(TrainingError, match=said), tracking.tracking(TrainSettings(), tmp_path) as (journal, *_):
        journal(Saved("decom", 0, 10, "last.safetensors"))


def test_a_grid_that_cannot_be_kept_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("in the way")
    said = f"{tmp_path}/pictures.*, then go on with --resume {tmp_path}$"
    with pytest.raises(TrainingError, match=said), tracking.tracking(TrainSettings(), tmp_path) as (_, album, *_):
        album(Pictured("joint", 0, 10, {"1": {"low": torch.zeros(3, 8, 8)}}))


def test_curves_of_a_run_that_never_validates_are_drawn_as_it_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(tracking.time, "monotonic", lambda: clock[0])
    drawn: list[float] = []
    monkeypatch.setattr(tracking, "draw_curves", lambda *_: drawn.append(clock[0]))
    curves = tracking.Curves(tmp_path)
    for clock[0] in (0.0, 10.0, 59.0, 61.0, 100.0, 122.0):
        curves(Saved("decom", 0, 10, "last.safetensors"))
    assert drawn == [0, 61, 122]


def test_without_matplotlib_it_is_said_that_no_curves_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with tracking.tracking(TrainSettings(), tmp_path) as trackers:
        assert len(trackers) == 2
    assert "pip install 'lowlight[plots]'" in capsys.readouterr().err
