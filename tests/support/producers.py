"""A producer that does as it is told, and notes it."""

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class NotingProducer:
    """Stands on either side of a transport.

    :ivar calls: what it was told, in order.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        """Noted."""
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        """Noted."""
        self.calls.append("resume")

    def stopProducing(self) -> None:
        """Noted."""
        self.calls.append("stop")

    def unregisterProducer(self) -> None:
        """Noted; transports have this."""
        self.calls.append("unregister")
