"""One stream of events: server-sent events over an answer that does not end by itself.

=======  ==========================  ==================================================
state    event                       what holds afterwards
=======  ==========================  ==================================================
open     the client takes nothing    full: nothing is looked at for it
full     it takes more               open: it is told what is new since it was full
full     ``LONGEST_FULL`` have gone  over: the connection is cut
open     it is told ``bye``          over: the answer is ended
any      the client leaves           over
=======  ==========================  ==================================================

Nothing waits in memory but what one look gave.
"""

# mypy: disable-error-code="no-untyped-call"
# (much of twisted.web has no annotations)

import json
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from regcache.web.request import Request
from regcache.web.respond import set_header

EVENTS_TYPE = "text/event-stream"
#: How long a client may take nothing (seconds).
LONGEST_FULL = 30.0
#: After which a browser comes back (milliseconds).
RETRY = 3000


@implementer(IPushProducer)
class EventStream:
    """Sends events over the answer to a request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._full_since: float | None = None
        self.over = False

    def begin(self) -> None:
        """Send the head. The client may leave at any time."""
        request = self._request
        set_header(request, "Content-Type", EVENTS_TYPE)
        set_header(request, "Cache-Control", "no-store")
        set_header(request, "X-Accel-Buffering", "no")
        request.notifyFinish().addBoth(lambda _: self.stopProducing())
        if request.method == b"HEAD":
            request.finish()
            return
        request.write(b"retry: %d\n\n" % RETRY)
        if not self.over:
            request.registerProducer(self, True)
            if request.is_full:
                self.pauseProducing()

    @property
    def is_open(self) -> bool:
        """Whether something may be sent now."""
        return not self.over and self._full_since is None

    def send(self, event: str, data: Any, last_id: str) -> None:
        """Send one event, unless it is over.

        :param data: plain JSON.
        :param last_id: what a client shows when it comes back.
        """
        if not self.over:
            # JSON in ASCII has no line breaks, not even within names.
            text = json.dumps(data, separators=(",", ":"), allow_nan=False)
            lines = f"id: {last_id}\nevent: {event}\ndata: {text}\n\n"
            self._request.write(lines.encode("ascii"))

    def comment(self) -> None:
        """Send what keeps proxies and browsers from giving up."""
        if self.is_open:
            self._request.write(b":\n\n")

    def bye(self, reason: str, last_id: str) -> None:
        """End it, and say why."""
        if self.over:
            return
        self.send("bye", {"reason": reason}, last_id)
        self.over = True
        if not self._request.over:
            self._request.unregisterProducer()
            self._request.finish()

    def check(self, now: float) -> None:
        """Cut off a client that takes nothing.

        :param now: clock seconds.
        """
        if self._full_since is not None and now - self._full_since >= LONGEST_FULL:
            self.over = True
            self._request.abort("the client took nothing for too long")

    def pauseProducing(self) -> None:
        """The transport has enough."""
        if self._full_since is None:
            self._full_since = self._request.site.seconds()

    def resumeProducing(self) -> None:
        """The transport takes more."""
        self._full_since = None

    def stopProducing(self) -> None:
        """The client has left, or it is over."""
        self.over = True
