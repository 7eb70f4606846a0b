"""What an upstream's answer to HEAD proves.

A 200 alone proves nothing: captive portals, login pages and web servers that know every path
answer 200 to whatever they are asked. A manifest is proved by the media type of one. Content
that is known is proved by its digest or its size; an answer that has neither, or contradicts
one of them, proves nothing.
"""

from regcache.digests import Digest, is_digest
from regcache.errors import UpstreamBadAnswer
from regcache.facts import ContentHead
from regcache.interfaces import IRegistry
from regcache.media_types import MANIFEST_TYPES


def is_manifest(head: ContentHead, reference: str) -> bool:
    """Whether an answer speaks of a manifest, and of no other digest than was asked for.

    :param reference: the tag or digest that was asked for.
    """
    if head.media_type not in MANIFEST_TYPES:
        return False
    return not is_digest(reference) or head.digest in (None, Digest.parse(reference))


def agrees(head: ContentHead, digest: Digest, size: int | None) -> bool:
    """Whether an answer names known content, by its digest or its size.

    :param size: bytes, or None where nobody knows them.
    """
    if head.digest not in (None, digest) or (None not in (head.size, size) and head.size != size):
        return False
    return head.digest is not None or (head.size is not None and head.size == size)


def is_page(head: ContentHead, digest: Digest) -> bool:
    """Whether an answer, asked for a blob of which nothing is known, speaks of something else."""
    if head.digest is None:
        return head.media_type == "text/html"
    return head.digest != digest


async def head_manifest(
    registry: IRegistry, repository: str, reference: str, anonymous: bool = False
) -> ContentHead:
    """HEAD of a manifest, whose answer proves that there is one.

    :raises UpstreamBadAnswer: if it proves nothing.
    :raises UpstreamFailure: as :meth:`IRegistry.head_manifest`.
    """
    head: ContentHead = await registry.head_manifest(repository, reference, anonymous)
    if not is_manifest(head, reference):
        raise UpstreamBadAnswer(registry.name, "its answer to HEAD is not that of a manifest")
    return head


async def head_blob(
    registry: IRegistry,
    repository: str,
    digest: Digest,
    *,
    size: int | None,
    anonymous: bool = False,
) -> ContentHead:
    """HEAD of a blob, whose answer proves that it is there.

    :param size: bytes as known, or None.
    :raises UpstreamBadAnswer: if it proves nothing.
    :raises UpstreamFailure: as :meth:`IRegistry.head_blob`.
    """
    head: ContentHead = await registry.head_blob(repository, digest, anonymous)
    if not agrees(head, digest, size):
        raise UpstreamBadAnswer(registry.name, "its answer to HEAD is not that of this blob")
    return head
