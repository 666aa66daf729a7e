"""The figures of an evaluation as tables of text: for the terminal, for Markdown and for a page."""

import math
from typing import NamedTuple

from .results import COMPARED, FIGURES, Report, differences


class Table(NamedTuple):
    """Text in cells, for a terminal, Markdown or a page; the first column names the line."""

    header: list[str]
    lines: list[list[str]]


def markdown_table(table: Table) -> str:
    lines = [table.header, ["---", *["---:"] * (len(table.header) - 1)], *table.lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def summary(report: Report) -> Table:
    """A line a system: means, PSNR also with its interval, and the size."""
    header, lines = ["system"], [[result.name] for result in report.results]
    means, sure = [result.mean() for result in report.results], [result.intervals() for result in report.results]
    for key, figure in report.figures.items():
        header.append(figure.label)
        for line, mean in zip(lines, means, strict=True):
            line.append(shown(mean.get(key), figure.digits))
        if key == "psnr":
            header.append("95 %")
            for line, ends in zip(lines, sure, strict=True):
                line.append(span(ends.get(key), 1))
    for result, line in zip(report.results, lines, strict=True):
        size = (result.parameters, result.multiply_adds_per_pixel)
        line += [f"{number:,}" if result.kind == "model" else "–" for number in size]
    return Table([*header, "parameters", "MAC/px"], lines)


def span(ends: tuple[float, float] | None, digits: int, *, signed: bool = False) -> str:
    """An interval for people; a dash where there is none."""
    return " to ".join(shown(end, digits, signed=signed) for end in ends) if ends else "–"


def difference_table(report: Report, figures: int = len(COMPARED)) -> Table:
    """A line a system: its paired difference to the first system in the leading compared ``figures``."""
    keys = [key for key in COMPARED if key in report.figures][:figures]
    header = [f"minus {report.systems[0].name}"]
    for key in keys:
        header += [report.figures[key].label, "95 %", f"{report.figures[key].name} better on"]
    lines = []
    for other, by_key in differences(report.systems):
        line = [other.name]
        for key in keys:
            found, digits = by_key.get(key), FIGURES[key].digits
            if found is None:
                line += ["–", "–", "–"]
            else:
                line += [shown(found.mean, digits, signed=True), span(found.interval, digits, signed=True)]
                line += [f"{found.better} of {found.pictures}"]
        lines.append(line)
    return Table(header, lines)


def by_picture(report: Report) -> Table:
    """A line a picture, a column a system, all in the report's first figure; the mean last."""
    key, figure = next(iter(report.figures.items()))
    measured = [result for result in report.results if result.values(key)]
    found = [{row.name: row.figures.get(key) for row in result.rows} for result in measured]
    names = dict.fromkeys(row.name for result in measured for row in result.rows)
    lines = [[name, *(shown(by_name.get(name), figure.digits) for by_name in found)] for name in names]
    means = [shown(result.mean().get(key), figure.digits) for result in measured]
    return Table([figure.label, *(result.name for result in measured)], [*lines, ["mean", *means]])


def of_one(report: Report) -> Table:
    """A line a picture with every figure of the only system, then the mean and the ends of its interval."""
    (system,) = report.systems
    figures = report.figures
    lines = [
        [row.name, *(shown(row.figures.get(key), figure.digits) for key, figure in figures.items())]
        for row in system.rows
    ]
    mean, sure = system.mean(), system.intervals()
    lines.append(["mean", *(shown(mean.get(key), figure.digits) for key, figure in figures.items())])
    for end, name in enumerate(("95 % from", "95 % to")):
        ends = [shown(sure[key][end], figure.digits) if key in sure else "–" for key, figure in figures.items()]
        lines.append([name, *ends])
    return Table(["picture", *(figure.label for figure in figures.values())], lines)


def shown(value: float | None, digits: int, *, signed: bool = False) -> str:
    """A number for people; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:{'+' if signed else ''}.{digits}f}"


def as_markdown(report: Report) -> str:
    """The means with their intervals, the paired differences, and the first figure of each picture, as tables."""
    sections = [f"## {report.title}", markdown_table(summary(report))]
    if len(report.systems) > 1:
        sections.append(markdown_table(difference_table(report)))
    sections.append(markdown_table(by_picture(report)))
    return "\n\n".join([*sections, report.caption, *report.notes, *report.left_out]) + "\n"
