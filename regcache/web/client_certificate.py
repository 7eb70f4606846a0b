"""The certificate that a client has sent in its TLS handshake.

The result of the check against the issuers of that moment counts as long as the connection: there
is no renegotiation, and no session is resumed.
"""

from typing import Any

from OpenSSL import SSL

from regcache.access.client_issuers import ClientIssuers
from regcache.access.credentials import ClientCertificate
from regcache.seam.tls_stream import connection_of


class ServerTLS(SSL.Connection):
    """The TLS state of one connection of a client.

    :ivar issuers: whose certificates are accepted; None if none is asked for.
    """

    issuers: ClientIssuers | None = None


def certificate_of(transport: object) -> ClientCertificate | None:
    """The certificate of the client, when the handshake is over; None if there is none.

    :param transport: of any kind; only TLS has certificates.
    """
    connection: Any = connection_of(transport)
    if not isinstance(connection, ServerTLS) or connection.issuers is None:
        return None
    shown: Any = connection
    try:
        return connection.issuers.identify(shown.get_verified_chain(as_cryptography=True) or ())
    except ValueError:
        # OpenSSL accepts some certificates that cannot be parsed here: they count as none.
        return None
