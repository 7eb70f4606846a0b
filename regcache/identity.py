"""Who an upstream is, and whose a repository and its content are.

A name is what people call an upstream. After a change of the configuration the same name may
mean another registry, or the same one seen by somebody else. What was fetched, proved and
refused before is then somebody else's, so it is kept under these values, not under names.
"""

from dataclasses import dataclass

from regcache.digests import Digest


@dataclass(frozen=True, slots=True)
class UpstreamIdentity:
    """Which registry an upstream is, and who asks it.

    Equal identities share everything. A password is no part of it, so that a new one changes
    nothing here; rights that credentials proved are kept with the credentials themselves.

    :ivar name: the configured name, for people.
    :ivar urls: its URLs, in the order in which they are asked.
    :ivar users: fingerprints of the user names that it is asked with (:func:`user_of`).
    :ivar serve_private: what only these users can read is shown to clients.
    """

    name: str
    urls: tuple[str, ...] = ()
    users: frozenset[str] = frozenset()
    serve_private: bool = False

    def __hash__(self) -> int:
        # There are few of them, and a text knows its hash: this is asked many times a request.
        return hash(self.name)

    @property
    def viewers(self) -> frozenset[str]:
        """The users by whose eyes clients see it; none where they see what is public."""
        return self.users if self.serve_private else frozenset()

    def continues(self, earlier: "UpstreamIdentity") -> bool:
        """Whether it may go on with what an earlier upstream has left behind.

        It is the same registry while it has a URL in common with it: the URLs of one upstream
        are interchangeable. And clients have to see now at least what they saw then.
        """
        same_registry = self.name == earlier.name and (
            self.urls == earlier.urls or not set(self.urls).isdisjoint(earlier.urls)
        )
        return same_registry and self.viewers >= earlier.viewers


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of an upstream.

    :ivar name: as the upstream knows it, e.g. ``library/debian``.
    """

    upstream: UpstreamIdentity
    name: str

    def __hash__(self) -> int:
        return hash((self.upstream.name, self.name))

    def __str__(self) -> str:
        return f"{self.upstream.name}/{self.name}"


@dataclass(frozen=True, slots=True)
class RepositoryContent:
    """What a repository has under a digest: a blob or a manifest."""

    repository: Repository
    digest: Digest

    def __hash__(self) -> int:
        return hash((self.repository.name, self.digest.hex))

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
