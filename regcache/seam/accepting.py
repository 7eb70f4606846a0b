"""How a listening socket accepts connections: a few in each turn, none where there is no room.

Private: ``doRead`` of a TCP port, which is replaced; ``numberAccepts``, which it reads; and the
``socket`` that it accepts from, which is wrapped.

Why: Twisted fits the number to how many come, and has no bound for it. A crowd that comes at
once would hold up everybody else, since TLS costs a millisecond for each. Where no descriptor is
left Twisted closes those who wait, or tries again in each turn and takes all of the processor.

Replaced by: a port that takes the bound, and says that it cannot accept.
"""

import errno
from collections.abc import Callable
from typing import Any

#: What accept(2) says where the process, or the machine, has no room for a connection.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def bound_accepts(port: Any, most: int, no_room: Callable[[OSError], object]) -> None:
    """Accept no more than ``most`` connections in a turn.

    :param port: as an endpoint gave it; one that is no TCP port is left as it is.
    :param no_room: called after a turn in which a connection could not be accepted; it waits
        in the kernel. It would be tried again in the next turn.
    """
    if hasattr(port, "numberAccepts"):
        accepting = port.socket = _Accepting(port.socket)
        port.doRead = _accept_few(port, most, accepting, no_room)


def _accept_few(
    port: Any,
    most: int,
    accepting: "_Accepting",
    no_room: Callable[[OSError], object],
) -> Callable[[], object]:
    accept: Callable[[], object] = port.doRead

    def accept_few() -> object:
        port.numberAccepts = min(port.numberAccepts, most)
        outcome = accept()
        fault, accepting.fault = accepting.fault, None
        if fault is not None:
            no_room(fault)
        return outcome

    return accept_few


class _Accepting:
    """A listening socket that seems to have no client waiting where there is no room.

    :ivar fault: why the last connection could not be accepted.
    """

    def __init__(self, listening: Any) -> None:
        self._listening = listening
        self.fault: OSError | None = None

    def accept(self) -> Any:
        """The next connection. :raises OSError: as accept(2); EAGAIN where there is no room."""
        try:
            return self._listening.accept()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self.fault = error
            raise BlockingIOError(errno.EAGAIN, "no room for a connection") from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listening, name)
