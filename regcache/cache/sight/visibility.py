"""Decides whether a repository may be shown at all, to any client.

There are two checks. The upstream may refuse the repository to us, see
:mod:`regcache.cache.sight.closed_repositories`. And with ``serve_private: false`` the credentials
for an upstream are only there for a higher quota: a repository is served only if it can be read
without them. HEAD requests for what the client wants find that out:

===================  =================  ========================================================
without credentials  with them          verdict
===================  =================  ========================================================
a proof              not asked          public
401, 403, 404        a proof            private
401, 403, 404        no proof           none: the refusal concerns this tag or digest alone
anything else        not asked          none: the upstream gave no answer to that
===================  =================  ========================================================

:mod:`regcache.cache.sight.proofs` says what a proof is. A repository may turn private, and what is
pushed to it then must not be fetched with our credentials. So fetching needs a younger verdict
than showing what is cached:

==================  ====================================  ======================
last verdict        what is cached                        what has to be fetched
==================  ====================================  ======================
public, 5 min       shown                                 fetched
public, a day       shown                                 asked first
public, older       asked first; shown if the             asked first
                    upstream does not tell
private, a minute   refused                               refused
private, older      asked first; refused if the           asked first
                    upstream does not tell
none                asked first                           asked first
==================  ====================================  ======================

Only one question about a repository is asked at a time, and all its requests wait for the answer.
If the answer concerns one tag or digest alone, requests for other ones ask again.
"""

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache import causes
from regcache.bounded import BoundedTable
from regcache.cache.freshness import takes_back
from regcache.cache.policy import ServedRepository
from regcache.cache.sight import proofs
from regcache.cache.sight.closed_repositories import ClosedRepositories
from regcache.digests import Digest
from regcache.errors import (
    DeniedError,
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
)
from regcache.facts import ContentHead, Verdict
from regcache.identity import Repository
from regcache.interfaces import IIndex
from regcache.light_dataclass import dataclass
from regcache.single_flight import Flights, OverdueError

#: How long "can be read without credentials" holds for what is cached (seconds).
PUBLIC_FOR = 24 * 3600.0
#: ... and for what has to be fetched (seconds).
FETCHED_FOR = 300.0
#: How long "cannot" holds; short, since the repository may be made public (seconds).
PRIVATE_FOR = 60.0
#: Verdicts remembered in memory; the index has all of them.
MOST_VERDICTS = 10_000

#: Sends HEAD of what was asked for; returns only if the answer proves that it is there. The
#: argument says whether to ask without credentials.
Ask = Callable[[bool], Awaitable[ContentHead]]


@dataclass(frozen=True, slots=True)
class _Question:
    """A question whether a repository can be read without credentials.

    :ivar reference: identifies what is asked for, within the repository.
    """

    repository: ServedRepository
    reference: str
    ask: Ask

    @property
    def key(self) -> Repository:
        """The repository that the verdict is about."""
        return self.repository.identity


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
        self._of_repositories: Flights[Verdict] = Flights(clock)
        self._of_references: Flights[Verdict] = Flights(clock)

    def __len__(self) -> int:
        """How many verdicts are remembered in memory."""
        return len(self._verdicts)

    async def admit_manifest(
        self, repository: ServedRepository, reference: str, by: float | None = None
    ) -> None:
        """Return if cached content may be shown to a client that asks for a manifest.

        :param by: when the last verdict is used if there is no new one (Unix seconds).
        :raises DeniedError: if only our credentials can read it.
        :raises UpstreamFailure: if there is no verdict, and the upstream does not tell.
        """
        if not self.admits_at_once(repository):
            await self._admit(_of_manifest(repository, reference), by)

    async def admit_blob(self, repository: ServedRepository, digest: Digest) -> None:
        """The same for a blob."""
        if not self.admits_at_once(repository):
            await self._admit(_of_blob(self._index, repository, digest), None)

    async def admit_fetch_of_manifest(self, repository: ServedRepository, reference: str) -> None:
        """Return if a manifest may be fetched with our credentials, and shown.

        :raises DeniedError: if only our credentials can read it.
        :raises UpstreamFailure: if the last verdict is too old, and the upstream does not tell.
        """
        await self._admit_fetch(_of_manifest(repository, reference))

    async def admit_fetch_of_blob(self, repository: ServedRepository, digest: Digest) -> None:
        """The same for a blob."""
        await self._admit_fetch(_of_blob(self._index, repository, digest))

    def admits_at_once(self, repository: ServedRepository) -> bool:
        """Whether a verdict in memory allows to show what is cached."""
        return self._is_known(repository, PUBLIC_FOR)

    def admits_fetch_at_once(self, repository: ServedRepository) -> bool:
        """Whether a verdict in memory allows to fetch."""
        return self._is_known(repository, FETCHED_FOR)

    def _is_known(self, repository: ServedRepository, public_for: float) -> bool:
        if not self._closed_repositories.is_known_open(repository):
            return False
        if not _is_restricted(repository):
            return True
        verdict = self._verdicts.get(repository.identity)
        return verdict is not None and verdict.public and self._holds(verdict, public_for)

    def confirm(self, repository: ServedRepository) -> None:
        """Check again after a wait whether a repository may still be shown.

        :raises DeniedError: if the repository was closed, or found to be private.
        """
        self._closed_repositories.confirm(repository)
        if not _is_restricted(repository):
            return
        verdict = self._verdicts.get(repository.identity)
        if verdict is not None:
            _require_public(verdict, repository)

    async def may_be_named(self, repository: ServedRepository) -> bool:
        """Whether a list may name a repository: it was found public before. Asks no upstream."""
        if await self._closed_repositories.is_closed(repository):
            return False
        if not _is_restricted(repository):
            return True
        verdict = await self._find(repository.identity)
        return verdict is not None and verdict.public

    async def _admit(self, question: _Question, by: float | None) -> None:
        await self._check_open(question, by)
        if not _is_restricted(question.repository):
            return
        verdict = await self._find(question.key)
        if verdict is None:
            verdict = await self._asked(question)
        elif not self._holds(verdict, PUBLIC_FOR):
            verdict = await self._asked_within(question, by, verdict)
        _require_public(verdict, question.repository)

    async def _admit_fetch(self, question: _Question) -> None:
        await self._check_open(question, None)
        if not _is_restricted(question.repository):
            return
        verdict = await self._find(question.key)
        if verdict is None or not self._holds(verdict, FETCHED_FOR):
            verdict = await self._asked(question)
        _require_public(verdict, question.repository)

    async def _check_open(self, question: _Question, by: float | None) -> None:
        await self._closed_repositories.check(
            question.repository,
            question.reference,
            lambda: question.ask(False),
            by,
        )

    async def _find(self, key: Repository) -> Verdict | None:
        """The last verdict."""
        verdict = self._verdicts.get(key)
        if verdict is None:
            recorded = await self._index.verdict(key)
            # There may be a newer one by now.
            verdict = self._verdicts.get(key)
            if verdict is None and recorded is not None:
                self._verdicts.put(key, recorded)
                verdict = recorded
        return verdict

    def _holds(self, verdict: Verdict, public_for: float) -> bool:
        age = self._clock.seconds() - verdict.asked_at
        return 0 <= age < (public_for if verdict.public else PRIVATE_FOR)

    async def _asked(self, question: _Question) -> Verdict:
        """Ask the upstream, without a time limit."""
        key = (question.key, question.reference)
        return await self._of_references.join(key, lambda: self._judge(question))

    async def _asked_within(self, question: _Question, by: float | None, last: Verdict) -> Verdict:
        """Ask the upstream; give the last verdict if no answer comes in time."""
        key = (question.key, question.reference)
        policy = question.repository.policy
        try:
            return await self._of_references.join_within(
                key, lambda: self._judge(question), policy.deadline, by=by
            )
        except OverdueError:
            return last
        except UpstreamFailure as failure:
            if takes_back(failure, policy):
                raise
            return last

    async def _judge(self, question: _Question) -> Verdict:
        """Ask once for all requests; ask again if the answer concerned another reference alone."""
        mine = not self._of_repositories.under_way(question.key)
        try:
            return await self._of_repositories.join(question.key, lambda: self._ask(question))
        except (UpstreamDenied, UpstreamNotFound, UpstreamBadAnswer):
            if mine:
                raise
        verdict = self._verdicts.get(question.key)
        if verdict is not None and self._holds(verdict, FETCHED_FOR):
            return verdict
        return await self._ask(question)

    async def _ask(self, question: _Question) -> Verdict:
        # The answer may describe the state at the time of the question.
        asked_at = self._clock.seconds()
        try:
            await question.ask(True)
        except (UpstreamDenied, UpstreamNotFound) as refusal:
            await _ask_with_credentials(question.ask, refusal)
            return await self._note(question.key, Verdict(False, asked_at))
        return await self._note(question.key, Verdict(True, asked_at))

    async def _note(self, key: Repository, verdict: Verdict) -> Verdict:
        """Remember a verdict, unless there is a younger one. Returns the one that counts now."""
        last = self._verdicts.get(key)
        if last is not None and verdict.asked_at < last.asked_at <= self._clock.seconds():
            return last
        self._verdicts.put(key, verdict)
        try:
            await self._index.record_verdict(key, verdict.public, verdict.asked_at)
        except OSError as error:
            self._log.warn(
                "noting the verdict on {repository} failed: {error}",
                repository=key.name,
                error=error,
            )
        return verdict


def _of_blob(index: IIndex, repository: ServedRepository, digest: Digest) -> _Question:
    registry, name = repository.registry, repository.name

    async def ask(anonymous: bool) -> ContentHead:
        facts = await index.content(repository.content(digest))
        size = facts.mentioned_size if facts.size is None else facts.size
        refusal: UpstreamBadAnswer | None = None
        if size is not None:
            try:
                return await proofs.head_blob(
                    registry, name, digest, size=size, anonymous=anonymous
                )
            except UpstreamBadAnswer as failure:
                if facts.size is not None:
                    raise
                refusal = failure  # or the size in the manifest is wrong
        # Storage behind a redirect states no digest. Then only a manifest can be a proof.
        known = await index.known_manifests(repository.identity)
        if known:
            return await proofs.head_manifest(registry, name, str(known[0]), anonymous)
        if refusal is not None:
            raise refusal
        return await proofs.head_blob(registry, name, digest, size=None, anonymous=anonymous)

    return _Question(repository, f"blob {digest}", ask)


def _of_manifest(repository: ServedRepository, reference: str) -> _Question:
    def ask(anonymous: bool) -> Awaitable[ContentHead]:
        return proofs.head_manifest(repository.registry, repository.name, reference, anonymous)

    return _Question(repository, reference, ask)


def _is_restricted(repository: ServedRepository) -> bool:
    """Whether only public repositories are shown, although the credentials may read more."""
    upstream = repository.identity.upstream
    return bool(upstream.users) and not upstream.serve_private


def _require_public(verdict: Verdict, repository: ServedRepository) -> None:
    if not verdict.public:
        raise DeniedError(
            f"{repository.identity} is private; to serve what the configured "
            f"credentials can read, set upstreams.{repository.upstream.name}.serve_private",
            cause=causes.PRIVATE,
        )


async def _ask_with_credentials(ask: Ask, refusal: UpstreamDenied | UpstreamNotFound) -> None:
    """Return if credentials can read what was refused without them: then it is private.

    Some registries answer 404, and others 403, both for private and for missing content.

    :raises UpstreamFailure: if the answer concerns this tag or digest alone. A refusal of
        access stays one, or a client could find out which tags a private repository has.
    """
    try:
        await ask(False)
    except UpstreamDenied:
        raise
    except UpstreamFailure:
        if isinstance(refusal, UpstreamDenied):
            raise refusal from None
        raise
