"""Certificates, and the TLS contexts that are made of them."""

# mypy: disable-error-code="no-untyped-call"
# (pyOpenSSL's callbacks have no annotations)

import os
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from OpenSSL import SSL, crypto

from regcache.light_dataclass import dataclass
from regcache.remedies import for_file
from regcache.seam.key_exchange import limit_groups
from regcache.seam.whole_tls_writes import take_whole_writes

MINIMUM_VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}

HTTP1 = b"http/1.1"
HTTP2 = b"h2"

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
_NO_RENEGOTIATION = getattr(SSL, "OP_NO_RENEGOTIATION", 0x40000000)
_MAX_FILE_BYTES = 1024 * 1024


class CertificateError(Exception):
    """A certificate or key cannot be used; the text is one line that names the file."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Paths of a PEM chain (the server's own certificate first) and of its key."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What two files hold, checked to fit each other.

    :ivar files: where they are.
    :ivar names: the DNS names and addresses of the certificate, in lower case.
    """

    files: CertificateFiles
    names: tuple[str, ...]
    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes


def read_key_pair(files: CertificateFiles) -> KeyPair:
    """Read and check a chain and its key. Blocks.

    :raises CertificateError: if a file cannot be read or parsed, or the two do not match.
    """
    try:
        chain = x509.load_pem_x509_certificates(_read(files.chain))
    except ValueError:
        raise CertificateError(
            f"{files.chain}: holds no PEM certificate:"
            f" look with: openssl x509 -noout -text -in {shlex.quote(files.chain)}"
        ) from None
    try:
        key = load_pem_private_key(_read(files.key), password=None)
    except TypeError:
        path = shlex.quote(files.key)
        raise CertificateError(
            f"{files.key}: the key is encrypted: type: openssl pkey -in {path} -out {path}.plain"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(
            f"{files.key}: holds no usable PEM key:"
            f" look with: openssl pkey -noout -text -in {shlex.quote(files.key)}"
        ) from None
    if _public_bytes(key.public_key()) != _public_bytes(chain[0].public_key()):
        chain_path, key_path = shlex.quote(files.chain), shlex.quote(files.key)
        raise CertificateError(
            f"{files.key}: does not belong to the certificate {files.chain}: compare: openssl x509"
            f" -noout -pubkey -in {chain_path}; openssl pkey -pubout -in {key_path}"
        )
    return KeyPair(files, _names(chain[0]), tuple(chain), key)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}: {for_file(path, error)}") from None


def _public_bytes(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    names = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return tuple(name.lower().removesuffix(".") for name in [*names, *map(str, addresses)])


def make_context(
    pair: KeyPair,
    minimum: str,
    choose: Callable[[SSL.Connection], None],
    protocols: Sequence[bytes] = (HTTP1,),
    *,
    issuers: Sequence[x509.Certificate] | None = None,
) -> SSL.Context:
    """A server context.

    :param minimum: a key of :data:`MINIMUM_VERSIONS`.
    :param choose: called with the connection when the client has named the server.
    :param protocols: those that are spoken, the first of them rather than the others.
    :param issuers: of client certificates; None: no client is asked for one.
    :raises CertificateError: if OpenSSL refuses the certificate, e.g. for a weak key.
    """
    context: Any = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(MINIMUM_VERSIONS[minimum])
    context.set_options(
        SSL.OP_NO_COMPRESSION
        | SSL.OP_NO_TICKET
        | _NO_RENEGOTIATION
        | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    take_whole_writes(context)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    limit_groups(context)
    _use(context, pair)
    context.set_alpn_select_callback(partial(_select_protocol, protocols))
    context.set_tlsext_servername_callback(choose)
    if issuers is not None:
        _ask_for_certificates(context, issuers)
    made: SSL.Context = context
    return made


def _use(context: Any, pair: KeyPair) -> None:
    """Show a certificate. :raises CertificateError: if OpenSSL refuses it."""
    try:
        context.use_certificate(pair.chain[0])
        for certificate in pair.chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(pair.key)
        context.check_privatekey()
    except (SSL.Error, TypeError):
        chain = pair.files.chain
        raise CertificateError(
            f"{chain}: the TLS library refuses it, or its key:"
            f" look with: openssl x509 -noout -text -in {shlex.quote(chain)}"
        ) from None


def _ask_for_certificates(context: Any, issuers: Sequence[x509.Certificate]) -> None:
    """Ask clients for a certificate. A client without one goes on; a wrong one ends the handshake.

    The issuers are not named to clients: those that see none of theirs among them would show
    nothing, and nobody would learn why. An issuer need not be a root. A session that is resumed
    would bring the identity of another handshake along: there is neither a ticket nor a cache
    for one, and what OpenSSL takes for the same session has this context.
    """
    store = context.get_cert_store()
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    for issuer in issuers:
        store.add_cert(crypto.X509.from_cryptography(issuer))
    context.set_session_id(os.urandom(32))
    context.set_verify(SSL.VERIFY_PEER)


def _select_protocol(
    spoken: Sequence[bytes], connection: SSL.Connection, offered: list[bytes]
) -> Any:
    """RFC 7301, 3.2: the server chooses, and ends the handshake where it cannot."""
    both = (protocol for protocol in spoken if protocol in offered)
    return next(both, SSL.NO_OVERLAPPING_PROTOCOLS)
