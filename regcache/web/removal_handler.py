"""DELETE of manifests and blobs (OCI distribution specification, "Content Management")."""

from regcache.cache.removal import NotHereError, PinnedError, Removal
from regcache.digests import Digest, is_digest
from regcache.errors import BlobUnknownError, DeniedError, ManifestUnknownError
from regcache.identity import Repository
from regcache.light_dataclass import dataclass
from regcache.references import Target, TargetKind
from regcache.removals import RemovalTarget, blob_of, manifest_of, tag_of
from regcache.web.request import Request
from regcache.web.respond import TEXT_TYPE, send_body


@dataclass(frozen=True, slots=True)
class RemovalHandler:
    """Answers requests to delete something of a repository, if the account may do that."""

    removal: Removal

    async def answer(self, request: Request, repository: Repository, target: Target) -> None:
        """Remove it, and answer 202 when the files are gone.

        :raises ManifestUnknownError, BlobUnknownError: if it is not here.
        :raises DeniedError: if it is pinned.
        """
        removed = _removed_by(repository, target)
        try:
            await self.removal.remove(removed, request.facts.account or "")
        except NotHereError:
            unknown = BlobUnknownError if target.kind is TargetKind.BLOB else ManifestUnknownError
            raise unknown("the cache has no such thing in this repository") from None
        except PinnedError:
            raise DeniedError("it is pinned, or something pinned needs it") from None
        send_body(request, b"", TEXT_TYPE, status=202)


def _removed_by(repository: Repository, target: Target) -> RemovalTarget:
    """The manifest, tag or blob that a target names."""
    if target.kind is TargetKind.BLOB:
        return blob_of(repository, Digest.parse(target.reference))
    if is_digest(target.reference):
        return manifest_of(repository, Digest.parse(target.reference))
    return tag_of(repository, target.reference)
