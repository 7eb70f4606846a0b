"""The rule about where a token realm may be, so that credentials are safe (CVE-2026-33540)."""

from collections.abc import Collection

from regcache.upstream.urls import InvalidUrlError, Origin, Url, parse_url


class RealmRefusedError(ValueError):
    """A challenge names a realm that must not be asked. Its text is fit for logs."""


def checked_realm(realm: str, own: Origin, token_hosts: Collection[str]) -> Url:
    """Parse the realm of a challenge and check it.

    It must be https, or http if the upstream's own URL is http. And it must be on the upstream's
    own host and port, or on one of ``token_hosts``: ``name`` means any port of that host,
    ``name:port`` one port.

    :raises RealmRefusedError: if it is anything else, with or without credentials at hand.
    """
    try:
        url = parse_url(realm)
    except InvalidUrlError as error:
        raise RealmRefusedError(f"its token realm is unusable: {error}") from None
    if url.origin.scheme == "http" and own.scheme != "http":
        raise RealmRefusedError("its token realm is plain http, which would show secrets")
    if not _at_home(url.origin, own) and not _listed(url.origin, token_hosts):
        raise RealmRefusedError(
            f"its token realm is on {url.origin.netloc}, which is not among its token_hosts"
        )
    return url


def _at_home(origin: Origin, own: Origin) -> bool:
    return origin.host == own.host and origin.port == own.port


def _listed(origin: Origin, token_hosts: Collection[str]) -> bool:
    accepted = {origin.host, origin.netloc, f"{origin.host}:{origin.port}", f"[{origin.host}]"}
    return any(host.lower() in accepted for host in token_hosts)
