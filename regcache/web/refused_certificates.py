"""A line of the log now and then about client certificates that end a handshake.

Clients are told why by an alert of TLS, and many of them do not pass that on.
"""

from OpenSSL import SSL
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.sparingly import Sparingly
from regcache.web.records import describe_peer

#: Seconds between two lines at least: every client may connect.
SAID_EVERY = 60.0
#: As OpenSSL calls it.
_REASON = "certificate verify failed"


class RefusedCertificates:
    """Tells of them."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._sparingly = Sparingly(clock, SAID_EVERY)

    def connection_lost(self, peer: IAddress, reason: Failure) -> None:
        """Say that a certificate was not taken, if that is why a connection is gone.

        :param reason: why it is, before its first request.
        """
        if not reason.check(SSL.Error) or _REASON not in str(reason.value):
            return
        more = self._sparingly.turn()
        if more is not None:
            self._log.warn(
                "a client certificate from {address} was not taken: it has expired, or its issuer"
                " is not in client_ca{more}",
                address=describe_peer(peer),
                more=more,
            )
