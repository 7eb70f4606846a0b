"""Knows the issuers whose client certificates are accepted, and finds the account of one.

=============================  ===================================================
issuer, by the checked chain   account
=============================  ===================================================
one of ``client_ca``           the account of the common name, if there is one
our own authority              that of the seat with its fingerprint; its name is ignored
none                           no account
=============================  ===================================================
"""

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from regcache.access.credentials import ClientCertificate


class ClientIssuers:
    """The issuers of one listener, at one time.

    :param listed: the certificates in ``client_ca``.
    :param own: our own authority; None if it can be neither read nor made.
    """

    def __init__(
        self, listed: Sequence[x509.Certificate], own: x509.Certificate | None = None
    ) -> None:
        self._listed = frozenset(map(fingerprint_of, listed))
        self._own = None if own is None else fingerprint_of(own)
        others = [] if own is None else [own]
        #: All of them, for the check of a chain.
        self.certificates = (*listed, *others)

    def identify(self, chain: Sequence[x509.Certificate]) -> ClientCertificate | None:
        """Read whose a certificate is.

        :param chain: as the handshake has checked it: first the client's own certificate, last
            that of an issuer. Empty where there is none.
        """
        if not chain:
            return None
        leaf, *above = chain
        issuers = [fingerprint_of(each) for each in above]
        listed = bool(issuers) and issuers[-1] in self._listed and self._own not in issuers
        return ClientCertificate(
            fingerprint_of(leaf),
            _common_name(leaf) if listed else "",
            min(each.not_valid_after_utc.timestamp() for each in chain),
        )


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER form, hexadecimal, lower case."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _common_name(certificate: x509.Certificate) -> str:
    """The only common name; "" where there is none, or several, or one that is no text."""
    try:
        names = [
            each.value for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ]
    except ValueError:
        return ""
    return names[0] if len(names) == 1 and isinstance(names[0], str) else ""
