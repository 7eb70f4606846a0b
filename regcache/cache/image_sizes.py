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

from regcache.cache.policy import ServedRepository
from regcache.digests import Digest
from regcache.errors import DeniedError
from regcache.interfaces import IIndex


async def check_image_size(index: IIndex, repository: ServedRepository, digest: Digest) -> None:
    """Return if a blob of a repository may be given, by the size of its images.

    Without a limit the index is not asked.

    :raises DeniedError: if all images that list it are too large.
    """
    most = repository.policy.image_size
    if most is None:
        return
    size = await index.image_size(repository.content(digest), most)
    if size is not None and size > most:
        raise DeniedError(
            f"the image is too large: limits.image_size allows {most} bytes, and it has {size}",
            detail={"image_size": size, "limit": most},
        )
