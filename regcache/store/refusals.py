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
more are to be remembered     the time of the first that was not      public from before then: no
than ``MOST_UNWRITTEN``       remembered, and of each later one       verdict; open: closed since
============================  ======================================  ==========================

The last row is for safety: what is closed or has no verdict is asked of the upstream again.
"""

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

    :ivar forgotten_at: when the last one was learnt that is not remembered (Unix seconds), if any.
    """

    def __init__(self) -> None:
        self._refusals: dict[Repository, Refusal] = {}
        self.forgotten_at: float | None = None

    def __len__(self) -> int:
        return len(self._refusals)

    def add(self, repository: Repository, refusal: Refusal, now: float) -> None:
        """Remember one, in place of an earlier one."""
        if repository in self._refusals or len(self) < MOST_UNWRITTEN:
            self._refusals[repository] = refusal
        else:
            self.forgotten_at = max(now, self.forgotten_at or 0.0)

    def get(self, repository: Repository) -> Refusal | None:
        """The one of a repository."""
        return self._refusals.get(repository)

    def drop(self, repository: Repository, written: Refusal | None = None) -> None:
        """Forget the one of a repository; if ``written`` is given, only if it is still that one."""
        if written is None or self._refusals.get(repository) == written:
            self._refusals.pop(repository, None)


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
        verdict = Verdict(public, now)
        if public:
            self._private.drop(repository)
        else:
            self._private.add(repository, verdict, now)
        return self._thread.note(
            *(index_names.record_verdict, repository, public, now),
            committed=partial(self._private.drop, repository, verdict),
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
        self._closed.add(repository, since, since)
        return self._thread.note(
            *(index_names.record_closed, repository, since),
            committed=partial(self._closed.drop, repository, since),
        )
