"""Pictures that are enhanced or decomposed: how far it is, what failed, and where the results are."""

import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path

from .. import console
from ..core.enhancing.batch import Advance, Event, Outcome
from ..core.enhancing.jobs import Job
from ..core.errors import LowlightError

OnOutcome = Callable[[Outcome], None]


def follow(doing: str, count: int, events: Generator[Event], report: OnOutcome | None = None) -> bool:
    """Show ``count`` jobs as they go, a line for each failure, then a summary. Says whether all went well."""
    counts = {"done": 0, "skipped": 0, "failed": 0}
    places: set[Path] = set()
    passed: list[Outcome] = []
    kept: list[Path] = []
    stopped = False
    with console.counting(doing, count) as counter:

        def see(event: Event) -> None:
            ended = sum(counts.values())
            if isinstance(event, Advance):
                counter.at(ended + min(event.share, 0.99), what=event.job.source.name)
                return
            counts[event.status] += 1
            if event.status == "failed":
                console.error(event.reason)
            elif event.reason:
                passed.append(event)
            else:
                places.update(event.job.targets)
                kept.extend(event.kept)
            if report:
                report(event)
            counter.at(ended + 1)  # last, as it draws, where Ctrl-C may strike

        try:
            for event in events:
                see(event)
        except KeyboardInterrupt as interrupt:
            stopped = True
            with suppress(KeyboardInterrupt):  # wherever it came: what is being written is finished, and counts
                see(events.throw(interrupt))
                for event in events:
                    see(event)
            raise SystemExit(130) from None
        except BrokenPipeError:  # whoever read the lines of JSON has had enough
            stopped = True
            raise
        finally:
            for skipped in passed[: console.LISTED]:
                console.note(f"skipped: {skipped.job.source}, {skipped.reason}")
            if len(passed) > console.LISTED:
                console.note(f"skipped: {len(passed) - console.LISTED} more of that kind")
            for path in kept[: console.LISTED]:
                console.note(f"kept: {path}, which was there")
            if len(kept) > console.LISTED:
                console.note(f"kept: {len(kept) - console.LISTED} more that were there")
            alone = count == counts["failed"] == 1  # its error says it all
            counts["not tried"] = count - sum(counts.values())
            if stopped or not alone:
                begun = "stopped: " if stopped or counts["not tried"] else ""
                console.note(begun + summary(counts, places, hint=bool(kept) or counts["skipped"] > len(passed)))
    return not counts["failed"]


def summary(counts: dict[str, int], places: set[Path], *, hint: bool) -> str:
    """How many jobs ended how, and where the results are; with a hint for those that are there already."""
    parts = [f"{counts['done']} done", *(f"{counts[s]} {s}" for s in ("skipped", "failed", "not tried") if counts[s])]
    named = len(places) == 1 or (counts["done"] == 1 and len(places) == 2)  # with its comparison
    where = " and ".join(sorted(map(str, places))) if named else common_folder(places)
    remedy = " (--overwrite replaces what exists)" if hint else ""
    return ", ".join(parts) + (f": {where}" if where else "") + remedy


def common_folder(places: set[Path]) -> str:
    """The folder that all lie in, relative to the current one where they are given so; nothing if there is none."""
    mixed = len({place.is_absolute() for place in places}) > 1
    try:
        return os.path.commonpath([(place.absolute() if mixed else place).parent for place in places]) or "this folder"
    except ValueError:  # no files, or files on two drives
        return ""


def json_line(event: Outcome, model: str) -> None:
    """An outcome as one line of JSON on standard output."""
    line: dict[str, object] = {
        "input": str(event.job.source),
        "status": event.status,
        "output": str(event.job.targets[0]) if event.job.targets else None,
        "outputs": [str(target) for target in event.job.targets],
    }
    if event.status == "failed":
        line["error"] = event.reason
    elif event.status == "skipped":
        line["reason"] = event.reason or "its results exist"
    elif event.status == "done":
        height, width = event.size
        made_by = model if event.computed else None  # what was there may be another's
        line |= {"width": width, "height": height, "seconds": round(event.seconds, 3), "model": made_by}
        line |= {"brightness_before": round(event.before, 4), "brightness_after": round(event.after, 4)}
        line |= {"kept": list(map(str, event.kept))} if event.kept else {}
    if console.out.is_terminal and console.talk.is_terminal:  # above the bar, which stands on the same terminal
        console.talk.print(json.dumps(line), soft_wrap=True, markup=False, highlight=False)
        return
    try:
        print(json.dumps(line), flush=True)  # noqa: T201  (rich would wrap it)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LowlightError(f"standard output: {error.strerror}: the lines of JSON end before the pictures") from error


def plan(todo: Sequence[Job], report: OnOutcome | None = None, *, overwrite: bool) -> bool:
    """Print what would be done. Says whether nothing stands in the way."""
    for job in todo:
        kept = job.skip or (job.finished and not overwrite)
        if report:
            report(Outcome(job, "failed" if job.fault else "skipped" if kept else "planned", job.fault or job.skip))
        if job.fault:
            console.error(job.fault)
        elif job.skip and not report:
            console.out.print(console.plain(f"{job.source}: skipped, {job.skip}"), soft_wrap=True)
        elif not report:
            targets = ", ".join(map(str, job.targets)) + (" (exists: skipped)" if kept else "")
            console.out.print(console.plain(f"{job.source} -> {targets}"), soft_wrap=True)
    return not any(job.fault for job in todo)
