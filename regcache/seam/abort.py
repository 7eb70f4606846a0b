"""Closing the connection of a response at once.

Private: the transport behind a response (``_transport``), and that one's (``_producer``).

Why: ``loseConnection`` waits for the peer's TLS close_notify, and giving up on a body does not
close at all (Twisted tickets 8227, 12499).

Replaced by: a response that can be aborted.
"""

from twisted.web.iweb import IResponse


def abort_response(response: IResponse) -> None:
    """Close the connection that a response is still arriving on.

    Nothing happens where the body has arrived whole: the connection belongs to the pool again.
    """
    proxy = getattr(response, "_transport", None)
    transport = getattr(proxy, "_producer", None)
    for candidate, method in (
        (transport, "abortConnection"),
        (proxy, "abortConnection"),
        (proxy, "stopProducing"),
    ):
        close = getattr(candidate, method, None)
        if close is not None:
            close()
            return
