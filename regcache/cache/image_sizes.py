"""``limits.image_size``: refuses the blobs of images that are too large.

======================================  ========
the images of the repository that       the blob
are known to list the blob
======================================  ========
none: its manifest is not known         given
at least one is small enough            given
all are larger                          refused
======================================  ========
"""

from regcache import causes
from regcache.bounded import BoundedTable
from regcache.cache.policy import ServedRepository
from regcache.digests import Digest
from regcache.errors import DeniedError
from regcache.identity import RepositoryContent
from regcache.interfaces import IIndex
from regcache.manifest_body import ManifestBody

#: Blobs of images that could not be recorded; those of some hundred images.
MOST_UNRECORDED = 16_384


class ImageSizes:
    """Compares the images that list a blob with the limit of its repository.

    The index knows them. Where it could not be told, on a full disk, memory does.
    """

    def __init__(self, index: IIndex) -> None:
        self._index = index
        self._unrecorded: BoundedTable[RepositoryContent, int] = BoundedTable(MOST_UNRECORDED)

    def note_unrecorded(self, repository: ServedRepository, body: ManifestBody) -> None:
        """Remember an image that the index does not know. Without a limit nothing is done."""
        if repository.policy.image_size is None or body.is_index:
            return
        size = sum(each.size for each in body.descriptors)
        for each in body.descriptors:
            content = repository.content(each.digest)
            known = self._unrecorded.get(content)
            self._unrecorded.put(content, size if known is None else min(known, size))

    async def check(self, repository: ServedRepository, digest: Digest) -> None:
        """Return if a blob may be given, by the size of its images.

        Without a limit the index is not asked.

        :raises DeniedError: if all images that list it are too large.
        """
        most = repository.upstream.policy.image_size
        if most is None:
            return
        content = repository.content(digest)
        sizes = (await self._index.image_size(content, most), self._unrecorded.get(content))
        size = min((each for each in sizes if each is not None), default=0)
        if size > most:
            raise DeniedError(
                f"the image is too large: limits.image_size allows {most} bytes, and it has {size}",
                detail={"image_size": size, "limit": most},
                cause=causes.forbidden("limits.image_size"),
            )
