"""Many files at once: order, failures, memory, and stopping in the middle."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lowlight_cli.core.enhancing import batch
from lowlight_cli.core.enhancing.batch import Advance, Computed, Outcome
from lowlight_cli.core.enhancing.enhancer import Enhancer, Steps
from lowlight_cli.core.enhancing.jobs import Job
from lowlight_cli.core.errors import LowlightError, OutOfMemoryError, PictureError
from lowlight_cli.core.pictures import images
from lowlight_cli.core.pictures.images import Picture
from lowlight_cli.core.pictures.picture import converted


def dark(path: Path, seed: int = 0, size: tuple[int, int] = (40, 24)) -> Path:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 50, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    return path


def jobs(folder: Path, *names: str) -> list[Job]:
    return [Job(dark(folder / name, seed), (folder / "out" / name,)) for seed, name in enumerate(names)]


def copying(jobs: Sequence[Job], pictures: Sequence[Picture]) -> Steps[list[Computed]]:
    """Stands for a network: the result is the picture."""
    yield 0.5
    yield 1.0
    return [
        Computed(picture.size, 0.1, 0.2, lambda job=job, picture=picture: images.write(job.targets[0], picture))  # type: ignore[misc]
        for job, picture in zip(jobs, pictures, strict=True)
    ]


def test_events_tell_the_whole_story(tmp_path: Path) -> None:
    todo = jobs(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    todo.append(Job(tmp_path / "d.png", fault="d.png: cannot be"))
    events = list(batch.flow(todo, copying, overwrite=False))
    ends = {event.job.source.name: event for event in events if isinstance(event, Outcome)}
    assert {name: event.status for name, event in ends.items()} == {
        "a.png": "done",
        "b.png": "failed",
        "c.png": "done",
        "d.png": "failed",
    }
    assert "not a picture" in ends["b.png"].reason
    assert ends["d.png"].reason == "d.png: cannot be"
    assert ends["a.png"].size == (24, 40)
    assert [event.share for event in events if isinstance(event, Advance) and event.job == todo[0]] == [0.5, 1.0]


def test_what_exists_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    todo = jobs(tmp_path, "a.png", "b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_text("precious")
    first = [event.status for event in batch.flow(todo, copying, overwrite=False) if isinstance(event, Outcome)]
    assert sorted(first) == ["done", "skipped"]
    assert (tmp_path / "out" / "a.png").read_text() == "precious"
    second = [event.status for event in batch.flow(todo, copying, overwrite=True) if isinstance(event, Outcome)]
    assert second == ["done", "done"]


def test_a_failure_of_the_network_or_of_the_disk_ends_one_job_alone(tmp_path: Path) -> None:
    todo = jobs(tmp_path, "a.png", "b.png", "c.png", "d.png")

    def compute(jobs: Sequence[Job], pictures: Sequence[Picture]) -> Steps[list[Computed]]:
        if jobs[0].source.name == "a.png":
            raise LowlightError("no more")
        if jobs[0].source.name == "d.png":
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")
        made = yield from copying(jobs, pictures)
        if jobs[0].source.name == "b.png":

            def full() -> None:
                raise PictureError("b.png: disk full")

            return [Computed((1, 1), 0, 0, full)]
        return made

    ends = [event for event in batch.flow(todo, compute, overwrite=False) if isinstance(event, Outcome)]
    assert sorted((event.status, event.reason) for event in ends) == [
        ("done", ""),
        ("failed", f"{tmp_path / 'd.png'}: not enough memory: reduce it first, or close other programs"),
        ("failed", "b.png: disk full"),
        ("failed", "no more"),
    ]


def test_what_is_too_much_together_is_done_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    todo = jobs(tmp_path, "a.png", "b.png", "c.png")
    together = []
    monkeypatch.setattr(batch, "taken", lambda reading, _: [reading.popleft() for _ in range(len(reading))])

    def compute(jobs: Sequence[Job], pictures: Sequence[Picture]) -> Steps[list[Computed]]:
        together.append(len(jobs))
        if len(jobs) > 1:
            raise OutOfMemoryError("not enough memory for 24x40 px: use --tile 128")
        if jobs[0].source.name == "b.png":
            raise OutOfMemoryError("not enough memory for 24x40 px: use --tile 128")
        return (yield from copying(jobs, pictures))

    ends = [event for event in batch.flow(todo, compute, overwrite=False, together=3) if isinstance(event, Outcome)]
    assert {event.job.source.name: event.status for event in ends} == {
        "a.png": "done",
        "b.png": "failed",
        "c.png": "done",
    }
    (failed,) = (event.reason for event in ends if event.reason)
    assert failed == f"{tmp_path / 'b.png'}: not enough memory for 24x40 px: use --tile 128"
    assert together == [3, 1, 1, 1]


@pytest.mark.parametrize("where", ["compute", "write"])
def test_python_without_memory_ends_one_job_alone(where: str, tmp_path: Path) -> None:
    todo = jobs(tmp_path, "a.png", "b.png")

    def full() -> None:
        raise MemoryError

    def compute(jobs: Sequence[Job], pictures: Sequence[Picture]) -> Steps[list[Computed]]:
        made = yield from copying(jobs, pictures)
        if jobs[0].source.name == "b.png":
            return made
        return full() or [] if where == "compute" else [Computed((1, 1), 0, 0, full)]

    ends = [event for event in batch.flow(todo, compute, overwrite=False) if isinstance(event, Outcome)]
    assert {event.job.source.name: event.reason for event in ends} == {
        "a.png": f"{tmp_path / 'a.png'}: not enough memory: reduce it first, or close other programs",
        "b.png": "",
    }


def test_hardly_more_is_under_way_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    todo = jobs(tmp_path, *(f"{number}.png" for number in range(12)))
    monkeypatch.setattr(batch, "PIXELS", 2 * 40 * 24)
    monkeypatch.setattr(batch, "THREADS", 8)
    alive, most, lock = set(), [0], threading.Lock()
    read, write = images.read, images.write

    def reading(path: Path) -> Picture:
        with lock:
            alive.add(path.name)
            most[0] = max(most[0], len(alive))
        return read(path)

    def writing(path: Path, picture: Picture) -> None:
        write(path, picture)
        with lock:
            alive.discard(path.name)

    monkeypatch.setattr(images, "read", reading)
    monkeypatch.setattr(images, "write", writing)
    ends = [event for event in batch.flow(todo, copying, overwrite=False) if isinstance(event, Outcome)]
    assert len(ends) == 12
    assert most[0] <= 3, "two that are read or written, and one that is computed"


def test_stopping_finishes_what_is_being_written_and_nothing_else(tmp_path: Path) -> None:
    todo = jobs(tmp_path, *(f"{number:02}.png" for number in range(30)))

    def compute(jobs: Sequence[Job], pictures: Sequence[Picture]) -> Steps[list[Computed]]:
        if jobs[0].source.name == "05.png":
            raise KeyboardInterrupt
        return (yield from copying(jobs, pictures))

    with pytest.raises(KeyboardInterrupt):
        list(batch.flow(todo, compute, overwrite=False))
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == [f"{number:02}.png" for number in range(5)]
    for name in written:
        assert torch.equal(images.read(tmp_path / "out" / name).samples, images.read(tmp_path / name).samples)


def test_pictures_computed_together_come_out_as_alone(tmp_path: Path, tiny_model: Path) -> None:
    enhancer = Enhancer(str(tiny_model), "cpu")
    names = ["a.png", "b.png", "c.png", "d.jpg"]
    todo = jobs(tmp_path, *names)
    groups = []

    def compute(jobs: Sequence[Job], pictures: Sequence[Picture]) -> Steps[list[Computed]]:
        groups.append(len(jobs))
        results = yield from enhancer.enhanced(pictures)
        return [
            Computed(picture.size, 0, 0, lambda job=job, picture=picture: images.write(job.targets[0], picture))  # type: ignore[misc]
            for job, picture in zip(jobs, results, strict=True)
        ]

    reading = [batch.Read(job, 1, done(images.read(job.source))) for job in todo]
    group = batch.taken(batch.deque(reading), 16)
    assert [each.job.source.name for each in group] == ["a.png", "b.png", "c.png"], "of one kind"
    list(batch.computed(group, compute))
    assert groups == [3]
    together = [each.samples for each in finish(enhancer.enhanced([images.read(job.source) for job in todo[:3]]))]
    for job, samples in zip(todo, together, strict=False):
        alone = finish(enhancer.enhanced([images.read(job.source)]))[0].samples
        assert (alone.int() - samples.int()).abs().max() <= 1


def test_pictures_of_two_depths_are_not_computed_together(tmp_path: Path) -> None:
    first, second = jobs(tmp_path, "a.png", "b.png")
    picture = images.read(first.source)
    deep = replace(picture, samples=converted(picture.samples, torch.uint16))
    reading = batch.deque([batch.Read(first, 1, done(picture)), batch.Read(second, 1, done(deep))])
    assert [each.job for each in batch.taken(reading, 16)] == [first]


def done(picture: Picture) -> "batch.Future[tuple[Picture, float]]":
    future: batch.Future[tuple[Picture, float]] = batch.Future()
    future.set_result((picture, 0.0))
    return future


def finish(steps: Steps[list[Picture]]) -> list[Picture]:
    from lowlight_cli.core.enhancing.enhancer import finish

    return finish(steps)
