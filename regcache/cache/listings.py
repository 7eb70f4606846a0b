"""Lists: of tags, of referrers, and of the repositories that are cached.

An upstream is asked for a list once for all requests that wait for it. The list is kept for
``tag_ttl``, at most a minute. If all these requests end, the question goes on, since its answer
is kept; of lists of one kind at most :data:`MOST_LEFT` go on like that.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from heapq import merge
from itertools import groupby, islice
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

from regcache.bounded import BoundedTable
from regcache.cache.policy import ServedRepository, ServedUpstream
from regcache.cache.sight.visibility import Visibility
from regcache.cache.status import CacheStatus, asked, hit, joined, stale_failed
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
)
from regcache.facts import Descriptor, ManifestAnswer
from regcache.identity import Repository
from regcache.interfaces import IIndex
from regcache.light_dataclass import dataclass
from regcache.manifest_body import InvalidManifestError, parse_manifest
from regcache.media_types import OCI_INDEX
from regcache.parsing import Parser
from regcache.single_flight import Flights

T = TypeVar("T")

#: Questions of each kind that go on although no request waits for them any more.
MOST_LEFT = 32
#: Memory for lists of tags, and of referrers (bytes). The longest of either kind fits.
TAG_MEMORY, REFERRER_MEMORY = 24 * 1024 * 1024, 8 * 1024 * 1024
#: What a list costs in memory beside its content, and a tag beside its text (bytes).
OVERHEAD, TAG_OVERHEAD = 512, 64
#: A tag to ask for, to find out from a list of tags whether a repository is public.
_SOME_TAG = "latest"
#: Cached tags that are looked at for one which tells that (there may be any number).
_SOME_TAGS = 100

#: The status of a list for which only the cache was asked.
LOCAL = CacheStatus("regcache; hit", "hit")


@dataclass(frozen=True, slots=True)
class TagPage:
    """A page of the sorted tags of a repository, and their status.

    :ivar more: whether further tags follow.
    """

    tags: tuple[str, ...]
    more: bool
    status: CacheStatus


@dataclass(frozen=True, slots=True)
class ReferrerList:
    """An index of referrers as JSON, and its status."""

    content: bytes
    status: CacheStatus


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A list from an upstream, and when it was asked for (Unix seconds)."""

    value: T
    asked_at: float


class KeptLists(Generic[T]):
    """Lists of one kind: one question for all requests that wait, whose answer is kept.

    :param limit: how many bytes may be kept.
    :param weigh: how many bytes one list takes.
    """

    def __init__(self, clock: IReactorTime, limit: int, weigh: Callable[[T], int]) -> None:
        self._clock = clock
        self._weigh = weigh
        self._lists: BoundedTable[Hashable, Kept[T]] = BoundedTable(limit, clock)
        self._flights: Flights[Kept[T]] = Flights(clock, MOST_LEFT)

    @property
    def weight(self) -> int:
        """How many bytes are kept."""
        return self._lists.weight

    def __len__(self) -> int:
        """How many lists are being asked for."""
        return len(self._flights)

    async def find(
        self, key: Hashable, ask: Callable[[], Awaitable[T]], seconds: float
    ) -> tuple[Kept[T], CacheStatus]:
        """A list, and its status. Fails as ``ask`` does; a failure is not kept.

        :param seconds: for how long the list is kept, if it is asked for now.
        """
        kept = self._lists.get(key)
        if kept is not None:
            return kept, hit(self._clock.seconds() - kept.asked_at)

        async def begin() -> Kept[T]:
            asked_at = self._clock.seconds()
            found = Kept(await ask(), asked_at)
            left = asked_at + seconds - self._clock.seconds()
            if left > 0:
                weight = OVERHEAD + self._weigh(found.value)
                self._lists.put(key, found, weight, seconds=left)
            return found

        status = joined() if self._flights.under_way(key) else asked()
        return await self._flights.join(key, begin), status


class Listings:
    """Answers requests for lists."""

    def __init__(
        self, index: IIndex, visibility: Visibility, parser: Parser, clock: IReactorTime
    ) -> None:
        self._index = index
        self._visibility = visibility
        self._parser = parser
        self._clock = clock
        self.kept_tags: KeptLists[Sequence[str]] = KeptLists(clock, TAG_MEMORY, _weigh_tags)
        self.kept_referrers: KeptLists[bytes] = KeptLists(clock, REFERRER_MEMORY, len)

    async def tags(self, repository: ServedRepository, after: str, limit: int) -> TagPage:
        """The upstream's tags and the cached ones, sorted. If the upstream fails, the cached ones.

        :param after: give those that sort after this one.
        :param limit: give at most so many.
        :raises UpstreamFailure: if there is no such repository, or nothing is cached.
        :raises RegistryError: if it may not be shown.
        """
        first, ours = await self._cached_tags(repository.identity, after, limit + 1)
        theirs: Sequence[str]
        try:
            theirs, status = await self._listed(repository)
        except (UpstreamNotFound, UpstreamDenied):
            raise
        except UpstreamFailure as failure:
            if not first:
                raise
            theirs, status = [], _stale(failure)
        if theirs:
            await self._visibility.admit_fetch_of_manifest(repository, _telling(theirs, first))
        else:
            await self._visibility.admit_manifest(repository, (first or [_SOME_TAG])[0])
        self._visibility.confirm(repository)
        page = list(islice(_merged((ours, theirs), after), limit + 1))
        return TagPage(tuple(page[:limit]), len(page) > limit, status)

    async def _cached_tags(
        self, repository: Repository, after: str, limit: int
    ) -> tuple[list[str], list[str]]:
        """The first tags that are cached, some of them, and those of a page."""
        first = await self._index.tags(repository, "", max(limit, _SOME_TAGS))
        return first, (await self._index.tags(repository, after, limit) if after else first)

    async def _listed(self, repository: ServedRepository) -> tuple[Sequence[str], CacheStatus]:
        """The upstream's list, sorted."""

        async def ask() -> Sequence[str]:
            tags = await repository.registry.list_tags(repository.name)
            return await self._parser.run(_weigh_tags(tags), sorted, tags)

        key = (repository.identity, repository.registry.all_credentials)
        kept, status = await self.kept_tags.find(key, ask, repository.policy.list_ttl)
        return kept.value, status

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
        except UpstreamNotFound as failure:
            # The digest itself is not there, so nothing refers to it.
            return ReferrerList(
                referrers_index([], artifact_type), asked() if failure.asked else LOCAL
            )
        self._visibility.confirm(repository)
        return found

    async def _referrers(
        self, repository: ServedRepository, digest: Digest, artifact_type: str
    ) -> ReferrerList:
        """The same for a repository whose cached content may be shown.

        :raises UpstreamNotFound: if the upstream has neither referrers nor the digest.
        """
        try:
            await self._admit_asking(repository, digest)
            kept, status = await self._referrers_of(repository, digest)
        except (UpstreamNotFound, UpstreamDenied):
            raise
        except UpstreamFailure as failure:
            cached = await self._cached_referrers(repository, digest, failure)
            return ReferrerList(referrers_index(cached, artifact_type), _stale(failure))
        return ReferrerList(await self._filtered(repository, digest, kept, artifact_type), status)

    async def _admit_asking(self, repository: ServedRepository, digest: Digest) -> None:
        """Return if the upstream may be asked, with our credentials, what refers to a digest.

        :raises UpstreamNotFound: if it is not there, and nothing else is known to be.
        """
        try:
            await self._visibility.admit_fetch_of_manifest(repository, str(digest))
        except UpstreamNotFound:
            # The digest may be pushed later than what refers to it (OCI distribution, "Pushing
            # Manifests with Subject"). Any other manifest shows, too, whether this is public.
            known = await self._index.known_manifests(repository.identity)
            if not known:
                raise
            await self._visibility.admit_fetch_of_manifest(repository, str(known[0]))

    async def repositories(self, upstream: ServedUpstream, after: str, limit: int) -> list[str]:
        """At most ``limit`` repositories of which something is cached, sorted after ``after``.

        Repositories that may not be shown are not named either. The index decides how many it
        gives at a time.
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
        return [as_referrer(each) for each in cached]

    async def _referrers_of(
        self, repository: ServedRepository, digest: Digest
    ) -> tuple[Kept[bytes], CacheStatus]:
        """The upstream's list of what refers to a digest, checked.

        :raises UpstreamNotFound: if it has neither such a list nor the fallback tag.
        """

        async def ask() -> bytes:
            answer = await self._ask_referrers(repository, digest)
            content = answer.content
            try:
                return await self._parser.run(len(content), _filter, content, "")
            except InvalidManifestError as error:
                name = repository.upstream.name
                raise UpstreamBadAnswer(name, f"no valid index: {error}") from error

        key = (repository.content(digest), repository.registry.all_credentials, "")
        return await self.kept_referrers.find(key, ask, repository.policy.list_ttl)

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
        self,
        repository: ServedRepository,
        digest: Digest,
        whole: Kept[bytes],
        artifact_type: str,
    ) -> bytes:
        """The referrers of one type, kept as long as the list from which they are taken."""
        content = whole.value
        if not artifact_type:
            return content

        async def select() -> bytes:
            return await self._parser.run(len(content), _filter, content, artifact_type)

        key = (repository.content(digest), repository.registry.all_credentials, artifact_type)
        left = whole.asked_at + repository.policy.list_ttl - self._clock.seconds()
        found, _ = await self.kept_referrers.find(key, select, left)
        return found.value


def _telling(theirs: Sequence[str], ours: Sequence[str]) -> str:
    """A tag whose manifest shows whether a repository is public; preferably a cached one."""
    known = next((tag for tag in ours if _has(theirs, tag)), "")
    return known or (_SOME_TAG if _has(theirs, _SOME_TAG) else theirs[-1])


def _stale(failure: UpstreamFailure) -> CacheStatus:
    """The status of a list from the cache alone, whose age is not known."""
    return replace(stale_failed(0, failure), age=None)


def _merged(lists: Sequence[Sequence[str]], after: str) -> Iterator[str]:
    """Merge sorted lists from after a text on, without duplicates, reading only what is taken."""
    behind = (map(each.__getitem__, range(bisect_right(each, after), len(each))) for each in lists)
    return (text for text, _ in groupby(merge(*behind)))


def _has(tags: Sequence[str], tag: str) -> bool:
    """Whether a sorted list contains a tag."""
    place = bisect_left(tags, tag)
    return place < len(tags) and tags[place] == tag


def _weigh_tags(tags: Sequence[str]) -> int:
    return sum(map(len, tags)) + TAG_OVERHEAD * len(tags)


def _filter(content: bytes, artifact_type: str) -> bytes:
    """Check an index and keep the members of one type; "" for all."""
    parsed = parse_manifest(content, OCI_INDEX)
    members = json.loads(content)["manifests"]
    unique = {member["digest"]: member for member in members}
    return referrers_index([unique[str(each.digest)] for each in parsed.descriptors], artifact_type)


def referrers_index(members: list[dict[str, object]], artifact_type: str) -> bytes:
    """The index that answers a question for referrers; ``artifact_type`` "" for all types."""
    if artifact_type:
        members = [each for each in members if each.get("artifactType") == artifact_type]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members}
    return json.dumps(index).encode("utf-8")


def as_referrer(descriptor: Descriptor) -> dict[str, object]:
    """A member of such an index."""
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
