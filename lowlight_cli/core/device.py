"""Where and how exactly to compute."""

import torch

from .errors import LowlightError


def choose(name: str) -> torch.device:
    """``auto`` is the first of CUDA, Apple's MPS and the CPU that is there; any other name must be."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not there[device.type]:
        raise LowlightError(f"device {name} is not available here: use --device auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise LowlightError(f"device {name} does not exist: this machine has {torch.cuda.device_count()} GPU(s)")
    return device


def fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 there: on GPUs since Ampere, on CPUs with bf16 arithmetic."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
