"""What removals ask of the index."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from regcache.digests import Digest
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.removals import RemovalEffect, RemovalTarget


class IRemovalIndex(Interface):
    """What is known of who has what, and what nobody has any more."""

    def look(target: RemovalTarget) -> "Deferred[RemovalEffect]":
        """What a removal would come to. Nothing is changed."""

    def remove(target: RemovalTarget, generation: int) -> "Deferred[RemovalEffect]":
        """Remove it, unless it is pinned or not here: one transaction.

        ``generation`` is the number of the removal: what began before it is not recorded any
        more. What leaves the disk is marked until :meth:`have_left`.
        """

    def holds(content: RepositoryContent) -> "Deferred[bool]":
        """Whether a repository has content: by a link, a tag, or what lists it."""

    def left_in(
        repository: Repository, after: RemovalTarget | None
    ) -> "Deferred[RemovalTarget | None]":
        """What is to be removed next of a whole repository, behind what was or could not be."""

    def clear(repository: Repository) -> "Deferred[None]":
        """Forget a repository of which nothing is here."""

    def repositories(upstream: UpstreamIdentity, after: str, limit: int) -> "Deferred[list[str]]":
        """A sorted page of the names of all repositories of an upstream, behind ``after``."""

    def leaving() -> "Deferred[list[Digest]]":
        """What was removed, and whose files may still be there; a bounded number."""

    def still_leaving(digests: Sequence[Digest]) -> "Deferred[list[Digest]]":
        """Which of them have not come again meanwhile."""

    def have_left(digests: Sequence[Digest]) -> "Deferred[None]":
        """Their files are gone."""

    def last_generation() -> "Deferred[int]":
        """The number of the last removal that anything is known of; 0 for none."""
