"""Puts together what finds out whether stored content is right: a part of the composition root."""

from collections.abc import Callable
from dataclasses import field
from typing import Any

from regcache.cache.suspicions import Suspicions
from regcache.damage import DamageRecord
from regcache.digests import Digest
from regcache.identity import UpstreamIdentity
from regcache.light_dataclass import dataclass
from regcache.store.blob_store import BlobStore
from regcache.store.checks_index import ChecksIndex
from regcache.store.idle_threads import IdlePool
from regcache.store.paths import StorePaths
from regcache.store.pool import WorkPool
from regcache.store.scrub import Scrub, StoreVerification
from regcache.store.store_check import CheckResult, StoreCheck


@dataclass(frozen=True, slots=True)
class Checking:
    """What finds out whether stored content is what it has to be.

    :ivar pool: one thread, which has the lowest priority.
    :ivar scrub: verifies all of it again and again.
    :ivar verification: verifies all of it at once, if somebody wants that.
    :ivar suspicions: has blobs verified that clients have found to be damaged.
    :ivar damage: what was found to be damaged, by whatever of these, or by reading it.
    """

    pool: WorkPool
    scrub: Scrub
    verification: StoreVerification
    suspicions: Suspicions
    damage: DamageRecord = field(default_factory=DamageRecord)

    async def verify(
        self,
        progress: Callable[[int, int, CheckResult], object],
        upstream: UpstreamIdentity | None,
    ) -> None:
        """Verify all that is stored, or what an upstream has; see :class:`StoreVerification`."""
        result = await self.verification.run(progress, upstream)
        if upstream is None and not result.damaged_count:
            self.damage.clear()


def build_checking(
    reactor: Any,
    store: BlobStore,
    index: ChecksIndex,
    paths: StorePaths,
    *,
    lost: Callable[[Digest], object],
    every: float | None,
) -> Checking:
    """Put it together.

    :param lost: called with content that has no file any more.
    :param every: in which time all of it is verified (seconds); None: never.
    """
    pool = WorkPool(reactor, "idle", 1)
    check = StoreCheck(index, store, paths, pool=IdlePool(pool), clock=reactor, lost=lost)
    return Checking(
        pool,
        Scrub(check, index, reactor, every),
        StoreVerification(check, index, reactor),
        Suspicions(store, reactor),
    )
