"""Puts accounts, rules and tokens together: a part of the composition root."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from twisted.application.service import Service
from twisted.logger import Logger

from regcache.access.access import Access
from regcache.access.challenges import ChallengeKind, Challenger, ExternalRealm
from regcache.access.external_tokens import ExternalTokens
from regcache.access.grants import Action, Grant, Rule, Rules
from regcache.access.own_tokens import OwnTokens
from regcache.access.passwords import Passwords
from regcache.access.permission import Permission
from regcache.access.principals import Decision
from regcache.config import access_settings as settings
from regcache.config import model
from regcache.engine import Engine
from regcache.htpasswd import parse_htpasswd
from regcache.sparingly import Sparingly
from regcache.token_key import LENGTH, KeyFileError, load_or_make_key
from regcache.token_keys import VerificationKey, parse_keys
from regcache.watched_file import FileUnusableError, WatchedFile

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
    watchers: Sequence[Service]


def build_access(config: model.Config, engine: Engine) -> BuiltAccess | None:
    """Make what decides who may do what; None where everybody may pull everything.

    :raises AccessSetupError: if a file cannot be used.
    """
    chosen = config.access
    if not chosen.restricted:
        return None
    external = _external(chosen.token, config)
    access = Access(
        Rules(True, chosen.admins, [_rule(each, config) for each in chosen.rules]),
        Passwords(engine.password_pool, engine.reactor),
        OwnTokens(_key(chosen, config.storage.directory), chosen.token_ttl),
        engine.reactor,
        external=external,
    )
    watchers = _watchers(chosen, access, external, engine)
    try:
        for watcher in watchers:
            watcher.load()
    except FileUnusableError as error:
        raise AccessSetupError(f"access: {error}") from None
    realm = None if chosen.token is None else _realm(chosen.token)
    challenger = Challenger(chosen.realm, ChallengeKind(chosen.challenge), realm)
    has_accounts = chosen.htpasswd is not None or external is not None
    permission = Permission(challenger, has_accounts, _PassedOver(engine).say, access.refuse)
    return BuiltAccess(access, permission, external is None and has_accounts, watchers)


def _rule(rule: settings.RuleSettings, config: model.Config) -> Rule:
    actions = frozenset(Action(each) for each in rule.actions)
    upstreams = frozenset(_upstream_name(each, config) for each in rule.upstreams)
    grant = Grant(actions, upstreams or None, rule.repositories or None)
    networks = tuple(ip_network(each, strict=False) for each in rule.networks)
    return Rule(frozenset(rule.accounts), grant, networks)


def _upstream_name(name: str, config: model.Config) -> str:
    """The name of the upstream that a name or alias means."""
    found = (each.name for each in config.upstreams if name in (each.name, *each.aliases))
    return next(found, name)


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
    found = []
    if chosen.htpasswd is not None:
        path = chosen.htpasswd
        found.append(
            WatchedFile(
                path,
                lambda content: parse_htpasswd(content.decode("utf-8"), path),
                access.replace_accounts,
                pool=engine.disk_pool,
                clock=engine.reactor,
            )
        )
    if chosen.token is not None and external is not None:

        def take(keys: Sequence[VerificationKey]) -> None:
            external.keys = keys
            access.forget()

        found.append(
            WatchedFile(
                chosen.token.keys_file,
                lambda content: parse_keys(content.decode("utf-8")),
                take,
                pool=engine.disk_pool,
                clock=engine.reactor,
            )
        )
    return found


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
