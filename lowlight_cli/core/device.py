"""Where and how exactly to compute."""

import atexit
import contextlib
import ctypes
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed

from .errors import LowlightError

Value = TypeVar("Value")
MOMENT = 0.5
"""Seconds that a process of several waits at its end."""


def choose(name: str) -> torch.device:
    """``auto`` is the first of CUDA, Apple's MPS and the CPU that is there; any other name must be."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name.partition(":")[0] not in there:
        raise LowlightError(f"device {name}: give auto, cpu, cuda, cuda:N or mps")
    device = torch.device(name)
    if name == "cuda":
        device = torch.device("cuda", distributed.get_node_local_rank(fallback_rank=0))  # under torchrun one GPU each
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


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had there; where nobody says, 4 GiB."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
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


def out_of_memory(error: RuntimeError) -> bool:
    """Whether that is what happened: GPUs have an exception of their own for it, the CPU has words."""
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)


def part() -> None:
    """Leave the group of processes. One of gloo's threads may still have to let go of a tensor, for which it needs the
    interpreter: were that ending by then, the thread would abort a process that is done. Nothing tells of such threads,
    so they are given a moment."""
    time.sleep(MOMENT)
    distributed.destroy_process_group()


@dataclass(frozen=True)
class Ranks:
    """The processes that ``torchrun`` started to train together, seen from one of them; alone, one of one."""

    rank: int
    count: int
    place: torch.device

    @classmethod
    def here(cls, place: torch.device) -> "Ranks":
        """Join the others, if there are any."""
        if not distributed.is_torchelastic_launched():
            return cls(0, 1, place)
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
            atexit.register(part)
            # gradients of 1x1 convolutions, whose two layouts are one: nothing to be done, and nothing lost
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        return cls(distributed.get_rank(), distributed.get_world_size(), place)

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def told(self, find: Callable[[], Value]) -> Value:
        """What the first process finds, for all; it alone has the files, where there are several machines. If it
        cannot, it says why, and the others leave without a word."""
        found: list[Any] = [None, None]  # what, and why not
        if self.first:
            try:
                found[0] = find()
            except LowlightError as error:
                found[1] = error
        if self.count > 1:
            distributed.broadcast_object_list(found, src=0, device=self.place)
        if found[1] is not None:
            raise found[1] if self.first else SystemExit(1)
        return cast(Value, found[0])

    def agreed(self, fault: LowlightError | None) -> None:
        """Go on if no process has a fault. Else the first one says what the first of these has, and the others leave
        without a word."""
        if self.count > 1:
            whose = torch.tensor(self.count if fault is None else self.rank, device=self.place)
            distributed.all_reduce(whose, distributed.ReduceOp.MIN)
            if whose == self.count:
                return
            said = [str(fault)]
            distributed.broadcast_object_list(said, src=int(whose), device=self.place)
            if not self.first:
                raise SystemExit(1)
            fault = fault or LowlightError(f"process {int(whose) + 1} of {self.count}: {said[0]}")
        if fault is not None:
            raise fault

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Work that each process does for itself, after which all go on, or none: see ``agreed``."""
        fault = None
        try:
            yield
        except LowlightError as error:
            fault = error
        self.agreed(fault)

    def any(self, word: bool) -> bool:
        """Whether one of the processes says so."""
        if self.count == 1:
            return word
        said = torch.tensor(float(word), device=self.place)
        distributed.all_reduce(said, distributed.ReduceOp.MAX)
        return bool(said)

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a (B, ...) batch that all drew alike."""
        return batch.chunk(self.count)[self.rank]

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes."""
        if self.count > 1:
            distributed.all_reduce(values)
            values = values / self.count
        return values
