"""Manifests as requests get them."""

from dataclasses import dataclass

from regcache.cache.status import CacheStatus
from regcache.digests import Digest
from regcache.facts import Manifest


@dataclass(frozen=True, slots=True)
class Served:
    """A manifest, and how it came about."""

    manifest: Manifest
    status: CacheStatus


@dataclass(frozen=True, slots=True)
class ServedHead:
    """What HEAD says of a manifest whose body is not here."""

    digest: Digest
    size: int
    media_type: str
    status: CacheStatus
