"""The file of authorities that issue certificates to clients."""

from collections.abc import Sequence

from cryptography import x509


def parse_issuers(content: bytes) -> Sequence[x509.Certificate]:
    """The certificates in a PEM file, one at least, each of an authority.

    :raises ValueError: saying what is wrong.
    """
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError:
        raise ValueError("holds no valid PEM certificate") from None
    for number, certificate in enumerate(found, 1):
        if not _may_issue(certificate):
            raise ValueError(
                f"holds a certificate (number {number}) that is no authority's: it must hold those"
                " of the issuers, not those of clients"
            )
    return found


def _may_issue(certificate: x509.Certificate) -> bool:
    """RFC 5280, 4.2.1.9."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False
