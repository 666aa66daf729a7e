"""Model files: safetensors, with the architecture and its configuration in the header. Nothing is ever unpickled.

The header's ``lowlight`` entry is JSON: ``architecture``, ``config`` and free text about data, recipe and numbers.
"""

import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from ..settings import MODELS
from .errors import CheckpointError
from .files import replacing
from .networks import Network, RetinexNet, RetinexPlus

PACKAGED = Path(__file__).parents[1] / "weights"
ARCHITECTURES: dict[str, type[Network]] = {"RetinexNet": RetinexNet, "RetinexPlus": RetinexPlus}


UNTRAINED = "its Enhance-Net was never trained, so that only its R and I mean something"
"""What is to be known of a model of phase "decom"."""


def locate(model: str) -> Path:
    """The file of a packaged model's name, or of a path."""
    path = PACKAGED / f"{model}.safetensors" if model in MODELS else Path(model)
    if not os.path.isfile(path):  # noqa: PTH113  (which raises nothing, whatever the name)
        raise CheckpointError(f"no model {model}: {instead(model)}")
    return path


def instead(model: str) -> str:
    """What may have been meant by a model that is not there."""
    for name in ("best", "last"):
        kept = os.path.join(model, f"{name}.safetensors")  # noqa: PTH118
        if os.path.isfile(kept):  # noqa: PTH113
            return f"it is the folder of a run: did you mean {kept}?"
    if model.endswith(".safetensors"):
        return "there is no such file"
    if alike := difflib.get_close_matches(model.lower(), MODELS, 1):
        return f"did you mean {alike[0]}?"
    return f"packaged are {', '.join(MODELS) or 'none'}; or give a .safetensors file"


def save(net: Network, path: Path, about: Mapping[str, Any] | None = None) -> None:
    """Write ``net`` to ``path``, atomically."""
    header = {**(about or {}), "architecture": type(net).__name__, "config": net.config}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    with replacing(path) as partial:
        partial.write_bytes(safetensors.torch.save(tensors, {"lowlight": json.dumps(header)}))


def unweighted(path: Path, architecture: type[Network], config: dict[str, Any]) -> Network:
    """A network that is to be given its weights: none are drawn, which would disturb the caller's chance."""
    try:
        with torch.device("meta"):
            return architecture(**config)
    except TypeError as error:
        raise CheckpointError(
            f"{path}: made by another version of lowlight, with settings unknown here: {error}"
        ) from error


def load(model: str) -> tuple[Network, dict[str, Any]]:
    """The network of a packaged name or file, in evaluation mode on the CPU, and what its header says.

    Weights too small for the processor's fast path are zeroed: they change no output and cost up to 40 times the time.
    """
    path = locate(model)
    try:
        path.open("rb").close()  # says why not; to safetensors every file that it cannot read does not exist
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["lowlight"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        net = unweighted(path, ARCHITECTURES[header["architecture"]], header["config"])
        # copies, since what was read is a view of the file, which may be replaced
        net.load_state_dict(
            {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}, assign=True
        )
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: not a whole lowlight checkpoint ({type(error).__name__}): train one with `lowlight train`, "
            f"or use a packaged model: {', '.join(MODELS)}"
        ) from error
    for parameter in net.parameters():
        parameter.data[parameter.data.abs() < 1e-30] = 0.0
    return net.eval(), header
