"""sendfile(2) on a plain stream transport: bytes from the page cache to the socket, uncopied.

Twisted has no such thing, so the transport's writing is taken over while a stretch of a file is
sent (:mod:`regcache.seam.write_takeover`), and nothing else may be written meanwhile.

========  ===========================  ==================================================
state     event                        what holds afterwards
========  ===========================  ==================================================
flushing  the socket takes more        what the transport held is on its way by its own
                                       writing; flushing, or sending when that is empty
sending   the socket takes more        up to ``MOST_AT_ONCE`` bytes more are on their way,
                                       or due: where several are under way they go together
due       the turn is over             sending: up to ``MOST_AT_ONCE`` bytes more went; or
                                       over as below
sending   the socket takes nothing     sending: the reactor calls again
sending   all is sent                  over; told how much that was
sending   the bytes are not in memory  over; told how much that was
sending   the file system has no such  over; told how much that was: the rest is read
          thing
sending   the file ends early          over; told how much that was
sending   somebody wrote meanwhile     over; the connection is lost: bytes would be mixed
sending   the connection is to close   sending; it closes when the stretch is over
due       the connection is aborted    over; not a byte more is sent
any       the connection is lost       over; only the transport tells its protocol
any       stopped                      over; nothing is told
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

#: What one call sends at most (bytes), so that no client holds the reactor for long.
MOST_AT_ONCE = 1024 * 1024
#: What is sent at once at the start, before the reactor says that the socket takes it: many
#: stretches may start in one turn of the reactor, as many as wait for a growing file.
MOST_AT_START = 512 * 1024
#: What sendfile(2) says where a file system, or a filter of system calls, does not have it.
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
        """Send what the socket takes at once, and have the reactor call for what is left."""
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
        """What is to be sent now; None where nothing can be."""
        transport, file = self._transport, self._file
        if not (transport.connected and self._writing.lasts) or self._writing.holds_bytes:
            return None
        count = min(self._end - self._position, self._rounds.share(self._most))
        if not file.cached(self._position, count):
            return None
        return FileCall(transport.fileno(), file.fileno(), self._position, count)

    def settle(self, call: FileCall | None) -> None:
        """Tell how much is on its way, and go on, or end."""
        if not (self._transport.connected and self._writing.lasts):
            return
        if self._writing.holds_bytes:
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
        """Have the reactor find that the connection is lost."""
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
