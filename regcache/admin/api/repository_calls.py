"""The calls that list repositories and their images, and how much of them is cached."""

from collections.abc import Callable, Sequence
from typing import Any

from regcache.admin.api.callers import Caller, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.cursors import Position
from regcache.admin.api.kinds import Choice, Flag, Named, Parameter, RepositoryName, Text
from regcache.admin.api.named_repositories import (
    Upstreams,
    find_repository,
    not_cached,
    seen_upstreams,
)
from regcache.admin.api.schemas import (
    COUNT,
    DIGEST,
    FLAG,
    TEXT,
    TIME,
    array,
    nullable,
    page,
    record,
    words,
)
from regcache.cache.gone import Gone, GoneHow, GoneLately
from regcache.cache.shown_images import ShownImages
from regcache.identity import Repository
from regcache.images import (
    ImagePlatform,
    ImageQuery,
    ImageRow,
    NamedTag,
    RepositoryQuery,
    RepositorySummary,
    SummariesMade,
)
from regcache.light_dataclass import dataclass
from regcache.times import time_or_null, time_text

#: Why an upstream refuses a repository.
CLOSED_REASON = "denied"
#: Points of a sparkline.
SERIES = 24

_PLATFORM_SUM = record(
    platform=nullable(TEXT),
    here_bytes=COUNT,
    all_bytes=nullable(COUNT),
    complete_tags=COUNT,
    partial_tags=COUNT,
)
_REPOSITORY = {
    "name": TEXT,
    "tags": COUNT,
    "platforms": array(_PLATFORM_SUM),
    "absent_platforms": COUNT,
    "stored_bytes": COUNT,
    "own_bytes": nullable(COUNT),
    "shared_bytes": nullable(COUNT),
    "pulls_30d": nullable(COUNT),
    "pulls_series": nullable(array(COUNT, minItems=SERIES, maxItems=SERIES)),
    "last_used": nullable(TIME),
    "pinned_tags": COUNT,
}
PLATFORM = record(
    platform=nullable(TEXT),
    variant=nullable(TEXT),
    digest=DIGEST,
    manifest_here=FLAG,
    config_here=nullable(FLAG),
    layers_here=COUNT,
    layers=nullable(COUNT),
    here_bytes=COUNT,
    all_bytes=nullable(COUNT),
    complete=FLAG,
    last_used=nullable(TIME),
)
GONE = nullable(record(time=TIME, how=words(*(each.value for each in GoneHow)), by=nullable(TEXT)))
NAME = Parameter("name", RepositoryName(), "`<upstream>/<repository>`.", required=True)

GET_REPOSITORIES = ApiCall(
    method="GET",
    path="repositories",
    role=Role.READ,
    text="The repositories of which something is cached. While they are counted for the first "
    "time, as in a large index of an older version, counting says how far that is: others follow.",
    parameters=(
        Parameter("q", Text(), "A part of the name; behind a colon, the beginning of a tag."),
        Parameter("upstream", Text(256, 1), "Only those of this upstream."),
        Parameter("part", Flag(), "Only those with a platform that is partly here."),
        Parameter("pinned", Flag(), "Only those with a pinned tag."),
        Parameter(
            "sort", Choice(("name", "size", "last_used", "pulls", "tags")), "", default="name"
        ),
        Parameter("order", Choice(("asc", "desc")), "Names ascend, all else descends by default."),
    ),
    answer=page(
        record(**_REPOSITORY),
        counting=nullable(record(counted=COUNT, repositories=COUNT)),
    ),
    paged=True,
)
GET_REPOSITORY = ApiCall(
    method="GET",
    path="repository",
    role=Role.READ,
    text="One repository.",
    parameters=(NAME,),
    answer=record(**_REPOSITORY, upstream_closed=nullable(record(since=TIME, reason=TEXT))),
)
GET_TAGS = ApiCall(
    method="GET",
    path="tags",
    role=Role.READ,
    text="The images of a repository: a row for each digest, with its tags; some have none.",
    parameters=(
        NAME,
        Parameter("q", Text(), "A part of a tag or of the digest."),
        Parameter("sort", Choice(("name", "checked", "last_used")), "", default="name"),
    ),
    answer=page(
        record(
            tags=array(TEXT),
            digest=DIGEST,
            media_type=nullable(TEXT),
            platforms=array(PLATFORM),
            frees_bytes=nullable(COUNT),
            checked=nullable(TIME),
            fresh_until=nullable(TIME),
            last_used=nullable(TIME),
            pinned=FLAG,
        )
    ),
    paged=True,
)
#: All calls of this module.
CALLS = (GET_REPOSITORIES, GET_REPOSITORY, GET_TAGS)

Freshness = Callable[[str, str], float]
"""Gives for how many seconds a tag is fresh, by the name of its upstream and the tag."""


@dataclass(frozen=True, slots=True)
class Catalogued:
    """The sources of the calls about images.

    :ivar upstreams: gives those of the configuration in force.
    :ivar fresh_for: gives how long tags are fresh.
    :ivar gone: remembers what left the cache lately.
    """

    images: ShownImages
    upstreams: Upstreams
    fresh_for: Freshness
    gone: GoneLately


def repository_routes(catalogued: Catalogued) -> list[CallRoute]:
    """The calls with their handlers."""
    calls = _Calls(catalogued)
    return [
        CallRoute(GET_REPOSITORIES, calls.repositories),
        CallRoute(GET_REPOSITORY, calls.repository),
        CallRoute(GET_TAGS, calls.tags),
    ]


class _Calls:
    """Handles the calls."""

    def __init__(self, catalogued: Catalogued) -> None:
        self._catalogued = catalogued

    async def repositories(self, asked: AskedCall) -> dict[str, Any]:
        """Answer with a page of repositories."""
        values, caller = asked.values, asked.caller
        position = position_of(asked)
        sort = values["sort"]
        query = RepositoryQuery(
            upstreams=seen_upstreams(caller, self._catalogued.upstreams, values["upstream"]),
            text=values["q"] or "",
            partial=bool(values["part"]),
            pinned=bool(values["pinned"]),
            sort=sort,
            descending=values["order"] == "desc" or (sort != "name" and values["order"] is None),
            limit=position.limit,
            after=position.after,
            visible=None if caller.sees_all else caller.may_pull,
        )
        found = await self._catalogued.images.repositories(query)
        items = [_repository(each, caller) for each in found.items]
        counting = None if found.missing is None else _counting(found.missing)
        return {**asked.page(items, found.after, found.total), "counting": counting}

    async def repository(self, asked: AskedCall) -> dict[str, Any]:
        """Answer with one repository."""
        named: Named = asked.values["name"]
        repository = find_repository(asked.caller, self._catalogued.upstreams, named)
        found = await self._catalogued.images.repository(repository)
        if found is None:
            raise not_cached(named, "", self._gone(repository, asked.caller))
        since = time_or_null(found.closed_since)
        closed = None if since is None else {"since": since, "reason": CLOSED_REASON}
        return {**_repository(found, asked.caller), "upstream_closed": closed}

    async def tags(self, asked: AskedCall) -> dict[str, Any]:
        """Answer with a page of images."""
        named: Named = asked.values["name"]
        repository = find_repository(asked.caller, self._catalogued.upstreams, named)
        position = position_of(asked)
        query = ImageQuery(
            text=asked.values["q"] or "",
            sort=asked.values["sort"],
            limit=position.limit,
            after=position.after,
        )
        found = await self._catalogued.images.images(repository, query)
        if found is None:
            raise not_cached(named, "", self._gone(repository, asked.caller))
        items = [self._image(each, named.upstream, asked.caller) for each in found.items]
        return asked.page(items, found.after, found.total)

    def _gone(self, repository: Repository, caller: Caller) -> dict[str, Any] | None:
        return told_gone(self._catalogued.gone.find(repository), caller)

    def _image(self, row: ImageRow, upstream: str, caller: Caller) -> dict[str, Any]:
        return {
            "tags": [each.tag for each in row.tags],
            "digest": str(row.digest),
            "media_type": row.media_type or None,
            "platforms": [told_platform(each) for each in row.platforms],
            "frees_bytes": row.frees if caller.sees_all else None,
            **told_freshness(row.tags, upstream, self._catalogued.fresh_for),
            "last_used": time_or_null(row.last_used),
            "pinned": row.pinned,
        }


def position_of(asked: AskedCall) -> Position:
    """The position at which the page of a paged call begins."""
    assert asked.position is not None, "this call has no pages"
    return asked.position


def _counting(missing: SummariesMade) -> dict[str, int]:
    return {"counted": missing.made, "repositories": missing.repositories}


def _repository(found: RepositorySummary, caller: Caller) -> dict[str, Any]:
    """Encode a repository. Only callers who see all repositories are shown what others share."""
    return {
        "name": f"{found.upstream}/{found.name}",
        "tags": found.tags,
        "platforms": [
            {
                "platform": each.platform or None,
                "here_bytes": each.here,
                "all_bytes": each.size,
                "complete_tags": each.complete,
                "partial_tags": each.partial,
            }
            for each in found.platforms
        ],
        "absent_platforms": found.absent,
        "stored_bytes": found.stored,
        "own_bytes": found.own if caller.sees_all else None,
        "shared_bytes": found.stored - found.own if caller.sees_all else None,
        "pulls_30d": sum(found.pulls),
        "pulls_series": list(found.pulls),
        "last_used": time_or_null(found.last_used),
        "pinned_tags": found.pinned,
    }


def told_gone(gone: Gone | None, caller: Caller) -> dict[str, Any] | None:
    """Encode when and how content left. Only callers who see the account are shown who did it."""
    if gone is None:
        return None
    by = gone.by if gone.by and caller.sees_who(gone.by) else None
    return {"time": time_text(gone.time), "how": gone.how.value, "by": by}


def told_platform(found: ImagePlatform) -> dict[str, Any]:
    """Encode a platform of an image."""
    variant = found.platform.split("/", 2)[2:]
    return {
        "platform": found.platform or None,
        "variant": variant[0] if variant else None,
        "digest": str(found.digest),
        "manifest_here": found.manifest_here,
        "config_here": found.config_here,
        "layers_here": found.layers_here,
        "layers": found.layers,
        "here_bytes": found.here,
        "all_bytes": found.size,
        "complete": found.complete,
        "last_used": time_or_null(found.last_used),
    }


def told_freshness(
    tags: Sequence[NamedTag], upstream: str, fresh_for: Freshness
) -> dict[str, str | None]:
    """Encode when an upstream last confirmed the tags of an image, and until when that holds."""
    checked = max((each.validated_at for each in tags), default=None)
    until = (each.validated_at + fresh_for(upstream, each.tag) for each in tags)
    return {
        "checked": time_or_null(checked),
        "fresh_until": time_or_null(max(until, default=None)),
    }
