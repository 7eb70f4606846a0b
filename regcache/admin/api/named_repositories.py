"""Finds what calls name: the repositories of configured upstreams, as far as they may be seen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from regcache.admin.api.call_problems import (
    InvalidProblem,
    NotCachedProblem,
    UnknownUpstreamProblem,
)
from regcache.admin.api.callers import Caller
from regcache.admin.api.kinds import Named
from regcache.digests import Digest, InvalidDigestError, is_digest
from regcache.identity import Repository, UpstreamIdentity
from regcache.references import is_tag

Upstreams = Callable[[], Mapping[str, UpstreamIdentity]]
"""Gives the upstreams of the configuration in force, by name."""


def find_repository(caller: Caller, upstreams: Upstreams, named: Named) -> Repository:
    """The repository that a call names.

    :raises UnknownUpstreamProblem: if no upstream has the name.
    :raises NotCachedProblem: if the caller may not see it: that tells nothing of it.
    """
    known = upstreams()
    if not caller.may_pull(named.upstream, named.repository):
        raise not_cached(named)
    if named.upstream not in known:
        raise UnknownUpstreamProblem(named.upstream)
    return Repository(known[named.upstream], named.repository)


def seen_upstreams(
    caller: Caller, upstreams: Upstreams, name: str | None
) -> Sequence[UpstreamIdentity]:
    """The upstreams of which a caller may see something; one alone if it is named.

    :raises UnknownUpstreamProblem: if no upstream that may be seen has the name.
    """
    seen = {key: each for key, each in upstreams().items() if caller.sees_upstream(key)}
    if name is None:
        return list(seen.values())
    if name not in seen:
        raise UnknownUpstreamProblem(name)
    return [seen[name]]


def read_reference(text: str) -> str | Digest:
    """A tag or a digest. :raises InvalidProblem: if it is neither."""
    if is_digest(text):
        try:
            return Digest.parse(text)
        except InvalidDigestError as error:
            raise InvalidProblem("reference", str(error)) from None
    if not is_tag(text):
        raise InvalidProblem("reference", "a tag or a digest is needed")
    return text


def not_cached(
    named: Named, reference: str = "", gone: dict[str, Any] | None = None
) -> NotCachedProblem:
    """What is said of what is not here.

    :param gone: when it left, and how; None where that is not known.
    """
    sign = "@" if ":" in reference else ":"
    name = f"{named}{sign}{reference}" if reference else str(named)
    return NotCachedProblem(f"{name} is not in the cache", params={"name": name, "gone": gone})
