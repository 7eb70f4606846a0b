"""sendfile(2) on a plain stream transport: bytes from the page cache to the socket, uncopied.

Twisted cannot do this. So the transport's writing is taken over while a stretch of a file is sent
(:mod:`regcache.seam.write_takeover`). Nothing else may be written meanwhile.

========  ===========================  ==================================================
state     event                        what holds afterwards
========  ===========================  ==================================================
flushing  the socket takes more        the transport writes its own buffer; flushing, or
                                       sending when that is empty
sending   the socket takes more        up to ``MOST_AT_ONCE`` bytes more are sent; or due, if
                                       other stretches are sent in this turn, too
due       the turn is over             sending: up to ``MOST_AT_ONCE`` bytes more were sent;
                                       or over as below
sending   the socket takes nothing     sending: the reactor calls again
sending   all is sent                  over; ``ended`` is called
sending   the bytes are not in memory  over; ``ended`` is called: the rest is read
sending   the file system cannot do    over; ``ended`` is called: the rest is read
          sendfile
sending   the file ends early          over; ``ended`` is called
sending   other code wrote meanwhile   over; the connection is lost: bytes would be mixed
sending   the connection is to close   sending; it closes when the stretch is over
due       the connection is aborted    over; nothing more is sent
any       the connection is lost       over; the transport tells its protocol, as always
any       stopped                      over; ``ended`` is not called
========  ===========================  ==================================================
"""

# mypy: disable-error-code="no-untyped-call"
# (the reactor's transports have no annotations)

import errno
from collections.abc import Callable
from typing import Any

from twisted.internet.main import CONNECTION_LOST

from regcache.interfaces import IContentFile
from regcache.seam.write_takeover import WriteTakeover
from regcache.web.rounds import Rounds
from regcache.web.send_threads import FileCall

#: How much one call sends at most (bytes), so that no client holds the reactor for long.
MOST_AT_ONCE = 1024 * 1024
#: How much is sent at the start (bytes), before the reactor says that the socket takes more. It is
#: less, since many stretches may start in one turn: all that wait for a growing file.
MOST_AT_START = 512 * 1024
#: Errors of sendfile(2) if a file system does not support it, or a filter forbids it.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


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
        rounds: Rounds,
        file: IContentFile,
        *,
        start: int,
        end: int,
        progressed: Callable[[int], None],
        ended: Callable[[int], None],
    ) -> None:
        self._transport = transport
        self._writing = WriteTakeover(transport)
        self._rounds = rounds
        self._file = file
        self._start = self._position = start
        self._end = end
        self._progressed = progressed
        self._ended = ended
        self._most = MOST_AT_ONCE
        self._flushed = False
        self._broken = False

    def start(self) -> None:
        """Send what the socket takes at once. The reactor calls for the rest."""
        transport = self._transport
        self._rounds.enter(self)
        self._writing.begin(self._write)
        if not self._writing.holds_bytes and transport.connected and not transport.disconnecting:
            self._flushed = True
            self._most = MOST_AT_START
            self._rounds.send(self)
        else:
            transport.startWriting()

    def stop(self) -> None:
        """Give the transport's writing back. Idempotent.

        After a stop before its end the connection has to be cut: a call that was made in a round
        may have sent more than was told.
        """
        self._rounds.leave(self)
        self._writing.end()

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abortConnection()

    def _write(self) -> Any:
        """The socket takes more: None, or why the reactor shall drop the connection."""
        if not self._flushed:
            return self._flush()
        if not self._broken:
            self._rounds.send(self)
        return CONNECTION_LOST if self._broken else None

    def plan(self) -> FileCall | None:
        """The call to make now; None if there is none."""
        transport, file = self._transport, self._file
        if not (transport.connected and self._writing.may_write):
            return None
        count = min(self._end - self._position, self._rounds.share(self._most))
        if not file.cached(self._position, count):
            return None
        return FileCall(transport.fileno(), file.fileno(), self._position, count)

    def settle(self, call: FileCall | None) -> None:
        """Report how much was sent, and go on, or end."""
        if not self._transport.connected:
            return
        if not self._writing.may_write:
            if self._writing.lasts:
                self._break()
        elif call is None:
            self._finish()
        elif not isinstance(call.outcome, BaseException):
            self._proceed(call.outcome)
        elif isinstance(call.outcome, BlockingIOError | InterruptedError):
            self._go_on()
        elif isinstance(call.outcome, OSError) and call.outcome.errno in _UNSUPPORTED:
            self._finish()
        else:
            self._break()

    def _proceed(self, sent: int) -> None:
        self._position += sent
        self._progressed(sent)
        if sent and self._position < self._end:
            self._go_on()
        else:
            self._finish()

    def _go_on(self) -> None:
        self._most = MOST_AT_ONCE
        self._transport.startWriting()

    def _break(self) -> None:
        """Let the reactor treat the connection as lost."""
        self._broken = True
        self._transport.startWriting()

    def _finish(self) -> None:
        self.stop()
        if not self._transport.disconnecting:  # else its own writing finds that all is sent
            self._transport.stopWriting()
        self._ended(self._position - self._start)

    def _flush(self) -> Any:
        outcome = self._writing.write_own()
        if outcome is None and self._writing.lasts:
            self._flushed = not self._writing.holds_bytes
            # Its own doWrite stops writing when its buffer is empty; ours begins there.
            self._transport.startWriting()
        return outcome
