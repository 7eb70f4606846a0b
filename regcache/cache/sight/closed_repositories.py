"""Repositories that are closed to us: the upstream refused credentials that it knows are good.

Their tags, digests and blobs are answered with 403 until the upstream says otherwise.
Nothing is deleted: who opens the repository again has all of it at once.
"""

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.bounded import BoundedTable
from regcache.cache.policy import ServedRepository
from regcache.errors import DeniedError, UpstreamDenied, UpstreamFailure
from regcache.facts import ContentHead
from regcache.identity import Repository
from regcache.interfaces import IIndex
from regcache.single_flight import Flights, OverdueError

#: Repositories whose state is remembered in memory; the index knows all that are closed.
MOST_STATES = 20_000


class ClosedRepositories:
    """Remembers which repositories are closed, and asks whether they still are."""

    _log = Logger()

    def __init__(self, index: IIndex, clock: IReactorTime) -> None:
        self._index = index
        self._clock = clock
        self._closed: BoundedTable[Repository, bool] = BoundedTable(MOST_STATES)
        self._flights: Flights[None] = Flights(clock)

    def __len__(self) -> int:
        """How many repositories' states are in memory."""
        return len(self._closed)

    def close(self, repository: Repository) -> None:
        """Good credentials were refused."""
        if self._closed.get(repository):
            return
        # Anybody may ask for names that an upstream refuses: no more than a remark.
        self._log.info(
            "{upstream} refuses good credentials for {repository}, which is closed from now on",
            upstream=repository.upstream.name,
            repository=repository.name,
        )
        self._set(repository, True)

    async def check(
        self,
        repository: ServedRepository,
        reference: str,
        ask: Callable[[], Awaitable[ContentHead]],
        by: float | None = None,
    ) -> None:
        """Return if the repository is open, or the upstream says that it is again.

        :param ask: HEAD of what a client asks for, with the credentials; its answer proves
            that it is there.
        :param by: Unix seconds at which the client is answered with what is known.
        :raises UpstreamDenied: if the upstream refuses still.
        :raises DeniedError: if it does not say.
        """
        key = repository.identity
        if not await self._is_closed(key):
            return

        async def look() -> None:
            await ask()
            self._set(key, False)

        limit = repository.policy.deadline
        try:
            await self._flights.join_within((key, reference), look, limit, by=by)
        except UpstreamDenied:
            raise
        except (UpstreamFailure, OverdueError):
            raise _still_closed(repository.identity) from None

    def is_known_open(self, repository: ServedRepository) -> bool:
        """Whether a repository is open, as far as memory tells. Nobody is asked."""
        return self._closed.get(repository.identity) is False

    def confirm(self, repository: ServedRepository) -> None:
        """Refuse what was found to be open before a wait, if it was closed meanwhile.

        :raises DeniedError: if memory has it as closed.
        """
        if self._closed.get(repository.identity):
            raise _still_closed(repository.identity)

    async def is_closed(self, repository: ServedRepository) -> bool:
        """Whether a repository is closed, as far as is known."""
        return await self._is_closed(repository.identity)

    async def _is_closed(self, key: Repository) -> bool:
        closed = self._closed.get(key)
        if closed is None:
            recorded = await self._index.closed_since(key) is not None
            # It may have been closed or opened meanwhile.
            closed = self._closed.get(key)
            if closed is None:
                closed = recorded
                self._closed.put(key, closed)
        return closed

    def _set(self, repository: Repository, closed: bool) -> None:
        self._closed.put(repository, closed)
        since = self._clock.seconds() if closed else None
        noting = self._index.record_closed(repository, since)
        noting.addErrback(self._not_noted, repository)

    def _not_noted(self, failure: Failure, repository: Repository) -> None:
        failure.trap(OSError)
        self._log.warn(
            "noting the state of {repository} failed: {why}",
            repository=repository.name,
            why=failure.getErrorMessage(),
        )


def _still_closed(repository: Repository) -> DeniedError:
    return DeniedError(
        f"upstream {repository.upstream.name} refused the configured credentials for "
        f"{repository.name}, and has not said otherwise yet"
    )
