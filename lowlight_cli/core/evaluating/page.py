"""An evaluation as one HTML page that needs nothing else: tables, charts, and a slider over each picture."""

import base64
from importlib.resources import files

import torch
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ... import __version__
from .charts import Series, curves, dots
from .gallery import Gallery, caption, order
from .results import TONES, Report, Result
from .summary import by_picture, difference_table, summary

SHARE = 1e-4
"""Levels of input brightness that fewer than this share of the pixels have are too rare to draw."""


def page(report: Report, gallery: Gallery) -> str:
    """The page, as text."""
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(files("lowlight_cli").joinpath("templates", "report.html").read_text(encoding="utf-8"))
    versions = order(report)
    pictures = [
        {
            "name": name,
            "versions": [
                {
                    "name": version,
                    "source": "data:image/jpeg;base64," + base64.b64encode(copies[version]).decode(),
                    "caption": caption(report, version, name),
                }
                for version in versions
                if version in copies
            ],
        }
        for name, copies in gallery.pictures.items()
    ]
    return template.render(
        report=report,
        version=__version__,
        summary=summary(report),
        differences=difference_table(report) if len(report.systems) > 1 else None,
        by_picture=by_picture(report),
        charts=[Markup(chart) for chart in (per_picture(report), brightness(report)) if chart],
        pictures=pictures,
        not_shown=report.pictures - len(pictures),
        versions=versions,
        first=versions[0],
        second=next((result.name for result in report.systems if result.name != versions[0]), versions[-1]),
    )


def per_picture(report: Report) -> str:
    """The first figure of every picture, a mark a system."""
    key, figure = next(iter(report.figures.items()))
    measured = [result for result in report.results if result.values(key)]
    names = list(dict.fromkeys(row.name for result in measured for row in result.rows))
    places = {name: place for place, name in enumerate(names)}
    series = [
        Series(
            result.name,
            [(places[row.name], row.figures[key]) for row in result.rows if key in row.figures],
            number(report, result),
        )
        for result in measured
    ]
    return dots(f"{figure.name} of each picture", figure.label, names, series)


def brightness(report: Report) -> str:
    """What each level of brightness becomes, on average."""
    return curves(
        "Brightness transfer: what each level of the input becomes, on average",
        ("brightness of the input", "brightness of the output"),
        [
            Series(result.name, transfer(result), number(report, result))
            for result in report.results
            if result.name != "input"
        ],
    )


def number(report: Report, result: Result) -> int | None:
    """What gives a system the same colour in every chart; references have none."""
    return report.systems.index(result) if result.kind != "reference" else None


def transfer(result: Result) -> list[tuple[float, float]]:
    """Mean gray of the output for each level of the input's gray that is not rare."""
    total, pixels = sum(result.tones.values(), start=torch.zeros(2, TONES)).tolist()
    return [
        ((level + 0.5) / TONES, total[level] / pixels[level])
        for level in range(TONES)
        if pixels[level] > SHARE * sum(pixels)
    ]
