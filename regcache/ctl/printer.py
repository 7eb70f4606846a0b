"""What commands print: tables on a terminal, plain lines elsewhere, JSON where it is wanted.

Names, tags and messages of upstreams are other people's: nothing of them reaches the terminal that
could steer it.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from regcache.ctl.prompts import interruptible, wait_for_line
from regcache.ctl.standard_streams import abandon_output

Part = tuple[str, int, int]
"""Something that is under way: what, how much is done, and of how much."""
Show = Callable[[int, int | None, Sequence[Part]], object]
"""Takes how much is done, and of how much (None if not known), and what is under way."""


class NoOutputError(Exception):
    """What is printed cannot be written, to a full disk for instance; the text is one line."""


_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Printer:
    """Where one command prints.

    :param as_json: print the answers of the API as they are.
    :param answers: where answers to questions are read.
    :ivar is_terminal: it is a terminal, which a person looks at.
    """

    def __init__(
        self,
        as_json: bool,
        stream: TextIO | None = None,
        errors: TextIO | None = None,
        answers: TextIO | None = None,
    ) -> None:
        self.as_json, self._is_unused = as_json, True
        self._answers = sys.stdin if answers is None else answers
        self._stream = sys.stdout if stream is None else stream
        self._errors = sys.stderr if errors is None else errors
        self.is_terminal = self._stream.isatty()

    def json(self, value: Any) -> None:
        """Print an answer."""
        self._write(json.dumps(value, indent=2))

    def json_rows(self, rows: Sequence[Any]) -> None:
        """Print all rows of a list, in the form of an answer that has one page."""
        self.json({"items": rows, "next": None, "total": len(rows)})

    def line(self, text: str) -> None:
        """Print a line."""
        self._write(harmless(text))

    def line_now(self, text: str) -> None:
        """Print a line at once, even into a pipe."""
        self.line(text)
        self.flush()

    def row_now(self, cells: Sequence[str]) -> None:
        """Print a row at once: below others on a terminal, elsewhere with tabs."""
        self.line_now("  ".join(cells) if self.is_terminal else _tabbed(cells))

    def flush(self) -> None:
        """Have all reach its reader.

        :raises BrokenPipeError: if that one reads no more.
        :raises NoOutputError: if it cannot be written.
        """
        with _writing():
            self._stream.flush()

    def abandon(self) -> None:
        """Print nothing more: who reads it, ``head`` for instance, has ended, or a disk is full."""
        abandon_output(self._stream)

    def _write(self, text: str) -> None:
        self._is_unused = False
        with _writing():
            print(text, file=self._stream)

    def error(self, text: str) -> None:
        """Print a line for people, beside the output."""
        print(harmless(text), file=self._errors, flush=True)

    def problem(self, text: str, problem: Mapping[str, Any]) -> None:
        """Say that something was refused; as JSON the problem is printed, where nothing was."""
        self.error(text)
        if self.as_json and self._is_unused and "code" in problem:
            self.json(problem)

    @contextmanager
    def progress(self, text: str, quiet: bool = False) -> Iterator[Show]:
        """Show how far something is while it goes on: a bar on a terminal, elsewhere nothing."""
        if quiet or self.as_json or not self.is_terminal:
            yield lambda done, total, parts: None
            return
        with _bar(self._stream, text) as show:
            yield show

    @property
    def can_ask(self) -> bool:
        """Whether a person reads what is printed, and can answer."""
        return self.is_terminal and not self.as_json and self._answers.isatty()

    def ask(self, question: str) -> bool:
        """Ask for yes or no; anything else is no, and so is Ctrl-C."""
        try:
            with interruptible():
                print(harmless(f"{question} [y/N] "), end="", file=self._errors, flush=True)
                wait_for_line(self._answers)
                answer = self._answers.readline()
        except KeyboardInterrupt:
            answer = ""
        if not answer.endswith("\n"):
            self.error("")  # what follows begins a line
        return answer.strip().lower() in ("y", "yes")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], none: str = "") -> None:
        """Print rows under their columns; elsewhere as lines with tabs, without a head.

        :param none: what a terminal shows where there are no rows; "" for the columns alone.
        """
        if self.is_terminal and none and not rows:
            self.line(none)
            return
        if not self.is_terminal:
            for row in rows:
                self.line(_tabbed(row))
            return
        from regcache.ctl.tables import print_table  # loads what only terminals need

        print_table(self._stream, columns, [[harmless(cell) for cell in row] for row in rows])


@contextmanager
def _writing() -> Iterator[None]:
    """What fails meanwhile is the output. :raises NoOutputError: but not for a closed pipe."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise NoOutputError(f"the output cannot be written: {error.strerror}") from None


@contextmanager
def _bar(stream: TextIO, text: str) -> Iterator[Show]:
    """A bar that says how far something is, and for how long it will go on."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    sizes = DownloadColumn(binary_units=True)
    columns = (BarColumn(), sizes, TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn("{task.description}"), *columns, console=Console(file=stream), transient=True
    ) as progress:
        task = progress.add_task(harmless(text), total=None)
        shown: dict[str, TaskID] = {}

        def show(done: int, total: int | None, parts: Sequence[Part]) -> None:
            progress.update(task, completed=done, total=total)
            for gone in shown.keys() - {name for name, _, _ in parts}:
                progress.remove_task(shown.pop(gone))
            for name, here, size in parts:
                if name not in shown:
                    shown[name] = progress.add_task(f"  {harmless(name)}")
                progress.update(shown[name], completed=here, total=size)

        yield show


def _tabbed(cells: Sequence[str]) -> str:
    return "\t".join(cell.replace("\t", " ") for cell in cells)


def harmless(text: str) -> str:
    """A text without what steers a terminal or turns its direction."""
    return "".join(each if each.isprintable() or each == "\t" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def size_text(count: int | None) -> str:
    """Bytes for people; "?" where it is not known."""
    if count is None:
        return "?"
    amount = float(count)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
