from pathlib import Path
from typing import Annotated

from .. import console
from ..settings import PIPE, EvaluateSettings
from .options import CONFIG, option

S = EvaluateSettings
WHAT, FIGURES, FILES = "What is measured", "Figures", "Files"


def evaluate(
    dataset: Annotated[str | None, option(S, "dataset")] = None,
    data: Annotated[Path | None, option(S, "data")] = None,
    protocol: Annotated[str | None, option(S, "protocol")] = None,
    model: Annotated[list[str] | None, option(S, "model", "--model", "-m", panel=WHAT)] = None,
    baseline: Annotated[list[str] | None, option(S, "baseline", "--baseline", "-b", panel=WHAT)] = None,
    results: Annotated[list[str] | None, option(S, "results", "--results", "-r", panel=WHAT)] = None,
    denoise: Annotated[str | None, option(S, "denoise", panel=WHAT)] = None,
    ensemble: Annotated[bool | None, option(S, "ensemble", "--ensemble", panel=WHAT)] = None,
    precision: Annotated[str | None, option(S, "precision", panel=FIGURES)] = None,
    lpips: Annotated[bool | None, option(S, "lpips", "--lpips/--no-lpips", panel=FIGURES)] = None,
    niqe: Annotated[Path | None, option(S, "niqe", panel=FIGURES)] = None,
    json_file: Annotated[Path | None, option(S, "json_file", "--json", panel=FILES)] = None,
    csv: Annotated[Path | None, option(S, "csv", panel=FILES)] = None,
    markdown: Annotated[Path | None, option(S, "markdown", panel=FILES)] = None,
    save: Annotated[Path | None, option(S, "save", panel=FILES)] = None,
    sheet: Annotated[Path | None, option(S, "sheet", panel=FILES)] = None,
    report: Annotated[Path | None, option(S, "report", panel=FILES)] = None,
    overwrite: Annotated[bool | None, option(S, "overwrite", "--overwrite/--keep", panel=FILES)] = None,
    device: Annotated[str | None, option(S, "device", panel=FIGURES)] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Measure models and classical methods on pictures, with the truth or without.

    For instance: lowlight evaluate --dataset lol --model retinexnet --baseline clahe --report report.html
    """
    settings = EvaluateSettings.load(**locals())
    from ..core.evaluating import evaluation, outputs
    from ..views.evaluation import show

    with console.counting("evaluating", 1) as counter:
        events = evaluation.run(settings)
        event = next(events)
        while not isinstance(event, evaluation.Finished):
            try:
                counter.at(*event)
                event = next(events)
            except KeyboardInterrupt as interrupt:  # outside of it
                event = events.throw(interrupt)
        found, gallery = event
    said = list(outputs.write(settings, found, gallery))  # before tables, whose reader may have gone
    piped = PIPE in (settings.json_file, settings.csv, settings.markdown, settings.report)
    show(found, console.talk if piped else console.out)
    for reason in found.left_out:
        console.error(reason)
    if settings.save is not None:
        console.note(f"written: {settings.save}")
    well = not found.left_out
    for path in said:
        if path == PIPE:
            continue
        if isinstance(path, Path):
            console.note(f"written: {path}")
        else:
            console.error(str(path))
            well = False
    raise SystemExit(130 if found.stopped else not well)
