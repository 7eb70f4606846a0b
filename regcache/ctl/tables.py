"""Tables on a terminal: as wide as it is, or row by row where it is too narrow for columns."""

import shutil
from collections.abc import Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

LEAST = 14
"""Cells that a column has at least, or all that its texts need: it is folded to no less."""

_GAP = 2


def print_table(stream: TextIO, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their columns, or each row as lines of names and values.

    :param rows: texts that steer no terminal.
    """
    width, height = shutil.get_terminal_size()  # Console takes a dumb one for 80 columns
    console = Console(file=stream, width=width, height=height)
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    least = sum(min(LEAST, each) for each in widths) + _GAP * (len(widths) - 1)
    if least <= console.width:
        console.print(_under_columns(columns, rows, widths))
    else:
        console.print(_row_by_row(columns, rows))


def _under_columns(
    columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> Table:
    heads = [
        Column(name, overflow="fold", no_wrap=width <= LEAST)
        for name, width in zip(columns, widths, strict=True)
    ]
    table = Table(*heads, box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _row_by_row(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Names and values; what is empty is left out, and between rows is an empty line."""
    heads = Column(style="bold", no_wrap=True), Column(overflow="fold")
    table = Table(*heads, box=None, show_header=False, pad_edge=False, padding=(0, _GAP, 0, 0))
    for number, row in enumerate(rows):
        if number:
            table.add_row()
        for name, cell in zip(columns, row, strict=True):
            if cell:
                table.add_row(name, Text(cell))
    return table
