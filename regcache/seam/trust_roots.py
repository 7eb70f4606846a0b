"""Certificate authorities to be trusted beside those of the system.

Private: ``IOpenSSLTrustRoot`` of ``twisted.internet._sslverify``, with its one method
``_addCACertsToContext``.

Why: Twisted takes either the trust roots of the system or those of a list.

Replaced by: a public way to have both.
"""

from OpenSSL import SSL
from twisted.internet._sslverify import IOpenSSLTrustRoot
from zope.interface import implementer


@implementer(IOpenSSLTrustRoot)
class PlatformAndFile:
    """The system's trust roots and those in one more file, as ``trustRoot`` of a policy.

    :param ca_file: path of PEM certificates.
    :raises OpenSSL.SSL.Error: if the file cannot be read or holds no certificate.
    """

    def __init__(self, ca_file: str) -> None:
        self._ca_file = ca_file
        self._addCACertsToContext(SSL.Context(SSL.TLS_CLIENT_METHOD))

    def _addCACertsToContext(self, context: SSL.Context) -> None:
        context.set_default_verify_paths()
        context.load_verify_locations(self._ca_file)
