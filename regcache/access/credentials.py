"""What a request shows of who asks (RFC 9110, 11.6.2; RFC 7617; RFC 6750)."""

import base64
import binascii
import math
from dataclasses import KW_ONLY, field
from enum import Enum

from regcache.light_dataclass import dataclass

#: Longer values are no credentials (characters): tokens have at most 16 KiB.
LONGEST = 24 * 1024


class Scheme(Enum):
    """How a client authenticates."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that the TLS handshake has checked.

    :ivar fingerprint: SHA-256 of its DER form, hexadecimal, lower case.
    :ivar account: its common name where ``client_ca`` issued it; else "".
    :ivar until: when it, or an issuer of it, expires (Unix seconds).
    """

    fingerprint: str
    account: str = ""
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class Credentials:
    """An Authorization header, read.

    :ivar name: of Basic.
    :ivar password: of Basic.
    :ivar token: of Bearer; "", which is no token, for one that cannot be one.
    """

    scheme: Scheme
    name: str = ""
    password: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)


NOTHING = Credentials(Scheme.NONE)
UNKNOWN = Credentials(Scheme.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Asker:
    """All that tells who asks.

    :ivar authorization: the header's value; None without one.
    :ivar address: of the real peer; None on a unix socket.
    :ivar host: the Host of the request with its port, in lower case: tokens are good for one.
    :ivar seat_label: the label of a seat in the Host; "" without one.
    """

    authorization: str | None = field(repr=False)
    address: str | None
    host: str
    certificate: ClientCertificate | None = None
    _: KW_ONLY
    seat_label: str = field(default="", repr=False)


def parse_authorization(value: str | None) -> Credentials:
    """Read an Authorization header. What cannot be read is unknown, and so is wrong."""
    if value is None:
        return NOTHING
    scheme, _, rest = value.strip().partition(" ")
    rest = rest.strip()
    fits = bool(rest) and len(value) <= LONGEST
    if scheme.lower() == "bearer":
        return Credentials(Scheme.BEARER, token=rest if fits else "")
    if not fits:
        return UNKNOWN
    return _basic(rest) if scheme.lower() == "basic" else UNKNOWN


def _basic(encoded: str) -> Credentials:
    try:
        decoded = base64.b64decode(encoded.encode("ascii"), validate=True)
        name, colon, password = decoded.partition(b":")
        text = name.decode("utf-8")
    except (binascii.Error, UnicodeError):
        return UNKNOWN
    if not colon:
        return UNKNOWN
    return Credentials(Scheme.BASIC, text, password)
