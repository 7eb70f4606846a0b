"""Puts accounts, rules and tokens together: a part of the composition root."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from ipaddress import ip_network
from typing import Any

from twisted.logger import Logger

from regcache.access.access import Access
from regcache.access.challenges import ChallengeKind, Challenger, ExternalRealm
from regcache.access.decisions import Knocking
from regcache.access.external_tokens import ExternalTokens
from regcache.access.grants import Action, Grant, Rule, Rules
from regcache.access.own_tokens import OwnTokens
from regcache.access.passwords import Passwords
from regcache.access.permission import Permission
from regcache.access.principals import Decision
from regcache.config import access_settings as settings
from regcache.config import model
from regcache.config.seats_file import read_seats
from regcache.engine import Engine
from regcache.htpasswd import parse_htpasswd
from regcache.light_dataclass import dataclass
from regcache.seat_edits import make_seats_file
from regcache.sparingly import Sparingly
from regcache.token_key import LENGTH, KeyFileError, load_or_make_key
from regcache.token_keys import VerificationKey, parse_keys
from regcache.watched_file import FileUnusableError, WatchedFile
from regcache.web.forwarded import TrustedProxies

_log = Logger()

#: Name of the key file in the storage directory.
KEY_NAME = "token.key"
#: Wrong credentials that are passed over are said so often (seconds).
_SAID_EVERY = 60.0


class AccessSetupError(Exception):
    """A file of accounts or keys cannot be used; the text is one line."""


@dataclass(frozen=True, slots=True)
class BuiltAccess:
    """Who may do what, and what belongs to it.

    :ivar has_realm: our own realm gives tokens.
    :ivar watchers: services that read the files again.
    """

    access: Access
    permission: Permission
    has_realm: bool
    watchers: Sequence[WatchedFile]


def build_access(config: model.Config, engine: Engine) -> BuiltAccess | None:
    """Make what decides who may do what; None where everybody may pull everything.

    :raises AccessSetupError: if a file cannot be used.
    """
    chosen = config.access
    if not chosen.restricted:
        return None
    external = _external(chosen.token, config)
    names = {name: each.name for each in config.upstreams for name in (each.name, *each.aliases)}
    access = Access(
        Rules(True, chosen.admins, [_rule(each, names) for each in chosen.rules], names),
        Passwords(engine.password_pool, engine.reactor),
        OwnTokens(_key(chosen, config.storage.directory), chosen.token_ttl),
        engine.reactor,
        external=external,
        knocking=_knocking(chosen, engine),
    )
    _make_seats(chosen.seats)
    watchers = _watchers(chosen, access, external, engine)
    try:
        for watcher in watchers:
            watcher.load()
    except FileUnusableError as error:
        raise AccessSetupError(f"access: {error}") from None
    realm = None if chosen.token is None else _realm(chosen.token)
    challenger = Challenger(chosen.realm, ChallengeKind(chosen.challenge), realm)
    has_accounts = chosen.has_accounts
    permission = Permission(challenger, has_accounts, _PassedOver(engine).say, access.refuse)
    return BuiltAccess(access, permission, external is None and has_accounts, watchers)


def _knocking(chosen: settings.AccessSettings, engine: Engine) -> Knocking | None:
    if chosen.knock is None:
        return None
    proxies = TrustedProxies(chosen.trusted_proxies)
    return Knocking(engine.short_lived.knocks, chosen.knock, proxies.client_address)


def _make_seats(path: str | None) -> None:
    """Make a file of seats that is missing.

    :raises AccessSetupError: if it cannot be made.
    """
    if path is None:
        return
    try:
        make_seats_file(path)
    except OSError as error:
        why = f"{path} cannot be made: {error.strerror}"
        raise AccessSetupError(f"access.seats: {why}: make it, or name another place") from None


def _rule(rule: settings.RuleSettings, names: Mapping[str, str]) -> Rule:
    actions = frozenset(Action(each) for each in rule.actions)
    upstreams = frozenset(names.get(each, each) for each in rule.upstreams)
    grant = Grant(actions, upstreams or None, rule.repositories or None)
    networks = tuple(ip_network(each, strict=False) for each in rule.networks)
    return Rule(frozenset(rule.accounts), grant, networks)


def _realm(token: settings.TokenAccess) -> ExternalRealm:
    return ExternalRealm(token.realm, token.service)


def _external(token: settings.TokenAccess | None, config: model.Config) -> ExternalTokens | None:
    if token is None:
        return None
    names = [each.name for each in config.upstreams]
    return ExternalTokens(_realm(token), token.issuer, names, ())


def _key(chosen: settings.AccessSettings, directory: str) -> bytes:
    """The key of our tokens.

    Where the storage cannot be written it is one of this process: tokens end with it then.
    """
    if chosen.key_file is not None:
        try:
            return load_or_make_key(chosen.key_file)
        except KeyFileError as error:
            raise AccessSetupError(f"access.key_file: {error}") from None
    try:
        return load_or_make_key(os.path.join(directory, KEY_NAME))
    except KeyFileError as error:
        _log.warn("tokens will not survive a restart: {why}", why=str(error))
        return os.urandom(LENGTH)


def _watchers(
    chosen: settings.AccessSettings, access: Access, external: ExternalTokens | None, engine: Engine
) -> list[WatchedFile]:
    """What reads the files of accounts, seats and keys."""

    def watch(path: str, read: Callable[[bytes], Any], apply: Callable[[Any], None]) -> WatchedFile:
        return WatchedFile(
            path,
            read,
            apply,
            pool=engine.disk_pool,
            clock=engine.reactor,
            events=engine.file_events,
        )

    def take_keys(keys: Sequence[VerificationKey]) -> None:
        assert external is not None, "there are keys with access.token alone"
        external.keys = keys
        access.forget()

    htpasswd, seats, token = chosen.htpasswd, chosen.seats, chosen.token
    found = []
    if htpasswd is not None:
        read_accounts = partial(_read_accounts, htpasswd)
        found.append(watch(htpasswd, read_accounts, access.replace_accounts))
    if seats is not None:
        found.append(watch(seats, partial(read_seats, path=seats), access.replace_seats))
    if token is not None:
        found.append(watch(token.keys_file, _read_keys, take_keys))
    return found


def _read_accounts(path: str, content: bytes) -> Mapping[str, bytes]:
    return parse_htpasswd(content.decode("utf-8"), path)


def _read_keys(content: bytes) -> Sequence[VerificationKey]:
    return parse_keys(content.decode("utf-8"))


class _PassedOver:
    """Says now and then that wrong credentials count as none."""

    def __init__(self, engine: Engine) -> None:
        self._sparingly = Sparingly(engine.reactor, _SAID_EVERY)

    def say(self, decision: Decision) -> None:
        """Say it, without what was shown."""
        more = self._sparingly.turn()
        if more is not None:
            _log.warn(
                "wrong credentials from {address} count as none, where anybody may pull{more}",
                address=decision.principal.address or "a local client",
                more=more,
            )
