"""The interfaces between the layers. Every fake in the tests implements one of them.

Methods that return a Deferred never block; the others never do I/O. Times are Unix seconds,
sizes and offsets are bytes. Deferreds of upstream calls fail with an
:class:`~regcache.errors.UpstreamFailure` and nothing else but ``CancelledError``.
"""

from regcache.interfaces.catalogue import ICatalogueIndex
from regcache.interfaces.disk_places import IPlaces
from regcache.interfaces.index import (
    IIndex,
    IndexClosedError,
    IndexInUseError,
    IRemovalIndex,
)
from regcache.interfaces.pinning import IPins
from regcache.interfaces.plan_index import IPlanIndex
from regcache.interfaces.pools import IWorkPool
from regcache.interfaces.serving import ICacheEvents, IReader, IReaderSink, Wait
from regcache.interfaces.store import (
    PIECES_BEHIND,
    Found,
    IBlobStore,
    IContentFile,
    IHeldContents,
    IPartialFile,
    ISpace,
    ISpaceClaim,
    NoRoomError,
    Received,
    Verified,
)
from regcache.interfaces.upstream import (
    IBlobBody,
    IBodyConsumer,
    IBodyLoan,
    IRegistry,
    IUpstreamMeter,
)

__all__ = [
    "PIECES_BEHIND",
    "Found",
    "IBlobBody",
    "IBlobStore",
    "IBodyConsumer",
    "IBodyLoan",
    "ICacheEvents",
    "ICatalogueIndex",
    "IContentFile",
    "IHeldContents",
    "IIndex",
    "IPartialFile",
    "IPins",
    "IPlaces",
    "IPlanIndex",
    "IReader",
    "IReaderSink",
    "IRegistry",
    "IRemovalIndex",
    "ISpace",
    "ISpaceClaim",
    "IUpstreamMeter",
    "IWorkPool",
    "IndexClosedError",
    "IndexInUseError",
    "NoRoomError",
    "Received",
    "Verified",
    "Wait",
]
