"""The figures of an evaluation as tables of the terminal."""

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .. import console
from ..core.evaluating import summary
from ..core.evaluating.results import Report
from ..core.evaluating.summary import Table as Cells


def show(report: Report, place: Console = console.out) -> None:
    """One system: every figure of every picture. Several: their means, differences, and one figure of every picture."""
    if len(report.systems) == 1:
        tables = [("", summary.of_one(report)), ("means", summary.summary(report))]
    else:
        tables = [
            ("", summary.by_picture(report)),
            ("paired differences, with 95 % intervals", summary.difference_table(report, figures=2)),
            ("means", summary.summary(report)),
        ]
    place.print(escape(report.title), style="bold", highlight=False)
    for title, table in tables:
        if title:
            place.print(title, style="italic", highlight=False)
        for piece in pieces(table, place.width):
            place.print(rich_table(piece))
    if report.caption:
        console.note(report.caption)
    for said in report.notes:
        console.note(said)


def pieces(table: Cells, width: int) -> Iterator[Cells]:
    """A table cut at its columns to fit ``width``; every piece begins with the first column."""
    widths = [most + 3 for most in column_widths(table)]
    room, chosen = width - widths[0], [0]
    for column in range(1, len(widths)):
        if widths[column] > room and len(chosen) > 1:
            yield columns(table, chosen)
            room, chosen = width - widths[0], [0]
        room -= widths[column]
        chosen.append(column)
    yield columns(table, chosen)


def column_widths(table: Cells) -> list[int]:
    """Room for the cells of each column and for the longest word of its name."""
    columns = zip(*table.lines, strict=True)
    return [max(map(cell_len, (*cells, *name.split()))) for name, cells in zip(table.header, columns, strict=True)]


def columns(table: Cells, chosen: list[int]) -> Cells:
    """Some columns of a table."""
    header, *lines = ([line[column] for column in chosen] for line in (table.header, *table.lines))
    return Cells(header, lines)


def rich_table(table: Cells) -> Table:
    """Text in cells as a table of the terminal; lines of means stand out."""
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, (name, width) in enumerate(zip(table.header, column_widths(table), strict=True)):
        shown.add_column(escape(name), justify="right" if number else "left", vertical="bottom", width=width)
    for line in table.lines:
        shown.add_row(*(escape(console.printable(cell)) for cell in line), style="bold" if line[0] == "mean" else "")
    return shown
