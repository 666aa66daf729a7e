"""The processes that train together."""

import atexit
import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed

from ..errors import LowlightError, SaidElsewhere

Value = TypeVar("Value")
MOMENT = 0.5
"""Seconds that a process of several waits at its end."""


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
    device: torch.device

    @classmethod
    def here(cls, device: torch.device) -> "Ranks":
        """Join the others, if there are any."""
        if not distributed.is_torchelastic_launched():
            return cls(0, 1, device)
        if not distributed.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(device)  # or every process also takes memory of the first GPU
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
            atexit.register(part)
            # gradients of 1x1 convolutions, whose two layouts are one: nothing to be done, and nothing lost
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        return cls(distributed.get_rank(), distributed.get_world_size(), device)

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
            distributed.broadcast_object_list(found, src=0, device=self.device)
        if found[1] is not None:
            raise found[1] if self.first else SaidElsewhere
        return cast(Value, found[0])

    def agreed(self, fault: LowlightError | None) -> None:
        """Go on if no process has a fault. Else the first one says what the first of these has, and the others leave
        without a word."""
        if self.count > 1:
            whose = torch.tensor(self.count if fault is None else self.rank, device=self.device)
            distributed.all_reduce(whose, distributed.ReduceOp.MIN)
            if whose == self.count:
                return
            said = [str(fault)]
            distributed.broadcast_object_list(said, src=int(whose), device=self.device)
            if not self.first:
                raise SaidElsewhere
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
        said = torch.tensor(float(word), device=self.device)
        distributed.all_reduce(said, distributed.ReduceOp.MAX)
        return bool(said)

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a (B, ...) batch that all drew alike."""
        return batch.chunk(self.count)[self.rank]

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.count > 1:
            values = values.to(self.device)
            distributed.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes."""
        return self.total(values) / self.count
