"""sendfile(2) on a plain stream transport: bytes from the page cache to the socket, uncopied.

Twisted has no such thing, so the transport's ``doWrite`` is replaced while a stretch of a file
is sent, and nothing else may be written meanwhile.

========  ===========================  ==================================================
state     event                        what holds afterwards
========  ===========================  ==================================================
flushing  the socket takes more        what the transport held is on its way by its own
                                       ``doWrite``; flushing, or sending when that is empty
sending   the socket takes more        up to ``MOST_AT_ONCE`` bytes more are on their way
sending   the socket takes nothing     sending: the reactor calls again
sending   all is sent                  over; told how much that was
sending   the bytes are not in memory  over; told how much that was
sending   the file system has no such  over; told how much that was: the rest is read
          thing
sending   the file ends early          over; told how much that was
sending   somebody wrote meanwhile     over; the connection is lost: bytes would be mixed
any       the connection is lost       over; nobody is told, the transport tells its protocol
any       stopped                      over; nobody is told
========  ===========================  ==================================================
"""

# mypy: disable-error-code="no-untyped-call"
# (the reactor's transports have no annotations)

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet import tcp
from twisted.internet.main import CONNECTION_LOST

from regcache.interfaces import IContentFile

#: What one call sends at most (bytes), so that no client holds the reactor for long ...
MOST_AT_ONCE = 1024 * 1024
#: ... and what all that are under way send in one turn of the reactor, about: some milliseconds.
MOST_PER_TURN = 8 * 1024 * 1024
#: With less a call is not worth its while (bytes).
LEAST_AT_ONCE = 128 * 1024
#: What is sent at once at the start, before the reactor says that the socket takes it: many
#: stretches may start in one turn of the reactor, as many as wait for a growing file.
MOST_AT_START = 512 * 1024
#: What sendfile(2) says where a file system, or a filter of system calls, does not have it.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


def takes_files(transport: object) -> bool:
    """Whether a transport is a plain TCP or unix connection, which sendfile works with."""
    return isinstance(transport, tcp.Connection) and not getattr(transport, "TLS", False)


_under_way: set["FileStretch"] = set()
"""The stretches that the reactor calls: they share its turns."""


def _fair_share(most: int) -> int:
    share = MOST_PER_TURN // (len(_under_way) or 1)
    return max(LEAST_AT_ONCE, min(most, share))


class FileStretch:
    """Sends ``[start, end)`` of a file over a transport.

    :param progressed: called with how many further bytes are on their way.
    :param ended: called once with how many bytes were sent; fewer than asked for where the
        page cache does not hold what follows, or the file is too short. Not called if the
        connection is lost or :meth:`stop` is called.
    """

    def __init__(
        self,
        transport: Any,
        file: IContentFile,
        start: int,
        end: int,
        progressed: Callable[[int], None],
        ended: Callable[[int], None],
    ) -> None:
        self._transport = transport
        self._file = file
        self._start = self._position = start
        self._end = end
        self._progressed = progressed
        self._ended = ended
        self._flushed = False

    def start(self) -> None:
        """Send what the socket takes at once, and have the reactor call for what is left."""
        transport = self._transport
        if not self._holds_bytes() and transport.connected and not transport.disconnecting:
            self._flushed = True
            with suppress(OSError):  # the reactor finds the same, and drops the connection
                self._send(MOST_AT_START)
            if self._is_through():
                self._ended(self._position - self._start)
                return
        _under_way.add(self)
        transport.doWrite = self._write
        transport.startWriting()

    def stop(self) -> None:
        """Give the transport's writing back. Idempotent."""
        _under_way.discard(self)
        # An aborted transport has put something of its own there.
        if self._transport.__dict__.get("doWrite") == self._write:
            del self._transport.doWrite

    def _write(self) -> Any:
        """In place of ``doWrite``: None, or why the reactor shall drop the connection."""
        if not self._flushed:
            return self._flush()
        if self._holds_bytes():
            return CONNECTION_LOST
        try:
            self._send(MOST_AT_ONCE)
        except OSError:
            return CONNECTION_LOST
        if self._is_through():
            self.stop()
            self._transport.stopWriting()
            self._ended(self._position - self._start)
        return None

    def _holds_bytes(self) -> bool:
        transport = self._transport
        return bool(len(transport.dataBuffer) - transport.offset or transport._tempDataLen)

    def _flush(self) -> Any:
        outcome = type(self._transport).doWrite(self._transport)
        if outcome is None and self._transport.__dict__.get("doWrite") == self._write:
            self._flushed = not self._holds_bytes()
            # Its own doWrite stops writing when its buffer is empty; ours begins there.
            self._transport.startWriting()
        return outcome

    def _send(self, most: int) -> None:
        """Send what the socket takes; ends the stretch where no more can be sent.

        :raises OSError: if the connection is broken.
        """
        count = min(self._end - self._position, _fair_share(most))
        if not self._file.cached(self._position, count):
            self._end = self._position
            return
        descriptor = self._file.fileno()
        try:
            sent = os.sendfile(self._transport.fileno(), descriptor, self._position, count)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            sent = 0
        if not sent:
            self._end = self._position
        self._position += sent
        self._progressed(sent)

    def _is_through(self) -> bool:
        return self._position >= self._end
