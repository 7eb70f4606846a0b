"""Private images: our credentials only raise the quota unless the operator says otherwise.

With credentials and ``serve_private: false`` a repository is served only if it could be read
without them: an anonymous HEAD of what was asked for must succeed, before the first answer
and daily. The last verdict holds while the upstream does not answer.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from regcache.cache.bounded import BoundedTable
from regcache.cache.flights import Flights
from regcache.cache.policy import Upstream
from regcache.errors import (
    DeniedError,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
)
from regcache.facts import ContentHead, Verdict
from regcache.interfaces import IIndex

#: How long "can be read without credentials" holds (seconds).
PUBLIC_FOR = 24 * 3600.0
#: How long "cannot" holds: somebody may be waiting for a repository to become public (seconds).
PRIVATE_FOR = 60.0
#: Verdicts remembered in memory; the index has all of them.
MOST_VERDICTS = 10_000

#: HEAD of what was asked for; the argument says whether without credentials.
Ask = Callable[[bool], "Deferred[ContentHead]"]


class Visibility:
    """Decides whether a repository may be shown to people who have no credentials."""

    def __init__(self, index: IIndex, clock: IReactorTime) -> None:
        self._index = index
        self._clock = clock
        self._verdicts: BoundedTable[tuple[str, str], Verdict] = BoundedTable(MOST_VERDICTS)
        self._flights: Flights[None] = Flights(clock)

    async def admit(self, upstream: Upstream, repository: str, ask: Ask) -> None:
        """Return if the repository may be shown.

        :raises DeniedError: if only our credentials can read it.
        :raises UpstreamFailure: if nobody knows, and the upstream does not say.
        """
        if upstream.policy.serve_private or not upstream.registry.credentials:
            return
        key = (upstream.name, repository)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = await self._index.verdict(*key)
        if verdict is None or not self._holds(verdict):
            try:
                await self._flights.join(key, lambda: self._ask(upstream, repository, ask))
            except UpstreamFailure:
                if verdict is None:
                    raise
            verdict = self._verdicts.get(key) or verdict
        if verdict is None or not verdict.public:
            raise DeniedError(
                f"{upstream.name}/{repository} is private; to serve what the configured "
                f"credentials can read, set upstreams.{upstream.name}.serve_private"
            )

    def _holds(self, verdict: Verdict) -> bool:
        age = self._clock.seconds() - verdict.asked_at
        return 0 <= age < (PUBLIC_FOR if verdict.public else PRIVATE_FOR)

    async def _ask(self, upstream: Upstream, repository: str, ask: Ask) -> None:
        try:
            await ask(True)
        except UpstreamDenied:
            await self._note(upstream.name, repository, public=False)
        except UpstreamNotFound:
            # Some registries hide private repositories behind 404: it is private if our
            # credentials find it, and otherwise really not there.
            await ask(False)
            await self._note(upstream.name, repository, public=False)
        else:
            await self._note(upstream.name, repository, public=True)

    async def _note(self, upstream: str, repository: str, public: bool) -> None:
        now = self._clock.seconds()
        self._verdicts.put((upstream, repository), Verdict(public, now))
        await self._index.record_verdict(upstream, repository, public, now)
