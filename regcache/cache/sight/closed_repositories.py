"""Repositories that are closed: the upstream refuses them to credentials that its realm accepts.

All requests for their tags, digests and blobs are answered with 403 until the upstream gives
something of them again. Nothing is deleted: then all that is cached is there at once.

Some registries answer 403 for what does not exist. So one refusal alone closes nothing: one HEAD
asks for a manifest that the upstream gave from this repository before.

======  ===================================  ==============================================
state   event                                what holds afterwards
======  ===================================  ==============================================
open    good credentials are refused         open; the refusal concerns this tag or digest alone
        something; no manifest is known
open    the same; the known manifest is      open; likewise
        given, or is not there any more
open    the same; the known manifest is      closed
        refused, or is what was refused
open    the same; no answer                  open; this one request is refused with 403
closed  what a client asks for is given      open, unless it was refused since that was asked
closed  it is refused, or is not there       closed
closed  no answer                            closed
======  ===================================  ==============================================
"""

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache import causes
from regcache.bounded import BoundedTable
from regcache.cache.policy import ServedRepository
from regcache.cache.sight import proofs
from regcache.digests import Digest
from regcache.errors import DeniedError, UpstreamDenied, UpstreamFailure, UpstreamNotFound
from regcache.facts import ContentHead
from regcache.identity import Repository
from regcache.interfaces import IIndex, IRegistry
from regcache.light_dataclass import dataclass
from regcache.single_flight import Flights, OverdueError

#: How many repositories are remembered in memory; the index has all that are closed.
MOST_STATES = 20_000


@dataclass(frozen=True, slots=True)
class _State:
    """Whether a repository is closed, and when the upstream last said so (Unix seconds)."""

    closed: bool
    said_at: float


class ClosedRepositories:
    """Remembers which repositories are closed, and asks whether they are."""

    _log = Logger()

    def __init__(self, index: IIndex, clock: IReactorTime) -> None:
        self._index = index
        self._clock = clock
        self._states: BoundedTable[Repository, _State] = BoundedTable(MOST_STATES)
        self._openings: Flights[None] = Flights(clock)
        self._closings: Flights[bool] = Flights(clock)

    def __len__(self) -> int:
        """How many repositories are remembered in memory."""
        return len(self._states)

    async def refused(self, registry: IRegistry, repository: Repository, reference: str) -> bool:
        """Find out whether a refusal to good credentials concerns the whole repository.

        :param registry: the one that has just refused; it is asked for a known manifest.
        :param reference: the tag or digest that was refused.
        :returns: whether to treat the repository as closed; False: only this one is refused.
        """
        try:
            known = await self._index.known_manifests(repository)
        except OSError as error:
            self._log.warn("what {name} holds is not known: {why}", name=repository, why=error)
            return True
        others = [digest for digest in known if str(digest) != reference]
        if known and not others:
            self.close(repository)
        if not others:
            return bool(known)
        return await self._closings.join(
            repository, lambda: self._is_refused(registry, repository, others[0])
        )

    async def _is_refused(
        self, registry: IRegistry, repository: Repository, digest: Digest
    ) -> bool:
        """Ask for a known manifest; whether it is refused, or there is no answer."""
        try:
            await proofs.head_manifest(registry, repository.name, str(digest))
        except UpstreamDenied as refusal:
            if refusal.credentials_used:
                self.close(repository)
            return True
        except UpstreamNotFound:
            return False
        except UpstreamFailure:
            return True
        return False

    def close(self, repository: Repository) -> None:
        """Note that good credentials are refused the whole repository."""
        state = self._states.get(repository)
        if state is not None and state.closed:
            self._states.put(repository, _State(True, self._clock.seconds()))
            return
        # Clients choose the names, and can cause this at will: so it is no warning.
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
        """Return if the repository is open. If it is closed, ask the upstream whether it still is.

        :param ask: HEAD of what a client asks for, with the credentials; its answer proves
            that it is there.
        :param by: Unix seconds at which the client is answered with what is known.
        :raises UpstreamDenied: if the upstream still refuses it.
        :raises DeniedError: if there is no answer.
        """
        key = repository.identity
        if not await self._is_closed(key):
            return

        async def look() -> None:
            asked_at = self._clock.seconds()
            await ask()
            state = self._states.get(key)
            if state is not None and state.closed and asked_at < state.said_at:
                raise _still_closed(key)
            self._set(key, False)

        limit = repository.policy.deadline
        try:
            await self._openings.join_within((key, reference), look, limit, by=by)
        except UpstreamDenied:
            raise
        except (UpstreamFailure, OverdueError):
            raise _still_closed(repository.identity) from None

    def is_known_open(self, repository: ServedRepository) -> bool:
        """Whether memory has it that a repository is open. Neither index nor upstream is asked."""
        state = self._states.get(repository.identity)
        return state is not None and not state.closed

    def confirm(self, repository: ServedRepository) -> None:
        """Check again after a wait whether a repository is still open.

        :raises DeniedError: if it was closed meanwhile.
        """
        state = self._states.get(repository.identity)
        if state is not None and state.closed:
            raise _still_closed(repository.identity)

    async def is_closed(self, repository: ServedRepository) -> bool:
        """Whether a repository is closed, as far as is known."""
        return await self._is_closed(repository.identity)

    async def _is_closed(self, key: Repository) -> bool:
        state = self._states.get(key)
        if state is None:
            since = await self._index.closed_since(key)
            # It may have been closed or opened meanwhile.
            state = self._states.get(key)
            if state is None:
                state = _State(since is not None, since or 0.0)
                self._states.put(key, state)
        return state.closed

    def _set(self, repository: Repository, closed: bool) -> None:
        now = self._clock.seconds()
        self._states.put(repository, _State(closed, now))
        noting = self._index.record_closed(repository, now if closed else None)
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
        f"{repository.name}, and has not said otherwise yet",
        cause=causes.REFUSED,
    )
