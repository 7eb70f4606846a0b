"""The targets as one picture: how far each is from its bound."""

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any
from xml.sax.saxutils import escape

_ROW, _TOP, _LABELS, _WIDTH = 20, 54, 470, 950
_REACH = 3.0  # doublings to either side of the bound
_MET, _MISSED = "#2a7f62", "#c0542b"


def draw(rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str], caption: str) -> str:
    """An SVG picture: one bar per target, to the right where it is better than it has to be."""
    height = _TOP + _ROW * len(rows) + 20
    middle = (_LABELS + _WIDTH) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(10, 20, caption),
        _text(middle, 40, "target", "middle"),
        _text(middle + _bar(2), 40, "2 x better", "middle"),
        _text(middle + _bar(0.5), 40, "2 x worse", "middle"),
    ]
    for number, row in enumerate(rows):
        parts.extend(_row(row, titles, _TOP + _ROW * number, middle))
    for goodness in (0.25, 0.5, 1, 2, 4):
        x = middle + _bar(goodness)
        parts.append(
            f'<path d="M{x:.1f} 46V{height - 14}" stroke="#888" stroke-width="'
            f'{1 if goodness == 1 else 0.3}"/>'
        )
    return "\n".join([*parts, "</svg>", ""])


def goodness(value: float, bound: float, least: bool) -> float:
    """How many times better than the bound; below 1 is worse. Zeros are as good as can be."""
    if least:
        return value / bound if bound else 2.0**_REACH
    if value <= 0:
        return 2.0**_REACH if value < bound or not bound else 1.0
    return bound / value


def _bar(times: float) -> float:
    """Pixels from the middle, on a logarithmic scale that ends at the edges."""
    doublings = log2(times) if times > 0 else -_REACH
    half = (_WIDTH - _LABELS) / 2 - 30
    return max(-_REACH, min(_REACH, doublings)) / _REACH * half


def _row(row: Mapping[str, Any], titles: Mapping[str, str], top: int, middle: float) -> list[str]:
    length = _bar(goodness(row["value"], row["bound"], row["least"]))
    left = middle + min(0.0, length)
    colour = _MET if row["met"] else _MISSED
    what = str(row["what"]).partition(" (")[0]
    label = f"{titles[row['workload']]}: {what}"
    return [
        _text(_LABELS - 8, top + 14, f"{label} = {row['value']:.3g} ({row['wanted']})", "end", 9),
        f'<rect x="{left:.1f}" y="{top + 3}" width="{max(1.0, abs(length)):.1f}"'
        f' height="{_ROW - 6}" fill="{colour}"/>',
    ]


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
    )
