"""What keeps images from leaving the disk: plain values."""

from dataclasses import KW_ONLY

from regcache.digests import Digest
from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Pin:
    """A tag, or a manifest by its digest, that somebody pinned by hand.

    :ivar by: the account; "" without one.
    :ivar since: Unix seconds.
    :ivar reference: a tag or a digest.
    :ivar digest: of the manifest that it names now, where that is known.
    """

    by: str
    since: float
    _: KW_ONLY
    upstream: str = ""
    repository: str = ""
    reference: str = ""
    digest: Digest | None = None


def check_pattern(pattern: str) -> str:
    """A pattern of ``<upstream>/<repository>:<tag>``, which may have ``*`` and ``?``.

    :raises ValueError: if it names no tag.
    """
    name, colon, tag = pattern.rpartition(":")
    if not (colon and name and tag) or "/" in tag or "/" not in name:
        raise ValueError("write <upstream>/<repository>:<tag>, such as docker.io/library/alpine:*")
    return pattern
