"""What a download needs besides its digest: where from, and with whose help."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from regcache.digests import Digest
from regcache.identity import Repository, UpstreamIdentity
from regcache.interfaces import IBlobBody, IBlobStore, ICacheEvents, IRegistry, ISpace

#: What is withheld from every client until size and digest were verified (bytes).
WITHHELD = 64 * 1024


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


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all downloads share.

    :ivar random: a number in [0, 1), for jitter.
    :ivar finish: a download nobody waits for goes on when at most this many bytes are
        missing; None: always.
    """

    store: IBlobStore
    space: ISpace
    clock: IReactorTime
    events: ICacheEvents
    random: Callable[[], float]
    finish: int | None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A blob that was verified and stored: what the index has to know.

    :ivar public: every byte of it was given without credentials.
    """

    digest: Digest
    size: int
    origin: BlobSource
    credentials: str
    public: bool


class DownloadOwner(Protocol):
    """The table of downloads."""

    async def fetched(self, fetched: Fetched) -> None:
        """Verified content is stored: tell the index."""

    def lied(self, digest: Digest, upstream: UpstreamIdentity, url_indexes: frozenset[int]) -> None:
        """One answer, whole, had wrong bytes."""

    def storage_failed(self, digest: Digest, error: BaseException | None) -> None:
        """The disk refused something."""

    def outgrew(self, digest: Digest) -> None:
        """Content that had not said its size turned out to be larger than may be stored."""

    def closed(self, digest: Digest) -> None:
        """The next download of this digest may begin."""
