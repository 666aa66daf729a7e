"""What the tests share: tiny pictures, a tiny model, the command line, and data that may be absent."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lowlight_cli.app import main
from lowlight_cli.core import checkpoints
from lowlight_cli.core.networks import RetinexNet
from lowlight_cli.core.pictures import images

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell start with it ignored
torch.set_num_threads(1)  # the pictures are tiny, and threads only wait for each other

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def reference() -> Path:
    """What the authors' TensorFlow graph computes; not part of the project."""
    path = SHARED / "reference" / "retinexnet_tf_reference.npz"
    if not path.exists():
        pytest.skip("the TensorFlow reference is not here")
    return path


@pytest.fixture
def lol() -> Path:
    """LOL, unpacked; not part of the project."""
    path = Path(os.environ.get("TEST_LOL", Path(__file__).parents[1] / "data" / "lol"))
    if not (path / "our485").is_dir():
        pytest.skip("LOL is not here: name its folder in TEST_LOL")
    return path


def scenery(seed: int, height: int = 48, width: int = 64) -> torch.Tensor:
    """A smooth coloured picture with edges, (3, H, W) in [0, 1]; another scene for each seed."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="nearest")[0] * 0.8 + 0.1


@pytest.fixture
def pair_folder(tmp_path: Path) -> Path:
    """A data set of eight pairs of eight scenes, 48x64."""
    place = tmp_path / "pairs"
    for number in range(8):
        high = scenery(number)
        for side, pixels in (("low", high * 0.15), ("high", high)):
            images.write(place / side / f"{number}.png", images.Picture(pixels))
    return place


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """An untrained RetinexNet of width 4, as a file."""
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    checkpoints.save(RetinexNet(width=4), path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """One dark JPEG, 37x50."""
    path = tmp_path / "night.jpg"
    images.to_image(scenery(1, 37, 50) * 0.2).save(path)
    return path


@pytest.fixture
def lowlight(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line; returns its exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


@pytest.fixture(autouse=True)
def unsynchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits until the disks of the whole machine have written all."""
    monkeypatch.setattr(os, "sync", lambda: None, raising=False)
