"""Where and how exactly to compute."""

import contextlib
import ctypes
import os
import re
from pathlib import Path

import torch
from torch import distributed

from ..settings import DEVICE
from .errors import LowlightError


def choose(device: str | torch.device) -> torch.device:
    """``auto`` is the first of CUDA, Apple's MPS and the CPU that is there; any other must be."""
    name = str(device)
    if isinstance(device, torch.device) and device.type != "cuda":  # of CPUs and Apple's GPUs there is one
        name = device.type
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if not re.fullmatch(DEVICE, name):
        raise LowlightError(f"device {name}: give auto, cpu, cuda, cuda:N or mps")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    device = torch.device(name)
    if name.startswith("cuda:") and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1:
        raise LowlightError(f"device {name}: each of several processes has a GPU of its own: use --device cuda")
    if name == "cuda":
        device = torch.device("cuda", distributed.get_node_local_rank(fallback_rank=0))  # under torchrun one GPU each
    if not there[device.type]:
        raise LowlightError(f"device {name} is not available here: use --device auto or cpu")
    if device.type == "cuda":
        if (device.index or 0) >= torch.cuda.device_count():
            raise LowlightError(f"device {name} does not exist: this machine has {torch.cuda.device_count()} GPU(s)")
        torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32: TF32, its default, has the 10 bits of fp16
    return device


def fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 there: on GPUs since Ampere, on CPUs with bf16 arithmetic."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had there; where nobody says, 4 GiB."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, for the next tensor
        return torch.cuda.mem_get_info(device)[0] + kept
    try:
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux
        return 4 << 30


def give_back_memory() -> None:
    """Return freed memory to the system: glibc keeps it where later allocations lie above, which in a picture of 100
    megapixels comes to some 400 MB."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` means that memory ran out. CUDA's allocator and Python have exceptions of their own for it;
    CPUs, Apple's GPUs and CUDA's libraries raise a RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = "not enough memory", "can't allocate memory", "out of memory", "_ALLOC_FAILED"
    return isinstance(error, RuntimeError) and any(each in str(error) for each in words)
