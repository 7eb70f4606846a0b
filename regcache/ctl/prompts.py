"""Questions to somebody at the terminal, who may call them off with Ctrl-C or Ctrl-D.

While a reactor runs SIGINT is its own, and would be looked at after the answer.
"""

import getpass
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

#: How long Ctrl-C may go unnoticed (seconds).
_NOTICED = 0.2


class NoPasswordError(Exception):
    """The person who was asked for a password called it off."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt meanwhile."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def wait_for_line(answers: TextIO) -> None:
    """Wait until somebody at a terminal has typed a line; elsewhere reading waits.

    What is pressed just before a read begins would be noticed after it. So Python looks for
    signals again and again.

    :raises KeyboardInterrupt: if Ctrl-C was pressed, where that is interruptible.
    """
    while _is_terminal(answers) and not select.select([answers], [], [], _NOTICED)[0]:
        pass


def _is_terminal(answers: TextIO) -> bool:
    try:
        return os.isatty(answers.fileno())
    except OSError:  # there is no file behind it
        return False


def ask_password(question: str) -> str:
    """A password, typed at the terminal.

    :raises NoPasswordError: if it was called off.
    """
    try:
        with interruptible():
            return getpass.getpass(question)
    except (EOFError, KeyboardInterrupt):
        print(file=sys.stderr)  # what follows begins a line
        raise NoPasswordError("no password was given") from None
