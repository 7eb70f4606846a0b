"""What a download needs besides its digest: its source, shared services, and event handlers."""

from collections.abc import Callable, Hashable
from dataclasses import KW_ONLY, field
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from regcache.digests import Digest
from regcache.generations import Generations
from regcache.identity import Repository, UpstreamIdentity
from regcache.interfaces import IBlobBody, IBlobStore, ICacheEvents, IRegistry, ISpace
from regcache.light_dataclass import dataclass
from regcache.timings import FetchTimings, present_timings

#: The last bytes of each blob are withheld from clients until size and digest were verified: so
#: many (bytes). Content that is not longer may be fetched into memory.
WITHHELD = 64 * 1024
#: The HTTP status of a range that lies behind the end.
RANGE_NOT_SATISFIABLE = 416


class NotStoredError(Exception):
    """The blob cannot be stored now, so it has to be relayed.

    :ivar body: the body of the upstream's answer, not read yet, for the first request that relays;
        None if there is none.
    """

    def __init__(self, reason: str, body: IBlobBody | None = None) -> None:
        super().__init__(reason)
        self.body = body

    def take_body(self) -> IBlobBody | None:
        """The body, for the first caller; None for all others."""
        body, self.body = self.body, None
        return body

    def abandon_body(self) -> None:
        """Abort the body if no caller took it, so that its connection is closed."""
        body = self.take_body()
        if body is not None:
            body.abort()


@dataclass(frozen=True, slots=True)
class BlobSource:
    """The upstream and the repository through which a blob is fetched."""

    registry: IRegistry
    repository: Repository


@dataclass(frozen=True, slots=True, eq=False)
class DownloadTask:
    """What one download has to fetch.

    :ivar expected_size: the size by a manifest (bytes), or None: a hint, never a fact.
    :ivar fresh: whether no partial file of it is known to be there.
    :ivar skip: the indexes of the upstream's URLs that must not be asked.
    :ivar began: when it was asked for (Unix seconds).
    :ivar generation: how many removals there were when it was asked for.
    :ivar timings: of the request that began it.
    :ivar upstream: the upstream that gives the bytes.
    """

    digest: Digest
    source: BlobSource
    _: KW_ONLY
    expected_size: int | None
    fresh: bool
    skip: frozenset[int]
    generation: int
    began: float = 0.0
    timings: FetchTimings = field(default_factory=present_timings)
    upstream: UpstreamIdentity = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "upstream", self.source.repository.upstream)


@dataclass(frozen=True, slots=True)
class DownloadContext:
    """What all downloads share.

    :ivar random: gives a number in [0, 1), for jitter.
    :ivar finish: a download without readers goes on if at most this many bytes are missing; None:
        always.
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
    """The facts for the index about a blob that was verified and stored.

    :ivar public: whether every byte of it was given without credentials.
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
    """The handler of a download's events."""

    async def fetched(self, fetched: Fetched) -> None:
        """Verified content is stored: tell the index."""

    def wrong_bytes(
        self, digest: Digest, upstream: UpstreamIdentity, url_index: int, *, page: bool
    ) -> None:
        """One answer, whole, failed its digest; ``page``: it is plainly a page for people."""

    def believed_size(self, digest: Digest, mentioned: int | None) -> int | None:
        """What a manifest says of a size, unless that turned out to be wrong."""

    def size_is_wrong(self, digest: Digest) -> None:
        """What a manifest says of the size contradicts what the upstream sends."""

    def storage_failed(self, digest: Digest, error: BaseException | None) -> str:
        """The disk refused something, or nothing makes room; why it is not stored."""

    def outgrew(self, digest: Digest) -> None:
        """Content whose size was not stated turned out to be larger than may be stored."""

    def released(self, task: DownloadTask) -> None:
        """The next download of this digest may begin."""

    def over(self, task: DownloadTask) -> None:
        """The download is over."""
