"""The command line as a whole: help, version, exit codes, and one line for every failure."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import typer

from lowlight_cli import __main__ as loader
from lowlight_cli import __version__, console, settings
from lowlight_cli.app import app
from lowlight_cli.core import checkpoints
from lowlight_cli.core.data import datasets
from lowlight_cli.core.evaluating import evaluation
from lowlight_cli.core.pictures import encoding, images
from lowlight_cli.core.training import events, session
from lowlight_cli.views import training

Run = Callable[..., tuple[int, str, str]]
COMMANDS = ["enhance", "decompose", "serve", "evaluate", "train", "download", "synthesise"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches(command: str, lowlight: Run) -> None:
    code, out, _ = lowlight(command, "--help")
    assert code == 0
    assert "For instance: lowlight" in " ".join(out.split())


@pytest.mark.parametrize("command", ["enhance", "train", "evaluate", "download", "serve"])
def test_defaults_stand_in_help_as_they_are_typed(lowlight: Run, command: str) -> None:
    out = lowlight(command, "--help")[1]
    assert "Default: " in out and "[default" not in out and ": (" not in out


def test_every_option_has_help() -> None:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


@pytest.mark.parametrize("name", typer.main.get_command(app).commands)  # type: ignore[attr-defined]
def test_every_option_of_a_command_is_a_setting(name: str) -> None:
    """No option is parsed and then lost: each is a field of the command's settings, save for those that have none."""
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    fields = getattr(settings, f"{name.title()}Settings").model_fields
    assert {parameter.name for parameter in command.params} - {"config", "resume", "show_list", "help"} <= set(fields)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("train --sched", ["--scheduler"]),
        ("train --scheduler ", ["step", "plateau", "cosine"]),
        ("enhance --denoise l", ["light"]),
        ("enhance a.jpg -m retinexnet-j", ["retinexnet-joint", "retinexnet-joint-ignore-enhance"]),
        ("evaluate --dataset sa", ["samples"]),
        ("evaluate -b ", ["input", "gamma", "histeq", "clahe", "lime"]),
    ],
)
def test_a_shell_completes_words(typed: str, offered: list[str]) -> None:
    words = f"lowlight {typed}"
    variables = {"_LOWLIGHT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = "from lowlight_cli.app import app; app(prog_name='lowlight')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == offered


def test_version(lowlight: Run) -> None:
    assert lowlight("--version") == (0, f"lowlight {__version__}\n", "")


def test_the_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lowlight_cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"lowlight {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("brighten",),
        ("train", "--pach", "48"),
        ("train", "--patch", "50"),
        ("train", "--stage", "both"),
        ("train", "--stage", "enhance"),
        ("train", "--config", "absent.toml"),
        ("enhance",),
    ],
)
def test_wrong_usage_exits_with_2_and_no_traceback(arguments: tuple[str, ...], lowlight: Run) -> None:
    code, out, err = lowlight(*arguments)
    assert code == 2
    assert err
    assert "Traceback" not in out + err


def one_line(err: str) -> str:
    (line,) = err.strip().splitlines()
    assert line.startswith("error: ")
    return line


def test_training_without_lol_says_how_to_get_it(lowlight: Run, tmp_path: Path) -> None:
    code, _, err = lowlight("train", "--stage", "joint", "--data", tmp_path, "--run-dir", tmp_path / "run")
    assert code == 1
    assert "lowlight download lol" in one_line(err)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of width 4, to be quick."""
    monkeypatch.setenv("LOWLIGHT_WIDTH", "4")


def test_train_writes_a_run_that_evaluate_and_enhance_can_use(
    lowlight: Run, narrow: None, pair_folder: Path, photo: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    small = ["--epochs", 1, "--patch", 16, "--batch", 4, "--validation", 0.25]
    code, _, err = lowlight("train", "--dataset", pair_folder, "--run-dir", run, *small)
    assert code == 0, err
    assert {path.name for path in run.iterdir()} == {
        *(
            ".lock",
            "settings.json",
            "events.jsonl",
            "last.safetensors",
            "best.safetensors",
            "state.pt",
            "curves.png",
            "pictures",
        )
    }
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == [
        *("started", "step", "validated", "pictured", "saved", "step", "validated", "pictured", "saved", "finished")
    ]
    model = run / "best.safetensors"
    assert lowlight("evaluate", "--dataset", pair_folder, "--model", model, "--json", tmp_path / "e.json")[0] == 0
    assert json.loads((tmp_path / "e.json").read_text())["pairs"] == 8
    assert re.search(r"decom epoch 1: loss \d\.\d{4}, saved; 0 min left\n(.*\n)?enhance epoch 1: loss", err), err
    assert lowlight("enhance", photo, "--out", tmp_path / "bright.png", "--model", model)[0] == 0
    assert (tmp_path / "bright.png").exists()


def test_into_a_file_training_says_at_each_checkpoint_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([1000.0, 1000.0, 1000.0, 1060.0])  # made, started, saved at once, and a minute later
    with console.counting("training", 1) as counter:
        monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        show = training.TrainingView(counter)
        show(
            events.Started(
                "run", "1.0", "2.15", 1, 2, "cpu", "fp32", 1, 9, 1, 0, [], steps=100, done=20, finished=False
            )
        )
        capsys.readouterr()
        show(events.Saved("joint", 3, 20, "last.safetensors"))  # it was stopped between a step and its checkpoint
        assert capsys.readouterr().err == "joint epoch 4: saved\n"
        show(events.Step("joint", 4, 50, {"decom": 1e-3}, 0.25, {"recon": 0.25}, 9.0))
        capsys.readouterr()
        show(events.Saved("joint", 4, 50, "last.safetensors"))
    assert capsys.readouterr().err == "joint epoch 5: loss 0.2500, saved; 2 min left\n"  # 30 steps a minute, 50 to go


def test_a_run_goes_on_when_the_command_is_repeated(
    lowlight: Run, narrow: None, pair_folder: Path, tmp_path: Path
) -> None:
    command = ["train", "--dataset", pair_folder, "--run-dir", tmp_path / "run", "--stage", "decom"]
    command += ["--epochs", 1, "--patch", 16, "--batch", 4, "--validation", 0]
    assert lowlight(*command)[0] == 0
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    assert lowlight(*command, "--checkpoint-every", 3)[0] == 0
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
    assert "seed 0, not 5" in one_line(lowlight(*command, "--seed", 5)[2])
    (tmp_path / "again.toml").write_text("scheduler = 'cosine'\nrestarts = [1]\n")
    err = one_line(lowlight(*command, "--config", tmp_path / "again.toml", "--epochs", 2)[2])
    assert "restarts none, not 1" in err


@pytest.mark.parametrize(
    "names",
    [("SIGINT",), ("SIGHUP",), ("SIGTERM", "SIGHUP")],  # Ctrl-C, a terminal that closes, a machine that shuts down
)
def test_ctrl_c_saves_and_says_how_to_go_on(pair_folder: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "lowlight_cli", "train", "--dataset", str(pair_folder), "--run-dir", str(run)]
    command += ["--epochs", "100000", "--patch", "16", "--batch", "4", "--validation", "0", "--stage", "decom"]
    signals = [signal.Signals[name] for name in names]
    kept = [signal.signal(number, signal.SIG_DFL) for number in signals]  # under nohup, children would have a deaf ear
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for number, handler in zip(signals, kept, strict=True):
        signal.signal(number, handler)
    journal = run / "events.jsonl"
    while process.poll() is None and not (journal.exists() and '"step"' in journal.read_text()):
        time.sleep(0.05)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.005)  # or they would come in the order of their numbers
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"lowlight train --resume {run}" in err
    assert "Traceback" not in err
    steps = [json.loads(line)["step"] for line in journal.read_text().splitlines() if '"event": "step"' in line]
    state = torch.load(run / "state.pt", weights_only=True)
    assert state["step"] == steps[-1]


def test_ctrl_c_before_the_first_step_promises_nothing(
    lowlight: Run, pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = datasets.to_train_on

    def interrupted(*arguments: Any) -> list[datasets.Pair | datasets.Photo]:
        signal.raise_signal(signal.SIGINT)
        return find(*arguments)

    monkeypatch.setattr(datasets, "to_train_on", interrupted)
    run = tmp_path / "run"
    code, _, err = lowlight("train", "--dataset", pair_folder, "--run-dir", run, "--patch", 16, "--stage", "decom")
    assert code == 130
    assert err.splitlines() == [
        "stopping soon, and saving; Ctrl-C again leaves at once, without saving",
        "stopped before anything was learned: the same command begins anew",
    ]
    assert not run.exists()


def test_ctrl_c_while_it_saves_loses_nothing(
    lowlight: Run, pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, save = session.Session.one_epoch, session.Session.save

    def interrupted(self: session.Session) -> Any:
        signal.raise_signal(signal.SIGINT)
        return step(self)

    def impatient(self: session.Session) -> None:
        signal.raise_signal(signal.SIGINT)
        save(self)

    monkeypatch.setattr(session.Session, "one_epoch", interrupted)
    monkeypatch.setattr(session.Session, "save", impatient)
    run = tmp_path / "run"
    code, _, err = lowlight("train", "--dataset", pair_folder, "--run-dir", run, "--patch", 16, "--stage", "decom")
    assert (code, (run / "state.pt").exists()) == (130, True)
    assert "stopped and saved" in err


def test_ctrl_c_while_it_loads_is_one_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Loading(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "lowlight_cli.app", Loading("app"))
    with pytest.raises(SystemExit) as left:
        loader.main()
    assert (left.value.code, capsys.readouterr().err) == (130, "stopped\n")


def test_ctrl_c_in_any_command_is_one_word(lowlight: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "run", interrupted)
    code, out, err = lowlight("evaluate", "--dataset", tmp_path)
    assert (code, out, err) == (130, "", "stopped\n")


def test_what_is_being_written_when_it_is_ended_is_finished_or_gone(
    lowlight: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        images.write(tmp_path / "in" / f"{number}.png", images.Picture(torch.rand(3, 20, 30)))
    encode = encoding.encode

    def ended(*arguments: Any) -> None:
        monkeypatch.setattr(images, "encode", encode)
        os.kill(os.getpid(), signal.SIGTERM)
        encode(*arguments)

    monkeypatch.setattr(images, "encode", ended)
    code, _, err = lowlight("enhance", tmp_path / "in", "--out", tmp_path / "out", "--model", tiny_model)
    assert code == 130 and "stopped" in err
    for thread in threading.enumerate():  # as the end of the process waits for them
        if thread is not threading.main_thread() and not thread.daemon and thread.is_alive():
            thread.join(10)
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_closed_streams_are_no_traceback() -> None:
    command = f"{sys.executable} -m lowlight_cli --version >&- <&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["enhance", "decompose"])
def test_an_empty_argument_is_not_this_folder(lowlight: Run, command: str) -> None:
    for arguments in ([""], ["a.png", "--out", ""], ["a.png", "--out="]):
        code, _, err = lowlight(command, *arguments)
        assert code == 2 and "is a shell variable unset?" in one_line(err)
    code, _, err = lowlight(command, "a=.png", "--out=x=")
    assert code == 1 and "a=.png: no such file" in err


def test_what_a_killed_run_left_half_written_is_in_no_way(
    lowlight: Run, narrow: None, pair_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ["train", "--dataset", pair_folder, "--run-dir", run, "--stage", "decom"]
    command += ["--epochs", 1, "--patch", 16, "--batch", 4, "--validation", 0]

    def halved() -> None:
        for name in (
            ".settings.6a284d02.part.json",
            ".last.d79c5e6b.part.safetensors",
            "pictures/.a.00ff00ff.part.png",
        ):
            (run / name).parent.mkdir(exist_ok=True)
            (run / name).write_text("{")

    run.mkdir()
    halved()
    (run / "pictures/.a.00ff00ff.part.png").unlink()
    (run / "pictures").rmdir()
    assert lowlight(*command)[0] == 0  # in a folder with nothing else in it
    halved()
    (run / "state.pt").unlink()
    (run / "last.safetensors").unlink()
    code, _, err = lowlight("train", "--resume", run)
    assert code == 0 and "nothing was saved there yet" in err
    assert not list(run.rglob("*.part*"))


def test_resume_wants_a_run(lowlight: Run, tmp_path: Path) -> None:
    code, _, err = lowlight("train", "--resume", tmp_path)
    assert code == 2
    assert "no run to go on with" in one_line(err)


def test_a_run_that_cannot_start_leaves_nothing_in_the_way(lowlight: Run, pair_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    small = ["--epochs", 1, "--patch", 16, "--batch", 4, "--validation", 0, "--stage", "decom", "--run-dir", run]
    assert "no folder low/" in one_line(lowlight("train", "--dataset", tmp_path, *small)[2])
    assert not run.exists()
    assert lowlight("train", "--dataset", pair_folder, *small)[0] == 0


def test_resume_goes_on_where_it_was(lowlight: Run, narrow: None, pair_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    small = ["--epochs", 1, "--patch", 16, "--batch", 4, "--validation", 0, "--stage", "decom"]
    assert lowlight("train", "--dataset", pair_folder, "--run-dir", run, *small)[0] == 0
    code, _, err = lowlight("train", "--resume", run, "--run-dir", tmp_path / "other")
    assert code == 2 and "leave out --run-dir" in one_line(err)
    assert not (tmp_path / "other").exists()
    err = lowlight("train", "--resume", run)[2]
    assert "this run is finished" in err and "trained in" not in err
    assert "epochs 1, not 3" in one_line(lowlight("train", "--resume", run, "--epochs", 3)[2])
    settings = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps(settings | {"mixup": 0.0}))  # as an earlier version had it
    code, _, err = lowlight("train", "--resume", run)
    assert code == 0 and "this run is finished" in err
    assert "mixup: no such setting" in one_line(lowlight("train", "--config", run / "settings.json")[2])
    (run / "state.pt").unlink()
    assert "begins anew" in lowlight("train", "--resume", run)[2]


def test_resume_goes_on_from_any_folder(
    lowlight: Run, narrow: None, pair_folder: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ["--epochs", 1, "--patch", 16, "--batch", 4, "--validation", 0, "--stage", "decom"]
    monkeypatch.chdir(tmp_path)
    paths = ["--dataset", pair_folder.name, "--init", tiny_model.name, "--run-dir", "run"]
    assert lowlight("train", *paths, *small)[0] == 0
    monkeypatch.chdir("/")
    code, _, err = lowlight("train", "--resume", tmp_path / "run")
    assert code == 0 and "this run is finished" in err
    monkeypatch.chdir(tmp_path)
    assert lowlight("train", *paths, *small)[0] == 0, "and the same command goes on as well"
    pair_folder.rename(tmp_path.parent / pair_folder.name)
    tiny_model.unlink()
    code, _, err = lowlight("train", "--resume", "run", "--dataset", tmp_path.parent / pair_folder.name)
    assert code == 0 and "this run is finished" in err, "moved pairs are said, and first weights are needed no more"
    assert "dataset" in one_line(lowlight("train", "--dataset", tmp_path, *paths[2:], *small)[2])
    header = checkpoints.load(str(tmp_path / "run" / "last.safetensors"))[1]
    assert header["settings"]["dataset"] == ["pairs"] and header["settings"]["init"] == tiny_model.name


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train", "One of retinexnet, retinex-plus."),
        ("train", "One of decom, enhance, separate, joint."),
        ("enhance", "One of off, light, strong."),
        ("decompose", "One of off, light, strong."),
    ],
)
def test_help_lists_what_may_be_chosen(lowlight: Run, monkeypatch: pytest.MonkeyPatch, command: str, said: str) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    out = " ".join(lowlight(command, "--help")[1].split())
    assert said in out
    assert command == "train" or "retinex-plus-lol" in out


def test_an_unknown_device_is_named(lowlight: Run, photo: Path, tiny_model: Path) -> None:
    code, _, err = lowlight("enhance", photo, "--model", tiny_model, "--device", "cuda:7")
    assert code == 1
    assert "cuda:7" in one_line(err)


def test_a_fault_of_the_system_is_one_line_and_exits_with_1(lowlight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "photos")

    monkeypatch.setattr(evaluation, "run", closed)
    assert lowlight("evaluate") == (1, "", "error: photos: Permission denied\n")
