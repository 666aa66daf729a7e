from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..settings import SynthesiseSettings
from .options import CONFIG, option


def synthesise(
    photos: Annotated[Path, typer.Argument(help="Folder of well-lit photographs.", show_default=False)],
    out: Annotated[Path | None, option(SynthesiseSettings, "out", "--out", "-o")] = None,
    copies: Annotated[int | None, option(SynthesiseSettings, "copies")] = None,
    jpeg: Annotated[int | None, option(SynthesiseSettings, "jpeg")] = None,
    seed: Annotated[int | None, option(SynthesiseSettings, "seed")] = None,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Make training pairs from well-lit photographs: a dark counterpart of each, with the noise of low light.

    For instance: lowlight synthesise photos/ --out data/synthetic
    """
    settings = SynthesiseSettings.load(**locals())
    from ..core.data import datasets, synthetic

    todo = datasets.photographs(settings.photos, settings.seed, settings.copies)
    written = unread = 0
    said = set()
    with console.counting("synthesising", len(todo)) as counter:
        for number, left_out in enumerate(synthetic.synthesise(todo, settings.out, settings.jpeg), 1):
            if left_out is None:
                written += 1
            else:
                unread += left_out.unreadable
                if left_out.reason not in said:  # of several copies once
                    console.note(f"left out: {left_out.reason}")
                said.add(left_out.reason)
            counter.at(number)
    console.note(f"{written} pair{'s' * (written != 1)} in {settings.out}: train on them with --dataset {settings.out}")
    raise SystemExit(unread > 0)
