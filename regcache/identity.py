"""The identities of upstreams, repositories and contents: the keys under which facts are kept.

After a change of the configuration the name of an upstream may mean another registry, or the same
one with other accounts. What was fetched, proved and refused before must not be used for that. So
it is kept under these values, not under names.

They are compared and hashed many times for each request. Tuples are, without a call of Python.
"""

from typing import NamedTuple

from regcache.digests import Digest


class UpstreamIdentity(NamedTuple):
    """Which registry an upstream is, and with which accounts it is asked.

    Upstreams with equal identities share everything. The password is not part of it, so a new one
    changes nothing here; rights that were proved by credentials are kept with their fingerprint.

    :ivar name: the configured name, for people.
    :ivar urls: its URLs, in the order in which they are asked.
    :ivar users: fingerprints of the user names with which it is asked (:func:`user_of`).
    :ivar serve_private: whether clients are shown what only these users can read.
    """

    name: str
    urls: tuple[str, ...] = ()
    users: frozenset[str] = frozenset()
    serve_private: bool = False

    @property
    def viewers(self) -> frozenset[str]:
        """The users whose content clients see; none if they only see what is public."""
        return self.users if self.serve_private else frozenset()

    def continues(self, earlier: "UpstreamIdentity") -> bool:
        """Whether it may take over the facts of an earlier upstream.

        It may if both have a URL in common, since the URLs of one upstream are interchangeable; and
        if clients see now at least what they saw then.
        """
        same_registry = self.name == earlier.name and (
            self.urls == earlier.urls or not set(self.urls).isdisjoint(earlier.urls)
        )
        return same_registry and self.viewers >= earlier.viewers


class Repository(NamedTuple):
    """A repository of an upstream.

    :ivar name: as the upstream knows it, e.g. ``library/debian``.
    """

    upstream: UpstreamIdentity
    name: str

    def __str__(self) -> str:
        return f"{self.upstream.name}/{self.name}"


class RepositoryContent(NamedTuple):
    """What a repository has under a digest: a blob or a manifest."""

    repository: Repository
    digest: Digest

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"


def user_of(credentials: str) -> str:
    """The part of a fingerprint of credentials that names the user.

    A fingerprint is ``<user>.<user and password>``, both hashed. "" for anonymous, and for
    fingerprints from before they had this part.
    """
    user, dot, _ = credentials.rpartition(".")
    return user if dot else ""


def same_credentials(one: str, other: str) -> bool:
    """Whether two fingerprints are those of one user name and password."""
    return one.rpartition(".")[2] == other.rpartition(".")[2]
