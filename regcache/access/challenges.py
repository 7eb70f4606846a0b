"""Challenges (RFC 9110, 11.6.1) that real clients can follow.

=====================================  ==========================================================
situation                              challenge
=====================================  ==========================================================
an external server issues tokens       Bearer with its realm, the upstream's service, the scope
anonymous may pull nothing from here   Basic: the plain htpasswd set-up
anonymous may pull something, and      Bearer with our own realm on the host that was asked, and
there are accounts                     with the scope: clients that ping first get an anonymous
                                       token there, and logging in checks the password
the host that was asked is not ours    Basic: a realm there would send credentials to strangers
=====================================  ==========================================================

``access.challenge`` may say ``basic`` or ``bearer`` in place of ``auto``.
"""

from dataclasses import KW_ONLY
from enum import Enum

from regcache.light_dataclass import dataclass


class ChallengeKind(Enum):
    """``access.challenge``."""

    AUTO = "auto"
    BASIC = "basic"
    BEARER = "bearer"


@dataclass(frozen=True, slots=True)
class ExternalRealm:
    """``access.token``: where clients get tokens that we do not sign.

    :ivar service: a template in which ``{upstream}`` stands for the upstream's name.
    """

    realm: str
    service: str

    def service_of(self, upstream: str) -> str:
        """The audience of tokens for one upstream."""
        return self.service.replace("{upstream}", upstream)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a challenge depends on, besides the configuration.

    :ivar scheme: ``http`` or ``https``, as the client came.
    :ivar host: the Host of the request, with its port; "" where it is none of ours.
    :ivar upstream: the name of the one that is asked, or would be; "" for none.
    :ivar scope: that is needed; "" for none.
    :ivar anonymous_may_pull: something, from this address.
    """

    scheme: str
    host: str
    upstream: str
    scope: str
    _: KW_ONLY
    anonymous_may_pull: bool


@dataclass(frozen=True, slots=True)
class Challenger:
    """Says how to authenticate.

    :ivar realm: ``access.realm``, for Basic.
    :ivar external: of an external server; None without one.
    """

    realm: str
    kind: ChallengeKind = ChallengeKind.AUTO
    external: ExternalRealm | None = None

    def uses_own_tokens(self, anonymous_may_pull: bool) -> bool:
        """Whether clients are sent to our own realm."""
        if self.external is not None or self.kind is ChallengeKind.BASIC:
            return False
        return self.kind is ChallengeKind.BEARER or anonymous_may_pull

    def basic(self) -> str:
        """For what takes no tokens: the API, the UI, our own realm."""
        return f"Basic realm={_quoted(self.realm)}"

    def challenge(self, asked: Asked) -> str:
        """The value of ``WWW-Authenticate``."""
        if self.external is not None:
            service = self.external.service_of(asked.upstream)
            return _bearer(self.external.realm, service, asked.scope)
        if asked.host and self.uses_own_tokens(asked.anonymous_may_pull):
            return _bearer(f"{asked.scheme}://{asked.host}/token", asked.host, asked.scope)
        return self.basic()


def _bearer(realm: str, service: str, scope: str) -> str:
    parts = [f"realm={_quoted(realm)}", f"service={_quoted(service)}"]
    if scope:
        parts.append(f"scope={_quoted(scope)}")
    return f"Bearer {','.join(parts)}"


def _quoted(text: str) -> str:
    """A quoted string (RFC 9110, 5.6.4); control characters cannot stand in one."""
    kept = "".join(character for character in text if character.isprintable())
    escaped = kept.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
