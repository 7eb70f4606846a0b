"""Notes of all answers that are being sent how fast they are, and who they wait for.

All senders are looked at twice a second. So it costs nothing where bytes move, and answers that
end before that are not noted at all. Who is waited for at that moment counts for the time since the
look before:

===================================  ==========================
state of a sender                    which side is waited for
===================================  ==========================
its socket is full, or takes a file  the client
its reader waits for a read          the disk
its reader has sent all that is      the upstream
here
===================================  ==========================
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

from collections.abc import Collection

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from regcache.web.flow import STEP, Flow
from regcache.web.sender import Sender


class FlowWatch(Service):
    """Looks at all senders regularly.

    :param feeding: the senders.
    """

    def __init__(self, feeding: Collection[Sender], clock: IReactorTime) -> None:
        self._feeding = feeding
        self._clock = clock
        self._looked_at = 0.0
        self._loop = LoopingCall(self.look)
        self._loop.clock = clock

    def startService(self) -> None:
        """Look regularly from now on."""
        super().startService()
        self._looked_at = self._clock.seconds()
        self._loop.start(STEP, now=False)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def look(self) -> None:
        """Look once."""
        now = self._clock.seconds()
        seconds, self._looked_at = max(0.0, now - self._looked_at), now
        for sender in self._feeding:
            facts = sender.client.facts
            if facts.flow is None:
                facts.flow = Flow()
                facts.flow.look(min(seconds, STEP), sender.waits_for, sender.client.body_bytes_sent)
            else:
                facts.flow.look(seconds, sender.waits_for, sender.client.body_bytes_sent)
