"""Charts as inline SVG. Text and rules take the page's colours; a series is told by colour, shape and a legend."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

COLOURS = ("#1f83c8", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f00")
"""Told apart with any colour vision and on light and dark paper: after Okabe and Ito 2008."""
MARKS = (
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
    "M-4,-4h8v8h-8z",
    "M0,-5L5,4H-5z",
    "M0,-5.5L5.5,0L0,5.5L-5.5,0z",
)
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 60, 44
WIDTH, HEIGHT = 920, 340
LEGEND = 200
"""Where the legend begins at the earliest, right of what an axis counts."""


class Series(NamedTuple):
    """A name, its points (x, y), and the number that sets its colour and mark; without one it is gray and dashed."""

    name: str
    points: Sequence[tuple[float, float]]
    number: int | None


def ticks(low: float, high: float) -> list[float]:
    """Round numbers that cover low to high, about five."""
    span = (high - low) or 1.0
    step = 10 ** math.floor(math.log10(span / 5))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * place, 10) for place in range(first, max(last, first + 1) + 1)]


def dots(title: str, axis: str, names: Sequence[str], series: Sequence[Series]) -> str:
    """A mark for each series over each name; x counts the names. Values that are not finite are left out."""
    seen: dict[float, list[float]] = {}
    for x, y in (point for one in series for point in one.points):
        if math.isfinite(y):
            seen.setdefault(x, []).append(y)
    if not seen:
        return ""
    marks = ticks(min(map(min, seen.values())), max(map(max, seen.values())))
    plot = Plot((-0.5, len(names) - 0.5), (marks[0], marks[-1]))
    parts = plot.frame(title, axis, marks)
    every = math.ceil(len(names) / (WIDTH / 60))
    for place, name in enumerate(names):
        if place in seen:
            x, low, high = plot.x(place), plot.y(min(seen[place])), plot.y(max(seen[place]))
            parts.append(f'<line class="rule" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        if place % every == 0:
            parts.append(plot.label(plot.x(place), HEIGHT - BOTTOM + 18, name[:12]))
    for one in series:
        for x, y in one.points:
            if math.isfinite(y):
                parts.append(mark(one, plot.x(x), plot.y(y), said=f"{names[int(x)]}, {one.name}: {y:.2f}"))
    return plot.drawn(title, parts, series)


def curves(title: str, axes: tuple[str, str], series: Sequence[Series]) -> str:
    """A line for each series over levels from 0 to 1, in levels from 0 to 1; the thin line says "unchanged"."""
    marks = [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    across = ticks(0, max((x for one in series for x, _ in one.points), default=1))
    last = min(across[-1], 1.0)
    plot = Plot((0, last), (0, 1))
    parts = plot.frame(title, axes[1], marks)
    parts += [plot.label(plot.x(mark), HEIGHT - BOTTOM + 18, f"{mark:g}") for mark in across if mark <= last]
    parts.append(plot.label(plot.x(last / 2), HEIGHT - 6, axes[0]))
    ends = f'x1="{plot.x(0)}" y1="{plot.y(0)}" x2="{plot.x(last)}" y2="{plot.y(last):.1f}"'
    parts.append(
        f'<line class="rule" {ends}/>' + plot.label(plot.x(last), plot.y(last) + 16, "unchanged", anchor="end")
    )
    for one in series:
        path = " ".join(f"{plot.x(x):.1f},{plot.y(y):.1f}" for x, y in one.points)
        style = 'class="quiet"' if one.number is None else f'stroke="{COLOURS[one.number % len(COLOURS)]}"'
        parts.append(f'<polyline {style} fill="none" stroke-width="2.5" points="{path}"/>')
        for x, y in one.points:
            parts.append(mark(one, plot.x(x), plot.y(y), 0.6, said=f"{one.name}: {x:.2f} becomes {y:.2f}"))
    return plot.drawn(title, parts, series)


def mark(series: Series, x: float, y: float, scale: float = 1.0, *, said: str = "") -> str:
    """The mark of a series at a place of the drawing, which says something when pointed at."""
    if series.number is None:
        return ""
    rounds, place = divmod(series.number, len(COLOURS))  # from the ninth on, a colour comes with another mark
    shape, colour = MARKS[(place + rounds) % len(MARKS)], COLOURS[place]
    return (
        f'<path d="{shape}" transform="translate({x:.1f},{y:.1f}) scale({scale:g})" fill="{colour}">'
        f"<title>{escape(said)}</title></path>"
    )


class Plot(NamedTuple):
    """Where values lie on the drawing."""

    across: tuple[float, float]
    up: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.across
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.up
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def label(self, x: float, y: float, text: str, *, anchor: str = "middle") -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'

    def frame(self, title: str, axis: str, marks: Sequence[float]) -> list[str]:
        """The title, horizontal rules with their values, and what they count."""
        parts = [f'<text class="title" x="4" y="16">{escape(title)}</text>', self.label(4, 40, axis, anchor="start")]
        for mark in marks:
            y = self.y(mark)
            parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(self.label(LEFT - 8, y + 4, f"{mark:g}", anchor="end"))
        return parts

    def drawn(self, title: str, parts: list[str], series: Sequence[Series]) -> str:
        """The whole drawing, with its legend at the top right, and below what finds no place there."""
        x, y, height = float(WIDTH - RIGHT), 40, HEIGHT
        for one in reversed(series):
            if x - 8 * len(one.name) < LEGEND:
                x, y, height = float(WIDTH - RIGHT), height + 12, height + 20
            x -= 8 * len(one.name)  # at most: the mark stands by its name whatever the letters' width
            parts.append(self.label(x, y, one.name, anchor="start"))
            x -= 8
            if one.number is None:
                ends = f'x1="{x - 8}" x2="{x + 6}" y1="{y - 4}" y2="{y - 4}"'
                parts.append(f'<line class="quiet" {ends} stroke-width="2.5"/>')
            parts.append(mark(one, x, y - 4, said=one.name))
            x -= 18
        return (
            f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">' + "".join(parts) + "</svg>"
        )
