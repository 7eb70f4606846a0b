"""What the operator wants of one upstream: plain values, read from the configuration."""

from collections.abc import Sequence
from dataclasses import dataclass

from regcache.globs import glob_matches
from regcache.interfaces import IRegistry


@dataclass(frozen=True, slots=True)
class TagTtl:
    """How long tags of a pattern are fresh (seconds)."""

    match: str
    ttl: float


@dataclass(frozen=True, slots=True)
class Policy:
    """Times in seconds.

    :ivar stale_if_error: the oldest copy that may be served when the upstream fails; None:
        any.
    :ivar keep_missing: a cached tag is served on although the upstream does not have it.
    :ivar serve_private: what only our credentials can read is served.
    """

    tag_ttls: Sequence[TagTtl] = (TagTtl("*", 300.0),)
    negative_ttl: float = 10.0
    stale_if_error: float | None = None
    keep_missing: bool = False
    deadline: float = 2.0
    serve_private: bool = False

    def ttl(self, tag: str) -> float:
        """How long a tag is fresh: the first pattern that matches decides; none: never."""
        return next((rule.ttl for rule in self.tag_ttls if glob_matches(rule.match, tag)), 0.0)

    def may_be_stale(self, age: float) -> bool:
        """Whether a copy of this age may be served when the upstream fails."""
        return self.stale_if_error is None or age <= self.stale_if_error


@dataclass(frozen=True, slots=True)
class Upstream:
    """One upstream: the registry and what the operator wants of it."""

    registry: IRegistry
    policy: Policy

    @property
    def name(self) -> str:
        """The configured name."""
        return self.registry.name
