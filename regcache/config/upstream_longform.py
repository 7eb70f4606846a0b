"""From what a user writes of upstreams to their long form."""

from typing import Any

from regcache.config import names
from regcache.config.files import MAXIMUM_PASSWORD, read_bounded, read_password, world_readable
from regcache.config.known import KNOWN, KnownRegistry
from regcache.config.problems import KeyPath
from regcache.config.reading import INVALID, Context
from regcache.config.upstream_settings import (
    DEFAULT_TAG_TTL,
    SHARED,
    TagTTL,
    UpstreamSettings,
    UrlSettings,
)

_CREDENTIAL_KEYS = ("username", "password", "password_file")
_RESOLVED_KEYS = (*SHARED, "urls")


def resolve_upstreams(
    written: dict[str, dict[str, Any]] | None, domain: str | None, context: Context
) -> tuple[UpstreamSettings, ...]:
    """Fill in what is known, and decide which URL gets which credentials.

    Without any upstream written, all known ones.
    """
    chosen = written or {name: {} for name in KNOWN}
    return tuple(_resolve(name, values, domain, context) for name, values in chosen.items())


def _resolve(
    name: str, values: dict[str, Any], domain: str | None, context: Context
) -> UpstreamSettings:
    known = KNOWN.get(name, KnownRegistry(""))
    settings = {key: value for key, value in values.items() if key not in _RESOLVED_KEYS}
    settings.setdefault("aliases", known.aliases)
    settings.setdefault("default_namespace", known.default_namespace)
    if domain and known.short:
        settings.setdefault("hosts", (names.host_name(f"{known.short}.{domain}"),))
    if "tag_ttl" in settings:
        settings["tag_ttl"] = _complete(settings["tag_ttl"])
    urls = _Urls(name, values, known, context).resolve()
    return UpstreamSettings(name=name, urls=urls, **settings)


def _complete(ttls: tuple[TagTTL, ...]) -> tuple[TagTTL, ...]:
    """Tags that no pattern matches have the default."""
    if any(ttl.match == "*" for ttl in ttls):
        return ttls
    return (*ttls, TagTTL("*", DEFAULT_TAG_TTL))


class _Urls:
    """The URLs of one upstream and what belongs to each.

    Credentials at the upstream's level are for one server only: the built-in URL of a known name,
    or the single URL of any other. Any further URL may be another party's server. It is asked
    anonymously unless its entry has credentials of its own.
    """

    def __init__(
        self, name: str, values: dict[str, Any], known: KnownRegistry, context: Context
    ) -> None:
        self._path: KeyPath = ("upstreams", name)
        self._values = values
        self._known = known
        self._context = context

    def resolve(self) -> tuple[UrlSettings, ...]:
        entries = self._entries()
        shared = read_credentials(self._values, self._path, self._context)
        token_hosts = self._values.get("token_hosts", self._known.token_hosts)
        self._check_destinations(entries)
        urls: list[UrlSettings] = []
        for path, entry in entries:
            mine = self._is_mine(entry["url"], len(entries))
            own = read_credentials(entry, path, self._context)
            credentials = own or (shared if mine else {})
            hosts = entry.get("token_hosts", token_hosts if mine else ())
            made = UrlSettings(
                url=entry["url"], token_hosts=hosts, ns=entry.get("ns", False), **credentials
            )
            urls.append(made)
        return tuple(urls)

    def _entries(self) -> list[tuple[KeyPath, dict[str, Any]]]:
        path = (*self._path, "urls")
        if self._context.is_set(*path):
            items = list(self._context.items(*path))
        elif self._known.url:
            items = [(path, self._known.url)]
        else:
            self._context.error(path, "missing; only known names come with a URL")
            items = []
        return [(at, {"url": item} if isinstance(item, str) else item) for at, item in items]

    def _is_mine(self, url: str, count: int) -> bool:
        return url == self._known.url if self._known.url else count == 1

    def _check_destinations(self, entries: list[tuple[KeyPath, dict[str, Any]]]) -> None:
        """Credentials and token hosts at the upstream's level must be used by some URL."""
        if not entries:
            return
        mine = [entry for _, entry in entries if self._is_mine(entry["url"], len(entries))]
        takes_credentials = any(
            all(entry.get(key) is None for key in _CREDENTIAL_KEYS) for entry in mine
        )
        for key in _CREDENTIAL_KEYS:
            if self._context.is_set(*self._path, key) and not takes_credentials:
                self._nowhere(key)
                break
        takes_hosts = any("token_hosts" not in entry for entry in mine)
        if self._values.get("token_hosts") and not takes_hosts:
            self._nowhere("token_hosts")

    def _nowhere(self, key: str) -> None:
        whose = (
            f"go to {self._known.url} only, which is not asked without its own"
            if self._known.url
            else "go to a single URL only"
        )
        why = f"would be used nowhere: these {whose}; write it into the entry of the URL it is for"
        self._context.error((*self._path, key), why)


def read_credentials(values: dict[str, Any], path: KeyPath, context: Context) -> dict[str, Any]:
    """User name and password of an upstream or a URL; empty if there are none, or wrong."""
    given = [key for key in _CREDENTIAL_KEYS if context.is_set(*path, key)]
    why = _objection(given)
    if why:
        context.error((*path, given[0]), why)
        return {}
    if not given or any(context.settings[*path, key].value is INVALID for key in given):
        return {}
    credentials = {key: values[key] for key in given}
    if "password_file" in credentials:
        return _with_file(credentials, (*path, "password_file"), context)
    return credentials


def _objection(given: list[str]) -> str:
    if not given:
        return ""
    if "username" not in given:
        return "needs username beside it"
    if len(given) == 1:
        return "needs password or password_file beside it"
    return "" if len(given) == 2 else "has password and password_file; one is enough"


def _with_file(credentials: dict[str, Any], path: KeyPath, context: Context) -> dict[str, Any]:
    file = credentials["password_file"]
    try:
        password = read_password(read_bounded(file, 2 * MAXIMUM_PASSWORD))
    except ValueError as fault:
        context.error(path, f"{file} {fault}")
        return {}
    if world_readable(file):
        context.warn(path, f"{file} holds a password and every local user may read it")
    return credentials | {"password": password}
