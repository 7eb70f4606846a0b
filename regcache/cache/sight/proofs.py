"""What an upstream's answer to HEAD proves.

A 200 alone proves nothing: captive portals, login pages and some web servers answer 200 to
everything. That there is a manifest is proved by its media type. For content of which digest and
size are known, the answer must state one of them, and must contradict neither.
"""

from regcache.digests import Digest, is_digest
from regcache.errors import UpstreamBadAnswer
from regcache.facts import ContentHead
from regcache.interfaces import IRegistry
from regcache.media_types import MANIFEST_TYPES


def is_manifest(head: ContentHead, reference: str) -> bool:
    """Whether an answer is about a manifest, and not about another digest than was asked for.

    :param reference: the tag or digest that was asked for.
    """
    if head.media_type not in MANIFEST_TYPES:
        return False
    return not is_digest(reference) or head.digest in (None, Digest.parse(reference))


def agrees(head: ContentHead, digest: Digest, size: int | None) -> bool:
    """Whether an answer is about known content, by its digest or its size.

    :param size: in bytes, or None where it is not known.
    """
    if head.digest not in (None, digest) or (None not in (head.size, size) and head.size != size):
        return False
    return head.digest is not None or (head.size is not None and head.size == size)


def is_page(head: ContentHead, digest: Digest) -> bool:
    """Whether the answer for an unknown blob is obviously about something else, such as a page."""
    if head.digest is None:
        return head.media_type == "text/html"
    return head.digest != digest


async def head_manifest(
    registry: IRegistry, repository: str, reference: str, anonymous: bool = False
) -> ContentHead:
    """HEAD of a manifest. An answer is only returned if it proves that the manifest is there.

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
    """HEAD of a blob. An answer is only returned if it proves that the blob is there.

    :param size: in bytes, or None where it is not known.
    :raises UpstreamBadAnswer: if it proves nothing.
    :raises UpstreamFailure: as :meth:`IRegistry.head_blob`.
    """
    head: ContentHead = await registry.head_blob(repository, digest, anonymous)
    if not agrees(head, digest, size):
        raise UpstreamBadAnswer(registry.name, "its answer to HEAD is not that of this blob")
    return head
