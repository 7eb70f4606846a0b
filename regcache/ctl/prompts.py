"""Questions to somebody at the terminal, who may call them off with Ctrl-C or Ctrl-D.

While a reactor runs SIGINT is its own, and would be looked at after the answer.
"""

import getpass
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class NoPasswordError(Exception):
    """Somebody was asked for a password, and called it off."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt meanwhile."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
