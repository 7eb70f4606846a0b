"""What the operator wants of one upstream: plain values, read from the configuration."""

from collections.abc import Sequence

from regcache.digests import Digest
from regcache.globs import glob_matches
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.interfaces import IRegistry
from regcache.light_dataclass import dataclass

#: How long a list of tags or referrers is kept at most (seconds).
LONGEST_LIST = 60.0


#: What a right is about, and the fingerprints of the configured credentials.
RightKey = tuple[RepositoryContent, frozenset[str]]

NO_CREDENTIALS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TagTtl:
    """How long tags of a pattern are fresh (seconds)."""

    match: str
    ttl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Times in seconds.

    :ivar stale_if_error: how old a copy may be to be served when the upstream fails; None:
        of any age.
    :ivar keep_missing: whether a cached tag is still served when the upstream has it no more.
    :ivar image_size: how large an image may be whose blobs are given (bytes); None: any size.
    :ivar tells_apart: a client may pull some repositories, and others not. Then public bytes need
        a proof, too, in a repository that did not bring them: a digest alone must not give a client
        what is in a repository that it may not pull.
    """

    tag_ttls: Sequence[TagTtl] = (TagTtl("*", 300.0),)
    negative_ttl: float = 10.0
    stale_if_error: float | None = None
    keep_missing: bool = False
    deadline: float = 2.0
    image_size: int | None = None
    tells_apart: bool = False

    def ttl(self, tag: str) -> float:
        """How long a tag is fresh, by the first pattern that matches; 0 if none does."""
        for rule in self.tag_ttls:  # asked for each request: a generator would cost more
            if glob_matches(rule.match, tag):
                return rule.ttl
        return 0.0

    @property
    def list_ttl(self) -> float:
        """How long a list is kept: as long as the tags that are fresh for the shortest time."""
        return min(LONGEST_LIST, min((rule.ttl for rule in self.tag_ttls), default=0.0))

    def may_be_stale(self, age: float) -> bool:
        """Whether a copy of this age may be served when the upstream fails."""
        return self.stale_if_error is None or age <= self.stale_if_error


@dataclass(frozen=True, slots=True)
class ServedUpstream:
    """One upstream: the registry, and what the operator wants of it."""

    registry: IRegistry
    policy: Policy

    @property
    def identity(self) -> UpstreamIdentity:
        """Which registry it is, and with which credentials it is asked."""
        return self.registry.identity

    @property
    def name(self) -> str:
        """The configured name."""
        return self.registry.name

    def repository(self, name: str) -> "ServedRepository":
        """One of its repositories."""
        return ServedRepository(self, Repository(self.identity, name))


@dataclass(frozen=True, slots=True)
class ServedRepository:
    """A repository, and the upstream to ask for it.

    :ivar identity: the key under which everything about it is kept.
    """

    upstream: ServedUpstream
    identity: Repository

    def content(self, digest: Digest) -> RepositoryContent:
        """The key of one of its contents."""
        return RepositoryContent(self.identity, digest)

    def right(self, digest: Digest) -> RightKey:
        """The key of the right to one of its contents, as it is with the credentials of now."""
        has_users = bool(self.identity.upstream.users)
        credentials = self.upstream.registry.all_credentials if has_users else NO_CREDENTIALS
        return (RepositoryContent(self.identity, digest), credentials)

    @property
    def registry(self) -> IRegistry:
        """The registry to ask."""
        return self.upstream.registry

    @property
    def policy(self) -> Policy:
        """What the operator wants."""
        return self.upstream.policy

    @property
    def name(self) -> str:
        """Its name, as the upstream knows it."""
        return self.identity.name
