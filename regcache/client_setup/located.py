"""Under which address a client finds each registry of a cache.

=======================================  ====================================================
what is known                            where clients find a registry
=======================================  ====================================================
``--host`` names one that means it       there; other registries are not there
``--host`` names another one             there, with the registry's name before the repository
the registry has hosts of its own        the first that is no wildcard, on the best listener
neither                                  the host of the best listener, with the name before
                                         the repository
=======================================  ====================================================

The best listener is one that others than this machine reach, and of these one with TLS. Its host
is the address that it is bound to, ``default_hosts``, a name of its certificate, or the name of
the machine.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import KW_ONLY

from regcache.client_setup.served import (
    LOOPBACK_HOST,
    ListeningPlace,
    LoginNeed,
    ServedHere,
    ServedRegistry,
    is_loopback,
)
from regcache.host_rules import covers, plain_host
from regcache.light_dataclass import dataclass
from regcache.references import looks_like_registry

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(
    r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?)"
    r"(?::([0-9]{1,5}))?/?\Z"
)
HUB = "docker.io"


class NoSuchHostError(ValueError):
    """What was asked for cannot be a host of this cache; the text is one line."""


@dataclass(frozen=True, slots=True)
class CachePlace:
    """Where a client connects.

    :ivar host: without port; IPv6 without brackets.
    :ivar port: None for the usual one of the scheme.
    :ivar authority: certificates in PEM that the client has to trust; "" for none.
    :ivar is_guessed: nothing says that this machine is known under this name.
    :ivar names: of the certificates that are shown there; none where that is not known.
    """

    scheme: str
    host: str
    port: int | None = None
    _: KW_ONLY
    authority: str = ""
    is_guessed: bool = False
    names: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Host and port as clients write them."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port is None else f"{shown}:{self.port}"

    @property
    def url(self) -> str:
        """The same with the scheme."""
        return f"{self.scheme}://{self.address}"

    @property
    def is_plain(self) -> bool:
        """Whether it is HTTP without TLS."""
        return self.scheme == "http"

    @property
    def is_uncovered(self) -> bool:
        """Whether no certificate that is shown there has its name."""
        return not self.is_plain and bool(self.names) and not covers(self.names, self.host)

    @property
    def is_loopback(self) -> bool:
        """Whether it is the client's own machine."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a client finds one registry.

    :ivar prefix: is put before the repository; "" where the host means this registry.
    """

    registry: ServedRegistry
    place: CachePlace
    prefix: str = ""

    @property
    def pulled_as(self) -> str:
        """What stands in the place of the registry's name."""
        return f"{self.place.address}/{self.prefix}" if self.prefix else self.place.address

    @property
    def names(self) -> list[str]:
        """The names that clients know the registry by, and can have a mirror for."""
        if self.registry.name == HUB:
            return [HUB]  # clients turn its other names into this one
        named = (self.registry.name, *self.registry.aliases)
        return [name for name in named if looks_like_registry(name)]


@dataclass(frozen=True, slots=True)
class Located:
    """Where a client finds all of it.

    :ivar base: where it finds what has no host of its own.
    :ivar hub: answers with Docker Hub's images at its root, so that it can be Docker's mirror.
    """

    locations: Sequence[Location]
    base: CachePlace
    hub: CachePlace | None
    login: LoginNeed

    @property
    def places(self) -> list[CachePlace]:
        """Each place once."""
        return list(dict.fromkeys(each.place for each in self.locations))

    @property
    def mirrored(self) -> list[Location]:
        """The registries that clients can have a mirror for."""
        return [each for each in self.locations if each.names]


def locate_registries(served: ServedHere, host: str = "", upstreams: Sequence[str] = ()) -> Located:
    """Where clients find the registries.

    :param host: ``HOST``, ``HOST:PORT`` or a URL that clients are to use; "" for what is
        configured.
    :param upstreams: the names, or aliases, of those that are meant; none for all.
    :raises NoSuchHostError: if there is no such upstream or host.
    """
    chosen = _chosen(served, upstreams)
    base = _wanted_place(served, host) if host else _usual_place(served)
    meant = served.named_by(base.host)
    if host and meant is not None:
        chosen = [each for each in chosen if each.name == meant]
        if not chosen:
            raise NoSuchHostError(f"{base.host} serves {meant} alone, by upstreams.{meant}.hosts")
    locations = [_location(served, each, base, is_wanted=bool(host)) for each in chosen]
    return Located(locations, base, _hub(served, locations), served.login)


def _chosen(served: ServedHere, upstreams: Sequence[str]) -> list[ServedRegistry]:
    known = {name: each for each in served.registries for name in (each.name, *each.aliases)}
    for name in upstreams:
        if name not in known:
            raise NoSuchHostError(f"{name}: no upstream has this name")
    if not upstreams:
        return list(served.registries)
    return list({known[name].name: known[name] for name in upstreams}.values())


def _location(
    served: ServedHere, registry: ServedRegistry, base: CachePlace, *, is_wanted: bool
) -> Location:
    if served.named_by(base.host) == registry.name:
        return Location(registry, base)
    own = next((host for host in registry.hosts if not host.startswith("*.")), "")
    if own and not is_wanted:
        listener = _best(served.places)
        return Location(registry, _place(listener, plain_host(own)))
    return Location(registry, base, registry.name)


def _hub(served: ServedHere, locations: Sequence[Location]) -> CachePlace | None:
    for each in locations:
        if each.registry.name == HUB:
            is_default = served.default_upstream == HUB
            if not each.prefix or (is_default and served.answers_by_default(each.place.host)):
                return each.place
    return None


def parse_host(text: str) -> tuple[str, str, int | None]:
    """Scheme ("" without one), host and port of what was asked for.

    :raises NoSuchHostError: if it is no host.
    """
    found = _HOST.match(text)
    if found is None or len(text) > 300 or ".." in text:
        raise NoSuchHostError(f"{text[:300]!r} is no host: write cache.example.com or HOST:PORT")
    host, port = plain_host(found[2]), None if found[3] is None else int(found[3])
    if host.startswith("["):
        try:
            host = str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise NoSuchHostError(f"{text!r} is no address") from None
    if port is not None and not 0 < port < 65536:
        raise NoSuchHostError(f"{text!r}: a port is a number from 1 to 65535")
    return found[1] or "", host, port


def _wanted_place(served: ServedHere, text: str) -> CachePlace:
    scheme, host, port = parse_host(text)
    if host in map(plain_host, served.admin_hosts):
        raise NoSuchHostError(f"{host} is one of admin.hosts, where nothing is pulled")
    listener = _listener_for(served.places, scheme, port)
    if listener is not None:
        return _place(listener, host, port)
    # Something in front of the cache, a proxy with TLS for instance, has this port.
    schemes = {80: "http", 443: "https"}
    scheme = scheme or schemes.get(port or 0, "") or _best(served.places).scheme
    return CachePlace(scheme, host, _unusual(scheme, port))


def _listener_for(
    places: Sequence[ListeningPlace], scheme: str, port: int | None
) -> ListeningPlace | None:
    wanted = _DEFAULT_PORTS.get(scheme) if port is None else port
    if wanted is None:
        return _best(places)
    fitting = [
        each for each in places if each.effective_port == wanted and scheme in ("", each.scheme)
    ]
    return _best(fitting) if fitting else None


def _best(places: Sequence[ListeningPlace]) -> ListeningPlace:
    usual = ListeningPlace("http", None, interface=LOOPBACK_HOST)
    return min(places, key=lambda each: (each.is_local, each.scheme == "http"), default=usual)


def _usual_place(served: ServedHere) -> CachePlace:
    listener = _best(served.places)
    host = _host_of(served, listener)
    if host:
        return _place(listener, host)
    return _place(listener, plain_host(served.machine), is_guessed=True)


def _host_of(served: ServedHere, listener: ListeningPlace) -> str:
    """The host of a listener, as far as the configuration tells it; "" where it does not."""
    if listener.is_local and listener.scheme == "http":
        return listener.interface
    named = [plain_host(each) for each in (*(served.default_hosts or ()), *listener.names)]
    admin = set(map(plain_host, served.admin_hosts))
    for host in named:
        if "*" not in host and served.named_by(host) is None and host not in admin:
            return host
    return "" if listener.is_everywhere else listener.interface


def _place(
    listener: ListeningPlace, host: str, port: int | None = None, *, is_guessed: bool = False
) -> CachePlace:
    chosen = listener.effective_port if port is None else port
    return CachePlace(
        listener.scheme,
        host,
        _unusual(listener.scheme, chosen),
        authority=listener.authority,
        is_guessed=is_guessed,
        names=tuple(listener.names),
    )


def _unusual(scheme: str, port: int | None) -> int | None:
    return None if port == _DEFAULT_PORTS[scheme] else port
