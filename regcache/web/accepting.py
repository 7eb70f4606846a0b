"""What each listening socket has besides its address."""

from collections.abc import Callable
from typing import Any

from regcache.web.unsent import bound_unsent

MOST_AT_ONCE = 4
"""Connections that one turn of the reactor accepts: TLS costs a millisecond for each."""


def prepare_port(port: Any) -> None:
    """Bound what one turn accepts, and what the kernel may hold for each connection.

    :param port: as an endpoint gave it; only TCP ports have both bounds.
    """
    bound_unsent(getattr(port, "socket", None))
    if hasattr(port, "numberAccepts"):
        port.doRead = _accept_few(port, port.doRead)


def _accept_few(port: Any, accept: Callable[[], object]) -> Callable[[], object]:
    """Twisted fits the number to how many come, and has no bound for it."""

    def accept_few() -> object:
        port.numberAccepts = min(port.numberAccepts, MOST_AT_ONCE)
        return accept()

    return accept_few
