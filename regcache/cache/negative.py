"""Refusals that are remembered for a moment, so that they are not asked for again.

404, 401 and 403 are remembered, per upstream, credentials, repository and reference. What may
be over a moment later is not: 5xx, 429, time-outs, lost connections.
"""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.bounded import BoundedTable
from regcache.cache.policy import ServedUpstream
from regcache.cache.sight.closed_repositories import ClosedRepositories
from regcache.cache.spare_bodies import SpareBodies
from regcache.digests import Digest
from regcache.errors import UpstreamDenied, UpstreamFailure, UpstreamNotFound
from regcache.facts import ContentHead, ManifestAnswer
from regcache.identity import Repository, UpstreamIdentity
from regcache.interfaces import IBlobBody, IRegistry

#: How many refusals are remembered, of all upstreams together.
MOST_REFUSALS = 10_000

T = TypeVar("T")
#: Repository, fingerprint of the credentials, what is asked for, tag or digest.
RefusalKey = tuple[Repository, str, str, str]


class NegativeCache:
    """Remembers refusals, each for the ``negative_ttl`` of its upstream."""

    def __init__(self, clock: IReactorTime, most: int = MOST_REFUSALS) -> None:
        self._refusals: BoundedTable[RefusalKey, UpstreamFailure] = BoundedTable(most, clock)

    def __len__(self) -> int:
        return len(self._refusals)

    def find(self, key: RefusalKey) -> UpstreamFailure | None:
        """A new failure like the one that is remembered, marked as given without asking."""
        failure = self._refusals.get(key)
        return None if failure is None else _twin(failure)

    def note(self, key: RefusalKey, failure: UpstreamFailure, seconds: float) -> None:
        """Remember a failure, if it is of a kind that is remembered."""
        if seconds > 0 and isinstance(failure, UpstreamDenied | UpstreamNotFound):
            self._refusals.put(key, _twin(failure), seconds=seconds)

    def forget(self, key: RefusalKey) -> None:
        """Forget a refusal, since the upstream gives the content now."""
        self._refusals.drop(key)


def _twin(failure: UpstreamFailure) -> UpstreamFailure:
    """An equal failure without a traceback, which would keep the frames of its request."""
    twin = type(failure).__new__(type(failure))
    twin.args = failure.args
    vars(twin).update(vars(failure))
    twin.asked = False
    return twin


@implementer(IRegistry)
class NegativeCachingRegistry:
    """A registry of which refusals are remembered.

    Bodies that came although only heads were asked for are used, too (``spare_bodies``).

    If the registry refuses something although its realm accepted the credentials, it is found
    out whether the whole repository is closed to them.
    """

    def __init__(
        self,
        inner: IRegistry,
        *,
        refusals: NegativeCache,
        closed_repositories: ClosedRepositories,
        spare_bodies: SpareBodies,
        negative_ttl: float,
    ) -> None:
        self._inner = inner
        self.name: str = inner.name
        self._spare_bodies = spare_bodies
        self._refusals = refusals
        self._closed_repositories = closed_repositories
        self._negative_ttl = negative_ttl

    @property
    def identity(self) -> UpstreamIdentity:
        """Which registry it is, and who asks it."""
        return self._inner.identity

    @property
    def url_count(self) -> int:
        """How many URLs the upstream has."""
        return self._inner.url_count

    @property
    def credentials(self) -> str:
        """Fingerprint of the configured credentials."""
        return self._inner.credentials

    @property
    def all_credentials(self) -> frozenset[str]:
        """The fingerprints of the credentials of all URLs that have some."""
        return self._inner.all_credentials

    def head_manifest(
        self, repository: str, reference: str, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a manifest."""
        named = Repository(self.identity, repository)
        spare = None if anonymous else self._spare_bodies.head(named, reference)
        if spare is not None:
            return succeed(spare)

        def keep(head: ContentHead) -> ContentHead:
            self._spare_bodies.keep(named, reference, head, anonymous)
            return head

        key = self._key(repository, "manifest", reference, anonymous)
        asking = self._ask(key, lambda: self._inner.head_manifest(repository, reference, anonymous))
        return asking.addCallback(keep)

    def get_manifest(self, repository: str, reference: str) -> "Deferred[ManifestAnswer]":
        """GET of a manifest; if its body came already with a head, that."""
        spare = self._spare_bodies.body(Repository(self.identity, repository), reference)
        if spare is not None:
            return succeed(spare)
        key = self._key(repository, "manifest", reference)
        return self._ask(key, lambda: self._inner.get_manifest(repository, reference))

    def head_blob(
        self, repository: str, digest: Digest, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a blob."""
        key = self._key(repository, "blob", str(digest), anonymous)
        return self._ask(key, lambda: self._inner.head_blob(repository, digest, anonymous))

    def get_blob(
        self,
        repository: str,
        digest: Digest,
        start: int = 0,
        end: int | None = None,
        *,
        skip: frozenset[int] = frozenset(),
        relayed: bool = False,
    ) -> "Deferred[IBlobBody]":
        """GET of a blob. A refusal is only remembered if all URLs of the upstream were asked."""

        def ask() -> "Deferred[IBlobBody]":
            return self._inner.get_blob(repository, digest, start, end, skip=skip, relayed=relayed)

        return ask() if skip else self._ask(self._key(repository, "blob", str(digest)), ask)

    def list_tags(self, repository: str) -> "Deferred[list[str]]":
        """All tags."""
        key = self._key(repository, "tags", "")
        return self._ask(key, lambda: self._inner.list_tags(repository))

    def get_referrers(self, repository: str, digest: Digest) -> "Deferred[ManifestAnswer]":
        """The referrers of a digest."""
        key = self._key(repository, "referrers", str(digest))
        return self._ask(key, lambda: self._inner.get_referrers(repository, digest))

    def note_overdue(self, repository: str, reference: str) -> None:
        """Note that a question about a manifest took longer than the deadline."""
        self._inner.note_overdue(repository, reference)

    def _key(
        self, repository: str, kind: str, reference: str, anonymous: bool = False
    ) -> RefusalKey:
        credentials = "" if anonymous else self._inner.credentials
        return (Repository(self.identity, repository), credentials, kind, reference)

    def _ask(self, key: RefusalKey, question: "Callable[[], Deferred[T]]") -> "Deferred[T]":
        known = self._refusals.find(key)
        if known is not None:
            return fail(known)
        try:
            asking = question()
        except ValueError:
            return fail()
        return asking.addCallbacks(
            self._answered, self._refused, callbackArgs=(key,), errbackArgs=(key,)
        )

    def _answered(self, answer: T, key: RefusalKey) -> T:
        self._refusals.forget(key)
        return answer

    def _refused(self, failure: Failure, key: RefusalKey) -> "Failure | Deferred[Failure]":
        if not isinstance(failure.value, UpstreamFailure):
            return failure
        learning = Deferred.fromCoroutine(self._learn(key, failure.value))
        return learning.addCallback(lambda _: failure)

    async def _learn(self, key: RefusalKey, failure: UpstreamFailure) -> None:
        repository, _, kind, reference = key
        if kind == "blob" and failure.redirected:
            return  # the registry may lead elsewhere the next time
        if isinstance(failure, UpstreamDenied) and failure.credentials_used:
            failure.closes = await self._closed_repositories.refused(
                self._inner, repository, reference
            )
        self._refusals.note(key, failure, self._negative_ttl)


def with_negative_cache(
    upstream: ServedUpstream,
    refusals: NegativeCache,
    closed_repositories: ClosedRepositories,
    spare_bodies: SpareBodies,
) -> ServedUpstream:
    """The upstream with a registry that remembers refusals."""
    policy = upstream.policy
    registry = NegativeCachingRegistry(
        upstream.registry,
        refusals=refusals,
        closed_repositories=closed_repositories,
        spare_bodies=spare_bodies,
        negative_ttl=policy.negative_ttl,
    )
    return ServedUpstream(registry, policy)
