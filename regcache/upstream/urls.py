"""Absolute URLs from upstreams: parsed strictly, and only once.

The host that is connected to, that is compared with the upstream's own origin, and that is sent,
are all taken from the same parse. So no second parser can see another host in the same text
(RFC 3986; RFC 6454, "The Web Origin Concept").
"""

import re
from urllib.parse import urljoin, urlsplit

from regcache.light_dataclass import dataclass

LONGEST_URL = 16384
_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[\x21-\x5b\x5d-\x7e]+\Z")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?\Z")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}\Z")


class InvalidUrlError(ValueError):
    """A text is no usable absolute http or https URL."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host (lower case, IPv6 without brackets) and port."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """Host and port as in a URL, always with the port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """Host and port as in the Host header, without the default port of the scheme."""
        if self.port != _PORTS.get(self.scheme):
            return self.netloc
        return f"[{self.host}]" if ":" in self.host else self.host


@dataclass(frozen=True, slots=True, repr=False)
class Url:
    """An absolute URL without user information and fragment.

    :ivar path: begins with a slash.
    :ivar query: the part after the question mark. It may be signed, so it is not in the repr.
    """

    origin: Origin
    path: str
    query: str = ""

    def __repr__(self) -> str:
        return f"<Url {self.origin.scheme}://{self.origin.netloc}/...>"

    __str__ = __repr__

    @property
    def target(self) -> str:
        """Path and query, as in the request line (RFC 9112, 3.2.1)."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def text(self) -> str:
        """The whole URL. It may be signed: for sending, not for logs."""
        return f"{self.origin.scheme}://{self.origin.netloc}{self.target}"

    def with_query(self, query: str) -> "Url":
        """The same URL with further query parameters after its own."""
        joined = f"{self.query}&{query}" if self.query and query else self.query or query
        return Url(self.origin, self.path, joined)


def parse_url(text: str) -> Url:
    """Read an absolute URL; its fragment is dropped.

    :raises InvalidUrlError: with a reason that does not repeat the text.
    """
    if len(text) > LONGEST_URL or not _VISIBLE.match(text):
        raise InvalidUrlError("it is too long or has characters that no URL has")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidUrlError("it is malformed") from None
    if parts.scheme not in _PORTS:
        raise InvalidUrlError("it is neither http nor https")
    if "@" in parts.netloc:
        raise InvalidUrlError("it carries user information")
    host = _host(parts.hostname or "", parts.netloc.startswith("["))
    if port == 0 or parts.netloc.endswith(":"):
        raise InvalidUrlError("its port is invalid")
    return Url(
        Origin(parts.scheme, host, port or _PORTS[parts.scheme]), parts.path or "/", parts.query
    )


def join_url(base: Url, reference: str) -> Url:
    """Resolve a reference, e.g. a Location header, against the URL that gave it (RFC 3986, 5).

    :raises InvalidUrlError: if the text or the resolved URL is unusable.
    """
    if not reference or len(reference) > LONGEST_URL or not _VISIBLE.match(reference):
        raise InvalidUrlError("it is too long or has characters that no URL has")
    try:
        joined = urljoin(base.text(), reference)
    except ValueError:
        raise InvalidUrlError("it is malformed") from None
    return parse_url(joined)


def _host(host: str, bracketed: bool) -> str:
    pattern = _IPV6 if bracketed else _HOST
    if not host or len(host) > 253 or not pattern.match(host):
        raise InvalidUrlError("its host is no valid name or address")
    return host.lower()
