"""The certificate that a client has shown in its TLS handshake.

What the issuers that counted at that time make of the checked chain holds for all of the
connection: there is no renegotiation, and no session is resumed.
"""

from typing import Any

from OpenSSL import SSL

from regcache.access.client_issuers import ClientIssuers
from regcache.access.credentials import ClientCertificate
from regcache.seam.tls_stream import connection_of


class ServerTLS(SSL.Connection):
    """The TLS state of one connection of a client.

    :ivar issuers: whose certificates count for it; None where none is asked for.
    """

    issuers: ClientIssuers | None = None


def certificate_of(transport: object) -> ClientCertificate | None:
    """Who shows a certificate on a connection whose handshake is over; None where nobody does.

    :param transport: of any kind; only TLS has certificates.
    """
    connection: Any = connection_of(transport)
    if not isinstance(connection, ServerTLS) or connection.issuers is None:
        return None
    shown: Any = connection
    try:
        return connection.issuers.identify(shown.get_verified_chain(as_cryptography=True) or ())
    except ValueError:
        # OpenSSL takes some certificates that nobody else can read: it is nobody's.
        return None
