"""Whether a repository may be shown at all, whoever asks for whatever of it.

Two checks. A repository may be closed to us, see
:mod:`regcache.cache.sight.closed_repositories`. And with credentials and
``serve_private: false`` credentials only raise the quota: a repository is served only if it
could be read without them. An anonymous HEAD of what was asked for must prove that, before the
first answer and daily; what proves is said in :mod:`regcache.cache.sight.proofs`. The last
verdict holds while the upstream does not answer, or answers what proves nothing.
"""

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.bounded import BoundedTable
from regcache.cache.policy import ServedRepository
from regcache.cache.sight import proofs
from regcache.cache.sight.closed_repositories import ClosedRepositories
from regcache.digests import Digest
from regcache.errors import (
    DeniedError,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
)
from regcache.facts import ContentHead, Verdict
from regcache.identity import Repository
from regcache.interfaces import IIndex
from regcache.single_flight import Flights, OverdueError

#: How long "can be read without credentials" holds (seconds).
PUBLIC_FOR = 24 * 3600.0
#: How long "cannot" holds: somebody may be waiting for a repository to become public (seconds).
PRIVATE_FOR = 60.0
#: Verdicts remembered in memory; the index has all of them.
MOST_VERDICTS = 10_000

#: HEAD of what was asked for, whose answer proves that it is there; the argument says whether
#: without credentials.
Ask = Callable[[bool], Awaitable[ContentHead]]


class Visibility:
    """Decides whether a repository may be shown."""

    _log = Logger()

    def __init__(
        self, index: IIndex, clock: IReactorTime, closed_repositories: ClosedRepositories
    ) -> None:
        self._index = index
        self._clock = clock
        self._closed_repositories = closed_repositories
        self._verdicts: BoundedTable[Repository, Verdict] = BoundedTable(MOST_VERDICTS)
        self._flights: Flights[Verdict] = Flights(clock)

    def __len__(self) -> int:
        """How many verdicts are in memory."""
        return len(self._verdicts)

    async def admit_manifest(
        self, repository: ServedRepository, reference: str, by: float | None = None
    ) -> None:
        """Return if the repository may be shown to somebody who asks for a manifest.

        :param by: Unix seconds at which the client is answered with what is known.
        :raises DeniedError: if only our credentials can read it.
        :raises UpstreamFailure: if nobody knows, and the upstream does not say.
        """

        def ask(anonymous: bool) -> Awaitable[ContentHead]:
            return proofs.head_manifest(repository.registry, repository.name, reference, anonymous)

        await self._admit(repository, reference, ask, by)

    async def admit_blob(self, repository: ServedRepository, digest: Digest) -> None:
        """The same for a blob."""

        async def ask(anonymous: bool) -> ContentHead:
            facts = await self._index.content(repository.content(digest))
            size = facts.mentioned_size if facts.size is None else facts.size
            return await proofs.head_blob(
                repository.registry, repository.name, digest, size, anonymous
            )

        await self._admit(repository, f"blob {digest}", ask, None)

    def admits_at_once(self, repository: ServedRepository) -> bool:
        """Whether it is known in memory that the repository may be shown. Nobody is asked."""
        if not self._closed_repositories.is_known_open(repository):
            return False
        if repository.policy.serve_private or not repository.registry.credentials:
            return True
        verdict = self._verdicts.get(repository.identity)
        return verdict is not None and verdict.public and self._holds(verdict)

    async def may_be_named(self, repository: ServedRepository) -> bool:
        """Whether a list may name a repository. Nobody is asked: what is unknown is not named."""
        if await self._closed_repositories.is_closed(repository):
            return False
        if repository.policy.serve_private or not repository.registry.credentials:
            return True
        key = repository.identity
        verdict = self._verdicts.get(key) or await self._index.verdict(key)
        return verdict is not None and verdict.public

    async def _admit(
        self, repository: ServedRepository, reference: str, ask: Ask, by: float | None
    ) -> None:
        await self._closed_repositories.check(repository, reference, lambda: ask(False), by)
        if repository.policy.serve_private or not repository.registry.credentials:
            return
        key = repository.identity
        verdict = self._verdicts.get(key) or await self._index.verdict(key)
        if verdict is None or not self._holds(verdict):
            verdict = await self._judge(repository, reference, ask, by, verdict)
        if not verdict.public:
            raise DeniedError(
                f"{repository.identity} is private; to serve what the configured "
                f"credentials can read, set upstreams.{repository.upstream.name}.serve_private"
            )

    def _holds(self, verdict: Verdict) -> bool:
        age = self._clock.seconds() - verdict.asked_at
        return 0 <= age < (PUBLIC_FOR if verdict.public else PRIVATE_FOR)

    async def _judge(
        self,
        repository: ServedRepository,
        reference: str,
        ask: Ask,
        by: float | None,
        last: Verdict | None,
    ) -> Verdict:
        """Ask; while the upstream is away the last verdict is kept."""
        # What one reference says of itself (404) must not answer for another one.
        key = (repository.identity, reference)

        async def judge() -> Verdict:
            return await self._ask(repository.identity, ask)

        if last is None:
            return await self._flights.join(key, judge)
        try:
            return await self._flights.join_within(key, judge, repository.policy.deadline, by)
        except OverdueError:
            return last
        except UpstreamFailure as failure:
            if _is_refusal(failure) and not repository.policy.keep_missing:
                raise
            return last

    async def _ask(self, repository: Repository, ask: Ask) -> Verdict:
        try:
            await ask(True)
        except UpstreamDenied:
            return await self._note(repository, public=False)
        except UpstreamNotFound:
            # Some registries hide private repositories behind 404: it is private if our
            # credentials find it, and otherwise really not there.
            await ask(False)
            return await self._note(repository, public=False)
        return await self._note(repository, public=True)

    async def _note(self, repository: Repository, public: bool) -> Verdict:
        verdict = Verdict(public, self._clock.seconds())
        self._verdicts.put(repository, verdict)
        try:
            await self._index.record_verdict(repository, public, verdict.asked_at)
        except OSError as error:
            self._log.warn(
                "noting the verdict on {repository} failed: {error}",
                repository=repository.name,
                error=error,
            )
        return verdict


def _is_refusal(failure: UpstreamFailure) -> bool:
    """Whether the upstream was there, and said no."""
    return isinstance(failure, UpstreamDenied | UpstreamNotFound)
