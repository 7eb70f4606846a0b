"""GET image, image/platform and tag/history: what is here of one image."""

from collections.abc import Callable
from typing import Any

from regcache.admin.api.callers import Caller, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.image_kinds import TagOrDigest
from regcache.admin.api.kinds import DigestText, Named, Parameter, Text
from regcache.admin.api.named_repositories import find_repository, not_cached, read_reference
from regcache.admin.api.repository_calls import (
    GONE,
    NAME,
    PLATFORM,
    Catalogued,
    told_freshness,
    told_gone,
    told_platform,
)
from regcache.admin.api.schemas import (
    COUNT,
    DIGEST,
    FLAG,
    TEXT,
    TIME,
    array,
    nullable,
    record,
    words,
)
from regcache.cache.gone import Gone
from regcache.cache.image_details import ImageSettings, Step
from regcache.cache.shown_images import ShownPlatform
from regcache.identity import RepositoryContent
from regcache.images import ImageFacts, ImagePin, ListedLayer
from regcache.times import time_or_null, time_text

KINDS = ("attestation", "signature", "sbom", "other")
_LONGEST_REFERENCE = 256

GET_IMAGE = ApiCall(
    method="GET",
    path="image",
    role=Role.READ,
    text="An image: its platforms, what of each is here, and what its removal would free.",
    parameters=(
        NAME,
        Parameter("reference", Text(_LONGEST_REFERENCE, 1), "A tag or a digest.", required=True),
    ),
    answer=record(
        name=TEXT,
        reference=TEXT,
        digest=DIGEST,
        media_type=nullable(TEXT),
        tags_same_digest=array(TEXT),
        pull=record(docker=TEXT, by_digest=TEXT),
        platforms=array(PLATFORM),
        attached=array(record(kind=words(*KINDS), count=COUNT, here=COUNT)),
        stored_bytes=COUNT,
        own_bytes=nullable(COUNT),
        shared_bytes=nullable(COUNT),
        shared_with=nullable(COUNT),
        first_fetched=nullable(TIME),
        fetched_by=nullable(TEXT),
        last_used=nullable(TIME),
        pulls_30d=nullable(COUNT),
        checked=nullable(TIME),
        fresh_until=nullable(TIME),
        pinned=nullable(record(by=nullable(TEXT), since=nullable(TIME))),
        gone=GONE,
    ),
)
_TEXTS = array(TEXT)
_LAYER = record(
    digest=DIGEST,
    media_type=nullable(TEXT),
    size_bytes=nullable(COUNT),
    here_bytes=COUNT,
    used_by=nullable(COUNT),
)
GET_PLATFORM = ApiCall(
    method="GET",
    path="image/platform",
    role=Role.READ,
    text="One platform of an image: its configuration, and the steps that made its layers.",
    parameters=(
        NAME,
        Parameter("digest", DigestText(), "Of the platform's manifest.", required=True),
    ),
    answer=record(
        config=nullable(
            record(
                created=nullable(TIME),
                author=nullable(TEXT),
                user=nullable(TEXT),
                workdir=nullable(TEXT),
                entrypoint=_TEXTS,
                cmd=_TEXTS,
                env=_TEXTS,
                ports=_TEXTS,
                volumes=_TEXTS,
            )
        ),
        labels=array(record(key=TEXT, value=TEXT)),
        steps=array(
            record(
                created_by=nullable(TEXT),
                created=nullable(TIME),
                empty=FLAG,
                layer=nullable(_LAYER),
            )
        ),
    ),
)
GET_TAG_HISTORY = ApiCall(
    method="GET",
    path="tag/history",
    role=Role.READ,
    text="What a tag has named, the latest first.",
    parameters=(NAME, Parameter("tag", TagOrDigest(False), "The tag.", required=True)),
    answer=record(
        items=array(record(digest=DIGEST, seen_from=TIME, seen_to=nullable(TIME), here=FLAG)),
        next=nullable(TEXT),
    ),
)
#: All of them.
CALLS = (GET_IMAGE, GET_PLATFORM, GET_TAG_HISTORY)

PullHost = Callable[[str], str]
"""Where clients pull what is of an upstream; by the upstream's name."""


def image_routes(catalogued: Catalogued, pull_host: PullHost) -> list[CallRoute]:
    """The calls."""
    calls = _Calls(catalogued, pull_host)
    return [
        CallRoute(GET_IMAGE, calls.image),
        CallRoute(GET_PLATFORM, calls.platform),
        CallRoute(GET_TAG_HISTORY, calls.history),
    ]


class _Calls:
    """Answers them."""

    def __init__(self, catalogued: Catalogued, pull_host: PullHost) -> None:
        self._catalogued = catalogued
        self._pull_host = pull_host

    async def image(self, asked: AskedCall) -> dict[str, Any]:
        """An image."""
        named: Named = asked.values["name"]
        text: str = asked.values["reference"]
        repository = find_repository(asked.caller, self._catalogued.upstreams, named)
        reference = read_reference(text)
        found = await self._catalogued.images.image(repository, reference)
        if found is None:
            gone = self._catalogued.gone.find(repository, reference)
            raise not_cached(named, text, told_gone(gone, asked.caller))
        tag = text if ":" not in text else (found.tags[0].tag if found.tags else "")
        return {
            "name": str(named),
            "reference": text,
            **self._told(found, asked.caller),
            "pull": self._pull(named, tag, str(found.digest)),
        }

    def _told(self, found: ImageFacts, caller: Caller) -> dict[str, Any]:
        upstream = found.repository.upstream.name
        sees_all = caller.sees_all
        return {
            "digest": str(found.digest),
            "media_type": found.media_type or None,
            "tags_same_digest": [each.tag for each in found.tags],
            "platforms": [told_platform(each) for each in found.platforms],
            "attached": [
                {"kind": each.kind, "count": each.count, "here": each.here}
                for each in found.attached
            ],
            "stored_bytes": found.stored,
            "own_bytes": found.own if sees_all else None,
            "shared_bytes": found.stored - found.own if sees_all else None,
            "shared_with": found.shared_with if sees_all else None,
            "first_fetched": time_or_null(found.since),
            "fetched_by": _who(found.fetched_by, caller),
            "last_used": time_or_null(found.last_used),
            "pulls_30d": found.pulls,
            **told_freshness(found.tags, upstream, self._catalogued.fresh_for),
            "pinned": None if found.pin is None else _pin(found.pin, caller),
            "gone": None if found.stored else told_gone(self._swept(found), caller),
        }

    def _swept(self, found: ImageFacts) -> Gone | None:
        return self._catalogued.gone.swept(found.digest)

    def _pull(self, named: Named, tag: str, digest: str) -> dict[str, str]:
        name = f"{self._pull_host(named.upstream)}/{named.repository}"
        by_digest = f"docker pull {name}@{digest}"
        return {"docker": f"docker pull {name}:{tag}" if tag else by_digest, "by_digest": by_digest}

    async def platform(self, asked: AskedCall) -> dict[str, Any]:
        """One platform of an image."""
        named: Named = asked.values["name"]
        repository = find_repository(asked.caller, self._catalogued.upstreams, named)
        content = RepositoryContent(repository, asked.values["digest"])
        found = await self._catalogued.images.platform(content)
        if found is None:
            raise not_cached(named, str(asked.values["digest"]))
        settings = found.details.settings
        return {
            "config": None if settings is None else _settings(settings),
            "labels": [{"key": key, "value": value} for key, value in found.details.labels],
            "steps": [_step(each, found, asked.caller) for each in found.details.steps],
        }

    async def history(self, asked: AskedCall) -> dict[str, Any]:
        """What a tag has named."""
        named: Named = asked.values["name"]
        repository = find_repository(asked.caller, self._catalogued.upstreams, named)
        tag: str = asked.values["tag"]
        found = await self._catalogued.images.history(repository, tag)
        if not found:
            gone = self._catalogued.gone.find(repository, tag)
            raise not_cached(named, tag, told_gone(gone, asked.caller))
        items = [
            {
                "digest": str(each.digest),
                "seen_from": time_text(each.seen_from),
                "seen_to": time_or_null(each.seen_to),
                "here": each.here,
            }
            for each in found
        ]
        return {"items": items, "next": None}


def _pin(pin: ImagePin, caller: Caller) -> dict[str, Any]:
    return {"by": _who(pin.by, caller), "since": time_or_null(pin.since)}


def _who(name: str, caller: Caller) -> str | None:
    """Who did something, where that may be seen and is known."""
    return name if name and caller.sees_who(name) else None


def _settings(settings: ImageSettings) -> dict[str, Any]:
    return {
        "created": time_or_null(settings.created),
        "author": settings.author,
        "user": settings.user,
        "workdir": settings.workdir,
        "entrypoint": list(settings.entrypoint),
        "cmd": list(settings.command),
        "env": list(settings.environment),
        "ports": list(settings.ports),
        "volumes": list(settings.volumes),
    }


def _step(step: Step, platform: ShownPlatform, caller: Caller) -> dict[str, Any]:
    layer = None
    if step.layer is not None:
        known = platform.listed.get(step.layer)
        layer = {"digest": str(step.layer), **_layer(known, caller)}
    return {
        "created_by": step.created_by,
        "created": time_or_null(step.created),
        "empty": step.empty,
        "layer": layer,
    }


def _layer(known: ListedLayer | None, caller: Caller) -> dict[str, Any]:
    """What the index knows of a layer; how many others have it is for those who see them."""
    if known is None:
        return {"media_type": None, "size_bytes": None, "here_bytes": 0, "used_by": None}
    return {
        "media_type": known.media_type or None,
        "size_bytes": known.size,
        "here_bytes": known.here,
        "used_by": known.used_by if caller.sees_all else None,
    }
