"""What is asked of a GPU, on machines that may have none."""

from collections.abc import Iterator

import pytest
import torch

from lowlight_cli.core import device
from lowlight_cli.core.errors import LowlightError
from lowlight_cli.core.networks import thumbnail


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.usefixtures("two_gpus")
def test_fp32_is_no_tf32() -> None:
    torch.backends.cudnn.allow_tf32 = True
    assert device.choose("cuda:1") == torch.device("cuda:1")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.usefixtures("two_gpus")
def test_several_processes_do_not_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert device.choose("cuda") == torch.device("cuda:1")
    with pytest.raises(LowlightError, match="use --device cuda"):
        device.choose("cuda:0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert device.choose("cuda:0") == torch.device("cuda:0")


@pytest.mark.parametrize("name", ["cuda:x", "cuda:", "cuda:-1", "cpu:5", "tpu"])
def test_a_device_that_cannot_be_is_one_line(name: str) -> None:
    with pytest.raises(LowlightError, match=f"device {name}: give auto, cpu, cuda"):
        device.choose(name)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, other allocations: 1 GB, max allowed: 9 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."),
    ],
)
def test_memory_that_runs_out_is_known_by_what_each_library_says(error: Exception) -> None:
    assert device.out_of_memory(error)
    assert not device.out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not device.out_of_memory(ValueError(str(error)))


def test_what_torch_keeps_for_the_next_tensor_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 8000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 5000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 2000)
    assert device.free_memory(torch.device("cuda")) == 4000


def test_a_thumbnail_stays_where_its_picture_is() -> None:
    assert thumbnail(torch.empty(1, 3, 100, 90, device="meta")).device.type == "meta"
