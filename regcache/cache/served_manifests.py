"""Manifests as they are handed to requests."""

from regcache.cache.status import CacheStatus
from regcache.digests import Digest
from regcache.facts import Manifest
from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """A manifest, and its cache status."""

    manifest: Manifest
    status: CacheStatus


@dataclass(frozen=True, slots=True)
class ServedHead:
    """The answer to HEAD of a manifest whose body is not cached."""

    digest: Digest
    size: int
    media_type: str
    status: CacheStatus
