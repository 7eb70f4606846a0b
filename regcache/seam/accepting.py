"""How many connections a listening socket accepts in one turn of the reactor.

Private: ``doRead`` of a TCP port, which is replaced, and ``numberAccepts``, which it reads.

Why: Twisted fits the number to how many come, and has no bound for it. A crowd that comes at
once would hold up everybody else, since TLS costs a millisecond for each.

Replaced by: a port that takes the bound.
"""

from collections.abc import Callable
from typing import Any


def bound_accepts(port: Any, most: int) -> None:
    """Accept no more than ``most`` connections in a turn.

    :param port: as an endpoint gave it; one that is no TCP port is left as it is.
    """
    if hasattr(port, "numberAccepts"):
        port.doRead = _accept_few(port, port.doRead, most)


def _accept_few(port: Any, accept: Callable[[], object], most: int) -> Callable[[], object]:
    def accept_few() -> object:
        port.numberAccepts = min(port.numberAccepts, most)
        return accept()

    return accept_few
