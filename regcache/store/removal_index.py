"""The part of the index that removals use."""

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred
from zope.interface import implementer

from regcache.digests import Digest
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.interfaces import IRemovalIndex
from regcache.removals import RemovalEffect, RemovalTarget
from regcache.store import index_holdings, index_removal
from regcache.store.index_thread import LITTLE, IndexThread
from regcache.store.repository_pins import PinnedTag


@implementer(IRemovalIndex)
class RemovalIndex:
    """Removals in the index's thread. See :class:`~regcache.interfaces.IRemovalIndex`."""

    def __init__(
        self,
        thread: IndexThread,
        by_pattern: Callable[[Repository, str], bool],
        removed: Callable[[], object],
    ) -> None:
        """
        :param by_pattern: whether a pattern pins a tag.
        :param removed: called when something was removed.
        """
        self._thread = thread
        self._by_pattern = by_pattern
        self._removed = removed

    def look(self, target: RemovalTarget) -> "Deferred[RemovalEffect]":
        """What a removal would do."""
        return self._thread.read(index_removal.look, target, self._pinned_tag(target))

    def _pinned_tag(self, target: RemovalTarget) -> PinnedTag:
        return partial(self._by_pattern, target.repository)

    def remove(self, target: RemovalTarget, generation: int) -> "Deferred[RemovalEffect]":
        """Remove it, unless it is pinned or not here."""
        pinned = self._pinned_tag(target)
        removing = self._thread.write_for(index_removal.remove, target, generation, pinned)
        return removing.addCallback(self._have_removed)

    def look_further(self) -> "Deferred[RemovalEffect]":
        """What the next step of a removal that was begun would do."""
        return self._thread.read(index_removal.look_further)

    def remove_further(self, generation: int) -> "Deferred[RemovalEffect]":
        """Do it."""
        removing = self._thread.write_for(index_removal.remove_further, generation)
        return removing.addCallback(self._have_removed)

    def _have_removed(self, effect: RemovalEffect) -> RemovalEffect:
        self._removed()
        return effect

    def holds(self, content: RepositoryContent) -> "Deferred[bool]":
        """Whether a repository has content."""
        return self._thread.read(index_holdings.holds, content)

    def knows(self, repository: Repository) -> "Deferred[bool]":
        """Whether anything is known of a repository."""
        return self._thread.read(index_holdings.knows, repository)

    def left_in(
        self, repository: Repository, after: RemovalTarget | None
    ) -> "Deferred[RemovalTarget | None]":
        """What to remove next of a whole repository."""
        return self._thread.read(index_holdings.left_in, repository, after)

    def clear(self, repository: Repository) -> "Deferred[None]":
        """Forget a repository of which nothing is cached."""
        return self._thread.write(index_holdings.clear, repository)

    def repositories(
        self, upstream: UpstreamIdentity, after: str, limit: int
    ) -> "Deferred[list[str]]":
        """A sorted page of the names of all repositories of an upstream."""
        return self._thread.read(index_holdings.names_of, upstream, after, limit)

    def leaving(self) -> "Deferred[list[Digest]]":
        """The removed contents whose files may still be there."""
        return self._thread.read(index_removal.leaving)

    def still_leaving(self, digests: Sequence[Digest]) -> "Deferred[list[Digest]]":
        """Which of them were not stored again meanwhile."""
        return self._thread.read(index_removal.still_leaving, digests)

    def have_left(self, digests: Sequence[Digest]) -> "Deferred[None]":
        """Note that their files are gone."""
        return self._thread.note(index_removal.have_left, digests, size=LITTLE * len(digests))

    def last_generation(self) -> "Deferred[int]":
        """The number of the last removal in the index."""
        return self._thread.read(index_removal.last_generation)
