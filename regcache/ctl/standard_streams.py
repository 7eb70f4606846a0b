"""Standard streams that can be used, however the program was started."""

import io
import os
import sys
from typing import TextIO


def prepare_streams() -> None:
    """Open missing standard streams, and make all output printable.

    The caller of a program may have closed them (``>&-``). Then Python has None in their place,
    for which ``print`` takes the output, and a socket would get their number. And not all
    encodings have all characters; missing ones are printed as ``\\xe9``.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # in this order each gets its own number
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def abandon_output(stream: TextIO) -> None:
    """Have nothing more be printed: what is left would fail again at the end of the program."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
