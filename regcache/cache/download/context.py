"""What a download needs besides its digest: where from, with whose help, and who is told."""

from collections.abc import Callable, Hashable
from dataclasses import KW_ONLY, dataclass
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from regcache.digests import Digest
from regcache.generations import Generations
from regcache.identity import Repository, UpstreamIdentity
from regcache.interfaces import IBlobBody, IBlobStore, ICacheEvents, IRegistry, ISpace

#: What is withheld from every client until size and digest were verified (bytes). Content that
#: is not longer may be fetched into memory.
WITHHELD = 64 * 1024
#: The HTTP status of a range that lies behind the end.
RANGE_NOT_SATISFIABLE = 416


class NotStoredError(Exception):
    """The blob cannot be stored now, so it has to be relayed.

    :ivar body: the upstream's answer whose body has not been touched, for the first who
        relays; None where it is gone.
    """

    def __init__(self, reason: str, body: IBlobBody | None = None) -> None:
        super().__init__(reason)
        self.body = body

    def take_body(self) -> IBlobBody | None:
        """The body, for the first who asks."""
        body, self.body = self.body, None
        return body

    def abandon_body(self) -> None:
        """Nobody took the body: do not leave its connection waiting."""
        body = self.take_body()
        if body is not None:
            body.abort()


@dataclass(frozen=True, slots=True)
class BlobSource:
    """Through which upstream and repository a blob is fetched."""

    registry: IRegistry
    repository: Repository


@dataclass(frozen=True, slots=True, eq=False)
class DownloadTask:
    """What one download is to fetch.

    :ivar expected_size: what a manifest says the size is (bytes), or None.
    :ivar fresh: nothing of it is on the disk, as far as is known.
    :ivar skip: indexes of the upstream's URLs that are not to be asked.
    :ivar generation: how many removals there were when it was asked for.
    """

    digest: Digest
    source: BlobSource
    _: KW_ONLY
    expected_size: int | None
    fresh: bool
    skip: frozenset[int]
    generation: int

    @property
    def upstream(self) -> UpstreamIdentity:
        """Whose bytes these are."""
        return self.source.repository.upstream


@dataclass(frozen=True, slots=True)
class DownloadContext:
    """What all downloads share.

    :ivar random: a number in [0, 1), for jitter.
    :ivar finish: a download nobody waits for goes on when at most this many bytes are
        missing; None: always.
    :ivar removed: what was removed by an operator is not kept, where its download began before.
    """

    store: IBlobStore
    space: ISpace
    clock: IReactorTime
    _: KW_ONLY
    events: ICacheEvents
    random: Callable[[], float]
    finish: int | None
    removed: Generations[Hashable]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A blob that was verified and stored: what the index has to know.

    :ivar public: every byte of it was given without credentials.
    :ivar began: how many removals there were when it was asked for.
    """

    digest: Digest
    size: int
    _: KW_ONLY
    source: BlobSource
    credentials: str
    public: bool
    began: int


class DownloadEvents(Protocol):
    """Who is told how a download goes."""

    async def fetched(self, fetched: Fetched) -> None:
        """Verified content is stored: tell the index."""

    def wrong_bytes(
        self, digest: Digest, upstream: UpstreamIdentity, url_index: int, *, page: bool
    ) -> None:
        """One answer, whole, failed its digest; ``page``: it is plainly a page for people."""

    def storage_failed(self, digest: Digest, error: BaseException | None) -> None:
        """The disk refused something."""

    def outgrew(self, digest: Digest) -> None:
        """Content that had not said its size turned out to be larger than may be stored."""

    def released(self, task: DownloadTask) -> None:
        """The next download of this digest may begin."""

    def over(self, task: DownloadTask) -> None:
        """The download is over."""
