"""Model files: round trip, readable header, clear refusals, nothing unpickled."""

import errno
import json
import os
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch

from lowlight_cli.core import checkpoints
from lowlight_cli.core.errors import CheckpointError
from lowlight_cli.core.networks import RetinexNet


def test_round_trip(tmp_path: Path) -> None:
    net = RetinexNet(width=4)
    checkpoints.save(net, tmp_path / "a.safetensors", {"epoch": 3})
    back, header = checkpoints.load(str(tmp_path / "a.safetensors"))
    assert header == {"architecture": "RetinexNet", "config": net.config, "epoch": 3}
    assert not back.training
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in net.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_loaded_model_does_not_change_with_its_file(tiny_model: Path) -> None:
    net, _ = checkpoints.load(str(tiny_model))
    before = [parameter.clone() for parameter in net.parameters()]
    with tiny_model.open("r+b") as file:
        file.seek(-400, 2)
        file.write(bytes(400))
    assert all(torch.equal(now, then) for now, then in zip(net.parameters(), before, strict=True))


def test_loading_leaves_the_random_generator_as_it_was(tiny_model: Path) -> None:
    before = torch.get_rng_state()
    checkpoints.load(str(tiny_model))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_header_is_json_without_torch(tmp_path: Path) -> None:
    checkpoints.save(RetinexNet(width=4, upsampling="transposed"), tmp_path / "a.safetensors")
    with safetensors.safe_open(tmp_path / "a.safetensors", framework="np") as file:
        config = json.loads(file.metadata()["lowlight"])["config"]
    assert config == {"width": 4, "upsampling": "transposed", "ignore_enhance_net": False, "exposure": 0.0}


def test_a_setting_of_another_version_is_named(tmp_path: Path) -> None:
    net = RetinexNet(width=4)
    net.config |= {"light_scale": 16}
    checkpoints.save(net, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"made by another version of lowlight.*light_scale"):
        checkpoints.load(str(tmp_path / "a.safetensors"))


def test_tiny_weights_become_zero(tmp_path: Path) -> None:
    net = RetinexNet(width=4)
    net.decom.stem.weight.data[0, 0, 0, 0] = 1e-40
    checkpoints.save(net, tmp_path / "a.safetensors")
    assert checkpoints.load(str(tmp_path / "a.safetensors"))[0].decom.stem.weight[0, 0, 0, 0] == 0


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_header(path: Path) -> None:
    path.write_bytes(b"\xff" * 16 + path.read_bytes()[16:])


def pickle(path: Path) -> None:
    torch.save(RetinexNet(width=4).state_dict(), path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_net(path: Path) -> None:
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)


@pytest.mark.parametrize("damage", [cut, flip_header, pickle, empty, other_net])
def test_a_damaged_or_foreign_file_is_refused_in_one_line(damage: object, tiny_model: Path) -> None:
    assert callable(damage)
    damage(tiny_model)
    with pytest.raises(CheckpointError, match=tiny_model.name) as caught:
        checkpoints.load(str(tiny_model))
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_not_said_to_be_missing(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(CheckpointError, match="Permission denied"):
        checkpoints.load(str(tiny_model))


@pytest.mark.parametrize("name", ["nonesuch", "x" * 300])
def test_an_unknown_name_lists_the_packaged_ones(name: str) -> None:
    with pytest.raises(CheckpointError, match=f"no model {name}: packaged are"):
        checkpoints.load(name)


def test_a_name_that_is_nearly_right_is_told_the_right_one(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    tiny_model.rename(tmp_path / "run" / "last.safetensors")
    for given, said in {
        "retinex-pluss": "did you mean retinex-plus?",
        "RETINEX-PLUS": "did you mean retinex-plus?",
        str(tmp_path / "run"): f"it is the folder of a run: did you mean {tmp_path / 'run' / 'last.safetensors'}?",
        "gone.safetensors": "there is no such file",
    }.items():
        with pytest.raises(CheckpointError, match=re.escape(f"no model {given}: {said}")):
            checkpoints.load(given)


def test_settings_that_no_net_can_have_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    about = {"architecture": "RetinexPlus", "config": {"widths": [], "depths": []}}
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}, {"lowlight": json.dumps(about)}))
    with pytest.raises(CheckpointError, match="not a whole lowlight checkpoint"):
        checkpoints.load(str(path))


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    checkpoints.save(RetinexNet(width=4), path)
    before = path.read_bytes()

    def fail(partial: Path, _: bytes) -> None:
        with partial.open("wb") as file:
            file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(RetinexNet(width=4), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_file_is_on_the_disk_before_it_takes_the_place_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: done.append("on the disk") or fsync(number))
    monkeypatch.setattr(Path, "replace", lambda path, target: done.append(target.name) or replace(path, target))
    checkpoints.save(RetinexNet(width=4), tmp_path / "a.safetensors")
    assert done == ["on the disk", "a.safetensors"]


def test_of_a_link_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.safetensors").write_text("old")
    (tmp_path / "link.safetensors").symlink_to("models/a.safetensors")
    checkpoints.save(RetinexNet(width=4), tmp_path / "link.safetensors")
    assert (tmp_path / "link.safetensors").is_symlink()
    assert checkpoints.load(str(tmp_path / "models" / "a.safetensors"))
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["a.safetensors"]


def test_others_may_read_what_was_saved_as_they_may_any_new_file(tmp_path: Path) -> None:
    checkpoints.save(RetinexNet(width=4), tmp_path / "a.safetensors")
    (tmp_path / "b").touch()
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "b").stat().st_mode
