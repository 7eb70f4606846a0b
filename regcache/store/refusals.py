"""What upstreams said of whole repositories: verdicts, and which are closed.

A change of the index reaches the file late while another program locks it, and not at all on a full
disk. Until then the file still says that a repository may be shown. So what narrows a right counts
from the moment that it is learnt:

============================  ======================================  ==========================
event                         what is remembered                      what readings say
============================  ======================================  ==========================
private or closed is learnt   it, until it is in the file             private, closed
the file has it               nothing                                 what the file says
public or open is learnt      nothing                                 what the file says: at worst
                                                                      what is asked again
more are to be remembered     when the last one was learnt that is    public from before then: no
than ``MOST_UNWRITTEN``       not remembered, and how many are not    verdict; open: closed since
the file has all of those     nothing                                 what the file says
============================  ======================================  ==========================

The row of too many is for safety: what is closed or has no verdict is asked of the upstream again.
It holds until the next start if one of those could not be written at all.
"""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred

from regcache.facts import Verdict
from regcache.identity import Repository
from regcache.store import index_names
from regcache.store.index_thread import IndexThread

MOST_UNWRITTEN = 10_000
"""Refusals that are remembered until they are in the file, of each kind."""

Refusal = TypeVar("Refusal", Verdict, float)


class UnwrittenRefusals(Generic[Refusal]):
    """The latest refusals, by repository, that are not in the file yet.

    :ivar forgotten_at: when the last one was learnt that is not remembered (Unix seconds), as long
        as one of those is not in the file.
    """

    def __init__(self) -> None:
        self._refusals: dict[Repository, Refusal] = {}
        self._forgotten = 0
        self.forgotten_at: float | None = None

    def __len__(self) -> int:
        return len(self._refusals)

    def add(self, repository: Repository, refusal: Refusal, now: float) -> Callable[[], None]:
        """Remember one, in place of an earlier one.

        :returns: what is to be called once it is in the file.
        """
        if repository in self._refusals or len(self) < MOST_UNWRITTEN:
            self._refusals[repository] = refusal
            return partial(self._is_written, repository, refusal)
        self._forgotten += 1
        self.forgotten_at = max(now, self.forgotten_at or 0.0)
        return self._forgotten_is_written

    def get(self, repository: Repository) -> Refusal | None:
        """The one of a repository."""
        return self._refusals.get(repository)

    def drop(self, repository: Repository) -> None:
        """Forget the one of a repository: it counts no longer."""
        self._refusals.pop(repository, None)

    def _is_written(self, repository: Repository, refusal: Refusal) -> None:
        """Forget one that is in the file, unless there is a later one."""
        if self._refusals.get(repository) == refusal:
            self.drop(repository)

    def _forgotten_is_written(self) -> None:
        """The file has one more of those that are not remembered."""
        self._forgotten -= 1
        if not self._forgotten:
            self.forgotten_at = None


class Refusals:
    """Verdicts and closed repositories in the index.

    :param thread: of the index; it is open.
    """

    def __init__(self, thread: IndexThread) -> None:
        self._thread = thread
        self._private: UnwrittenRefusals[Verdict] = UnwrittenRefusals()
        self._closed: UnwrittenRefusals[float] = UnwrittenRefusals()

    def __len__(self) -> int:
        """How many are not in the file yet."""
        return len(self._private) + len(self._closed)

    def verdict(self, repository: Repository) -> "Deferred[Verdict | None]":
        """As :meth:`regcache.interfaces.IIndex.verdict`."""
        reading = self._thread.read(index_names.find_verdict, repository)
        return reading.addCallback(self._verdict_now, repository)

    def _verdict_now(self, written: Verdict | None, repository: Repository) -> Verdict | None:
        """What counts, if this is in the file."""
        private, forgotten_at = self._private.get(repository), self._private.forgotten_at
        if private is not None:
            return private
        if written is None or not written.public or forgotten_at is None:
            return written
        return written if written.asked_at > forgotten_at else None

    def record_verdict(self, repository: Repository, public: bool, now: float) -> "Deferred[None]":
        """As :meth:`regcache.interfaces.IIndex.record_verdict`."""
        written: Callable[[], None] | None = None
        if public:
            self._private.drop(repository)
        else:
            written = self._private.add(repository, Verdict(public, now), now)
        return self._thread.note(
            *(index_names.record_verdict, repository, public, now), committed=written
        )

    def closed_since(self, repository: Repository) -> "Deferred[float | None]":
        """As :meth:`regcache.interfaces.IIndex.closed_since`."""
        reading = self._thread.read(index_names.find_closed, repository)
        return reading.addCallback(self._closed_now, repository)

    def _closed_now(self, written: float | None, repository: Repository) -> float | None:
        """What counts, if this is in the file."""
        found = self._closed.get(repository)
        if found is None:
            found = written
        return self._closed.forgotten_at if found is None else found

    def record_closed(self, repository: Repository, since: float | None) -> "Deferred[None]":
        """As :meth:`regcache.interfaces.IIndex.record_closed`."""
        if since is None:
            self._closed.drop(repository)
            return self._thread.note(index_names.record_closed, repository, None)
        written = self._closed.add(repository, since, since)
        return self._thread.note(*(index_names.record_closed, repository, since), committed=written)
