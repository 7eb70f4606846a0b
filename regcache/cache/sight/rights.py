"""Who may be shown stored bytes: links, public bytes, and proofs.

A link (repository, digest) is the right to be shown these bytes in that repository. For bytes
that came through another repository a proof is needed. If the same upstream gave them, one HEAD
is enough. If only other upstreams gave them, HEAD is not enough: by a mere claim an upstream could
open what another one gave us under credentials. So it has to send a piece of the content, from
a random place. Public bytes, which some upstream gave without credentials, need no proof, unless
rules of access tell repositories apart.

A proof made with credentials holds for a day, as long as some URL of the upstream has these
credentials. While the upstream is away, older proofs are accepted as well, and those made by the
same user with another password; proofs of another user never are:

============================  =================  ==============================================
last proof                    within a day       older than a day
============================  =================  ==============================================
none, or another user's       has to be proved   has to be proved
the same user's, with         asked first; it    asked first; it holds while the upstream does
another password              holds likewise     not answer
by credentials of some URL    holds              asked first; it holds likewise
without credentials           holds              holds
============================  =================  ==============================================

Only proofs are recorded, not that an older one was accepted.
"""

from collections.abc import Callable, Hashable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from regcache.bounded import BoundedTable
from regcache.cache.forgetting import Forgotten, is_removed
from regcache.cache.freshness import takes_back
from regcache.cache.policy import RightKey, ServedRepository, ServedUpstream
from regcache.cache.sight.piece import read_piece
from regcache.cache.sight.proofs import agrees, is_manifest
from regcache.digests import Digest
from regcache.errors import UpstreamFailure
from regcache.facts import ContentFacts, ContentHead, Link
from regcache.generations import Generations
from regcache.identity import UpstreamIdentity, same_credentials, user_of
from regcache.interfaces import IContentFile, IIndex
from regcache.single_flight import Begin, Flights, OverdueError

#: How long a proof with credentials holds (seconds).
PROVED_FOR = 24 * 3600.0
#: How much of the content an upstream has to show (bytes).
PIECE = 4096
#: For so long an upstream that could not show a piece is not asked for another (seconds). One
#: that has only a part of the content, or knows that it is mostly zeros, must not try until it
#: is lucky.
DISPROVED_FOR = 24 * 3600.0
#: Failed proofs remembered (entries).
MOST_DISPROVED = 10_000
#: How long the answer to HEAD of a blob that is being fetched is kept (seconds).
HEAD_FOR = 60.0
#: Such answers remembered (entries).
MOST_HEADS = 10_000


class NotProvedError(Exception):
    """The upstream did not show that it has these bytes: they must not be served for it."""


class BrokenPieceError(NotProvedError):
    """The piece broke off: that proves nothing, and disproves nothing."""


def entitled(facts: ContentFacts, upstream: ServedUpstream, now: float) -> bool:
    """Whether no proof is needed."""
    if is_for_all(facts.public, upstream):
        return True
    return facts.link is not None and holds(facts.link, upstream, now)


def is_for_all(public: bool, upstream: ServedUpstream) -> bool:
    """Whether bytes that may be public are shown in all repositories of an upstream."""
    return public and not upstream.policy.tells_apart


def holds(link: Link, upstream: ServedUpstream, now: float) -> bool:
    """Whether a proof holds without asking the upstream."""
    if not link.credentials:
        return True
    if not 0 <= now - link.proved_at < PROVED_FOR:
        return False
    current = upstream.registry.all_credentials
    return any(same_credentials(link.credentials, each) for each in current)


def holds_while_away(link: Link, upstream: ServedUpstream) -> bool:
    """Whether a proof, however old, holds while the upstream does not answer.

    That is so if a user who is configured now made it, with this password or another one.
    """
    proved_by, current = link.credentials, upstream.registry.all_credentials
    if not proved_by or any(same_credentials(proved_by, each) for each in current):
        return True
    user = user_of(proved_by)
    return bool(user) and user in map(user_of, current)


class Rights:
    """Proves rights, one proof at a time for each link.

    A subscriber of :mod:`regcache.cache.forgetting`.
    """

    _log = Logger()

    def __init__(
        self,
        index: IIndex,
        clock: IReactorTime,
        random: Callable[[], float],
        removed: Generations[Hashable],
    ) -> None:
        """
        :param random: a number in [0, 1).
        :param removed: a right to what an operator removed is not noted where it began before.
        """
        self._index = index
        self._clock = clock
        self._random = random
        self._removed = removed
        self._flights: Flights[None] = Flights(clock)
        self._disproved: BoundedTable[tuple[UpstreamIdentity, Digest], bool] = BoundedTable(
            MOST_DISPROVED, clock
        )
        self._head_flights: Flights[ContentHead] = Flights(clock)
        self._heads: BoundedTable[RightKey, ContentHead] = BoundedTable(MOST_HEADS, clock)

    def forget(self, message: Forgotten) -> None:
        """A right that was removed must be proved again. All heads are dropped: that is rare."""
        if message.generation:
            self._heads.clear()

    def entitled(self, facts: ContentFacts, upstream: ServedUpstream) -> bool:
        """Whether no proof is needed now."""
        return entitled(facts, upstream, self._clock.seconds())

    def holds(self, link: Link, upstream: ServedUpstream) -> bool:
        """Whether a proof holds without asking the upstream."""
        return holds(link, upstream, self._clock.seconds())

    async def head_blob(self, repository: ServedRepository, digest: Digest) -> ContentHead:
        """The answer to HEAD of a blob, asked once for all who wait. It need not prove anything.

        :raises UpstreamFailure: as :meth:`IRegistry.head_blob`.
        """

        async def ask() -> ContentHead:
            head: ContentHead = await repository.registry.head_blob(repository.name, digest)
            return head

        return await self._head_flights.join(repository.right(digest), ask)

    async def head_to_join(
        self, repository: ServedRepository, digest: Digest, size: int | None
    ) -> ContentHead:
        """The same for a blob that is being fetched for another repository.

        An answer that proves that the blob is there is kept for a minute.

        :param size: in bytes, or None where it is not known.
        """
        key = repository.right(digest)
        head = self._heads.get(key)
        if head is None:
            began = self._removed.current
            head = await self.head_blob(repository, digest)
            if agrees(head, digest, size) and began == self._removed.current:
                self._heads.put(key, head, seconds=HEAD_FOR)
        return head

    async def prove_blob(
        self, repository: ServedRepository, facts: ContentFacts, file: IContentFile
    ) -> bool:
        """Prove the right of a repository to a stored blob.

        :returns: True if it was proved now, False if an earlier proof is accepted.
        :raises NotProvedError: if the upstream does not show that it has these bytes.
        :raises UpstreamFailure: if it refuses, does not have it, or does not answer and the
            repository had no right before.
        """
        digest, began = file.digest, self._removed.current

        async def prove() -> None:
            if facts.upstream_linked or not file.size:
                head = await repository.registry.head_blob(repository.name, digest)
                if not agrees(head, digest, file.size):
                    raise NotProvedError("the upstream speaks of something else")
                credentials = head.credentials
            else:
                credentials = await self._show(repository, file)
            await self._link(repository, digest, credentials, began)

        return await self._proof(repository, digest, facts, prove=prove, by=None)

    async def prove_manifest(
        self,
        repository: ServedRepository,
        digest: Digest,
        facts: ContentFacts,
        by: float | None = None,
    ) -> bool:
        """The same for a manifest that the upstream gave from another repository.

        :param by: Unix seconds at which the client is answered with what is known.
        """
        began = self._removed.current

        async def prove() -> None:
            head = await repository.registry.head_manifest(repository.name, str(digest))
            if not (is_manifest(head, str(digest)) and agrees(head, digest, facts.size)):
                raise NotProvedError("the upstream speaks of something else")
            await self._link(repository, digest, head.credentials, began)

        if not facts.upstream_linked:
            raise NotProvedError("the upstream never gave it")
        return await self._proof(repository, digest, facts, prove=prove, by=by)

    async def _proof(
        self,
        repository: ServedRepository,
        digest: Digest,
        facts: ContentFacts,
        *,
        prove: Begin[None],
        by: float | None,
    ) -> bool:
        key = repository.right(digest)
        if facts.link is None or not holds_while_away(facts.link, repository.upstream):
            await self._flights.join(key, prove)
            return True
        try:
            await self._flights.join_within(key, prove, repository.policy.deadline, by=by)
        except UpstreamFailure as failure:
            if takes_back(failure, repository.policy):
                raise
        except (OverdueError, NotProvedError):
            # A login page in front of the upstream means as well that it does not answer.
            pass
        else:
            return True
        return False

    async def _link(
        self, repository: ServedRepository, digest: Digest, credentials: str, began: int
    ) -> None:
        content, now = repository.content(digest), self._clock.seconds()
        if is_removed(self._removed, content, began):
            return
        try:
            await self._index.record_link(content, credentials, now, began=began)
        except OSError as error:
            self._log.warn("noting a proof for {digest} failed: {why}", digest=digest, why=error)

    async def _show(self, repository: ServedRepository, file: IContentFile) -> str:
        """Ask the upstream for a piece, at most once a day if it could not show one."""
        key = (repository.upstream.identity, file.digest)
        if self._disproved.get(key):
            raise NotProvedError("the upstream could not show a piece lately")
        try:
            return await self._compare(repository, file)
        except BrokenPieceError:
            raise
        except NotProvedError:
            self._disproved.put(key, True, seconds=DISPROVED_FOR)
            raise

    async def _compare(self, repository: ServedRepository, file: IContentFile) -> str:
        """Compare a piece from a random place. Returns the fingerprint of the credentials used."""
        size = file.size or 0
        start = int(self._random() * max(1, size - PIECE))
        end = min(size, start + PIECE)
        # Read our piece first: the request that opened the file may end and close it while others
        # wait for the upstream's piece.
        ours = await file.read(start, end - start)
        body = await repository.registry.get_blob(repository.name, file.digest, start, end)
        if body.start != start or body.size != size:
            body.abort()
            raise NotProvedError("the upstream does not give pieces")
        try:
            theirs = await read_piece(body, end - start)
        except UpstreamFailure:
            raise BrokenPieceError("the upstream's piece broke off") from None
        if theirs != ours:
            raise NotProvedError("the upstream's piece differs")
        return body.credentials
