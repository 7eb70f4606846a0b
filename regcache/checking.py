"""Builds what verifies stored content: a part of the composition root."""

from collections.abc import Callable
from dataclasses import KW_ONLY, field
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
    """The parts that verify stored content.

    :ivar pool: one thread, with the lowest priority.
    :ivar scrub: verifies all content again and again.
    :ivar verification: verifies all content at once, on demand.
    :ivar suspicions: has a blob verified that a client seems to have found damaged.
    :ivar damage: counts the damage that these find, or that a read finds.
    """

    pool: WorkPool
    scrub: Scrub
    verification: StoreVerification
    suspicions: Suspicions
    _: KW_ONLY
    damage: DamageRecord = field(default_factory=DamageRecord)

    async def verify(
        self,
        progress: Callable[[int, int, CheckResult], object],
        upstream: UpstreamIdentity | None,
    ) -> None:
        """Verify all content, or that of one upstream; see :class:`StoreVerification`."""
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
    """Build the parts.

    :param lost: called with content whose file is missing.
    :param every: within how many seconds the scrub verifies everything; None: it does not run.
    """
    pool = WorkPool(reactor, "idle", 1)
    check = StoreCheck(index, store, paths, pool=IdlePool(pool), clock=reactor, lost=lost)
    return Checking(
        pool,
        Scrub(check, index, reactor, every),
        StoreVerification(check, index, reactor),
        Suspicions(store, reactor),
    )
