"""Lists: tags, referrers, and what the cache holds."""

import json
from dataclasses import dataclass, replace

from regcache.cache.policy import ServedRepository, ServedUpstream
from regcache.cache.sight.visibility import Visibility
from regcache.cache.status import CacheStatus, asked, stale_failed
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
)
from regcache.facts import Descriptor, ManifestAnswer
from regcache.interfaces import IIndex
from regcache.manifest_body import InvalidManifestError, parse_manifest
from regcache.media_types import OCI_INDEX
from regcache.parsing import Parser

#: A tag to ask for where a repository's visibility has to be found out from a list.
_SOME_TAG = "latest"


#: Of a list that only the cache was asked for.
LOCAL = CacheStatus("regcache; hit", "hit")


@dataclass(frozen=True, slots=True)
class TagList:
    """Tags, sorted, and how they came about."""

    tags: list[str]
    status: CacheStatus


@dataclass(frozen=True, slots=True)
class ReferrerList:
    """An index of referrers as JSON, and how it came about."""

    content: bytes
    status: CacheStatus


class Listings:
    """Answers questions about several things at once."""

    def __init__(self, index: IIndex, visibility: Visibility, parser: Parser) -> None:
        self._index = index
        self._visibility = visibility
        self._parser = parser

    async def tags(self, repository: ServedRepository) -> TagList:
        """The upstream's tags and ours, sorted; ours alone while the upstream is ill.

        :raises UpstreamFailure: if there is no such repository, or nothing is cached.
        :raises RegistryError: if it may not be shown.
        """
        cached = await self._index.tags(repository.identity)
        status = asked()
        try:
            theirs = await repository.registry.list_tags(repository.name)
        except (UpstreamNotFound, UpstreamDenied):
            raise
        except UpstreamFailure as failure:
            if not cached:
                raise
            theirs, status = [], _stale(failure)
        if theirs:
            some_tag = _SOME_TAG if _SOME_TAG in theirs else theirs[-1]
            await self._visibility.admit_fetch_of_manifest(repository, some_tag)
        else:
            await self._visibility.admit_manifest(repository, (cached or [_SOME_TAG])[0])
        self._visibility.confirm(repository)
        return TagList(sorted({*cached, *theirs}), status)

    async def referrers(
        self, repository: ServedRepository, digest: Digest, artifact_type: str
    ) -> ReferrerList:
        """The index of what refers to a digest (OCI distribution, "Listing Referrers").

        :param artifact_type: only those of this type; "" for all.
        :raises UpstreamFailure: if the upstream fails and nothing is cached.
        :raises RegistryError: if it may not be shown.
        """
        try:
            await self._visibility.admit_manifest(repository, str(digest))
            found = await self._referrers(repository, digest, artifact_type)
        except UpstreamNotFound:
            # Nor is the digest there itself: nothing refers to it.
            return ReferrerList(_index_of([], artifact_type), asked())
        self._visibility.confirm(repository)
        return found

    async def _referrers(
        self, repository: ServedRepository, digest: Digest, artifact_type: str
    ) -> ReferrerList:
        """The same for a repository whose cached content may be shown.

        :raises UpstreamNotFound: if the upstream has neither referrers nor the digest.
        """
        try:
            await self._visibility.admit_fetch_of_manifest(repository, str(digest))
            answer = await self._ask_referrers(repository, digest)
        except (UpstreamNotFound, UpstreamDenied):
            raise
        except UpstreamFailure as failure:
            cached = await self._cached_referrers(repository, digest, failure)
            return ReferrerList(_index_of(cached, artifact_type), _stale(failure))
        return ReferrerList(
            await self._filtered(repository.upstream, answer, artifact_type), asked()
        )

    async def repositories(self, upstream: ServedUpstream, after: str, limit: int) -> list[str]:
        """The repositories of an upstream behind a name, of which the cache holds something.

        What may not be shown is not named either. The index gives them in pages whose size
        is its own affair.
        """
        found: list[str] = []
        while len(found) < limit:
            page = await self._index.repositories(upstream.identity, after, limit - len(found))
            if not page:
                break
            after = page[-1]
            for name in page:
                if await self._visibility.may_be_named(upstream.repository(name)):
                    found.append(name)
        return found

    async def _cached_referrers(
        self, repository: ServedRepository, digest: Digest, failure: UpstreamFailure
    ) -> list[dict[str, object]]:
        cached = await self._index.referrers(repository.content(digest))
        if not cached:
            raise failure
        return [_as_json(each) for each in cached]

    async def _ask_referrers(self, repository: ServedRepository, digest: Digest) -> ManifestAnswer:
        """The upstream's referrers, or those of the fallback tag ("Referrers Tag Schema").

        :raises UpstreamNotFound: if it has neither.
        """
        try:
            return await repository.registry.get_referrers(repository.name, digest)
        except UpstreamNotFound:
            pass
        tag = f"{digest.algorithm}-{digest.hex}"[:128]
        answer = await repository.registry.get_manifest(repository.name, tag)
        if answer.media_type != OCI_INDEX:
            raise UpstreamNotFound(
                repository.upstream.name, "the tag for referrers names something else"
            )
        return answer

    async def _filtered(
        self, upstream: ServedUpstream, answer: ManifestAnswer, artifact_type: str
    ) -> bytes:
        try:
            return await self._parser.run(
                len(answer.content), _filter, answer.content, artifact_type
            )
        except InvalidManifestError as error:
            raise UpstreamBadAnswer(upstream.name, f"no valid index: {error}") from error


def _stale(failure: UpstreamFailure) -> CacheStatus:
    """Of a list from the cache alone, whose age nobody knows."""
    return replace(stale_failed(0, failure), age=None)


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
