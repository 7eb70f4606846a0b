"""Lists: tags, referrers, and what the cache holds."""

import json

from regcache.cache.policy import Upstream
from regcache.cache.visibility import Visibility
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
)
from regcache.facts import Descriptor, ManifestAnswer
from regcache.interfaces import IIndex, IWorkPool
from regcache.manifest_body import InvalidManifestError, parse_manifest
from regcache.media_types import OCI_INDEX

#: A tag to ask for where a repository's visibility has to be found out from a list.
_SOME_TAG = "latest"


class Listings:
    """Answers questions about several things at once."""

    def __init__(self, index: IIndex, visibility: Visibility, pool: IWorkPool) -> None:
        self._index = index
        self._visibility = visibility
        self._pool = pool

    async def tags(self, upstream: Upstream, repository: str) -> list[str]:
        """The upstream's tags and ours, sorted; ours alone while the upstream is ill.

        :raises UpstreamFailure: if there is no such repository, or nothing is cached.
        :raises RegistryError: if it may not be shown.
        """
        cached = await self._index.tags(upstream.name, repository)
        try:
            theirs = await upstream.registry.list_tags(repository)
        except (UpstreamNotFound, UpstreamDenied):
            raise
        except UpstreamFailure:
            if not cached:
                raise
            theirs = []
        await self._admit(upstream, repository, (cached or theirs or [_SOME_TAG])[0])
        return sorted({*cached, *theirs})

    async def referrers(
        self, upstream: Upstream, repository: str, digest: Digest, artifact_type: str
    ) -> bytes:
        """The index of what refers to a digest (OCI distribution, "Listing Referrers").

        :param artifact_type: only those of this type; "" for all.
        :raises UpstreamFailure: if the upstream fails and nothing is cached.
        :raises RegistryError: if it may not be shown.
        """
        await self._admit(upstream, repository, str(digest))
        try:
            answer = await self._ask_referrers(upstream, repository, digest)
        except (UpstreamNotFound, UpstreamDenied):
            raise
        except UpstreamFailure:
            cached = await self._index.referrers(upstream.name, repository, digest)
            if not cached:
                raise
            return _index_of([_as_json(each) for each in cached], artifact_type)
        if answer is None:
            return _index_of([], artifact_type)
        return await self._filtered(upstream, answer, artifact_type)

    async def repositories(
        self, upstream: str | None, after: tuple[str, str], limit: int
    ) -> list[tuple[str, str]]:
        """A page of (upstream, repository) that the cache holds something of."""
        return await self._index.repositories(upstream, after, limit)

    async def _admit(self, upstream: Upstream, repository: str, reference: str) -> None:
        await self._visibility.admit(
            upstream,
            repository,
            lambda anonymous: upstream.registry.head_manifest(repository, reference, anonymous),
        )

    async def _ask_referrers(
        self, upstream: Upstream, repository: str, digest: Digest
    ) -> ManifestAnswer | None:
        """The upstream's referrers, or those of the fallback tag; None if it has neither."""
        try:
            return await upstream.registry.get_referrers(repository, digest)
        except UpstreamNotFound:
            pass
        tag = f"{digest.algorithm}-{digest.hex}"[:128]
        try:
            return await upstream.registry.get_manifest(repository, tag)
        except UpstreamNotFound:
            return None

    async def _filtered(
        self, upstream: Upstream, answer: ManifestAnswer, artifact_type: str
    ) -> bytes:
        try:
            content: bytes = await self._pool.run(_filter, answer.content, artifact_type)
        except InvalidManifestError as error:
            raise UpstreamBadAnswer(upstream.name, f"no valid index: {error}") from error
        return content


def _filter(content: bytes, artifact_type: str) -> bytes:
    """The members of an index, checked, and only those of a type."""
    parsed = parse_manifest(content, OCI_INDEX)
    members = json.loads(content)["manifests"]
    unique = {member["digest"]: member for member in members}
    return _index_of([unique[str(each.digest)] for each in parsed.descriptors], artifact_type)


def _index_of(members: list[dict[str, object]], artifact_type: str) -> bytes:
    if artifact_type:
        members = [each for each in members if each.get("artifactType") == artifact_type]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members}
    return json.dumps(index).encode("utf-8")


def _as_json(descriptor: Descriptor) -> dict[str, object]:
    value: dict[str, object] = {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }
    if descriptor.artifact_type:
        value["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        value["annotations"] = dict(descriptor.annotations)
    return value
