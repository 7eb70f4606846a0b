"""GET transfers: what comes in now, how fast, and for whom."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY
from typing import Any
from urllib.parse import urlsplit

from regcache.admin.api.callers import Caller, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.request_items import IMAGE, PART, image_of, part_of
from regcache.admin.api.schemas import (
    COUNT,
    DIGEST,
    TEXT,
    TIME,
    array,
    nullable,
    record,
    words,
)
from regcache.admin.requests.image_finder import ImageFinder
from regcache.cache.download.progress import Progress
from regcache.identity import RepositoryContent
from regcache.images import AskedContent, ImagePart
from regcache.light_dataclass import dataclass
from regcache.times import time_text

#: Intervals of one download that are told: the longest of them.
MOST_INTERVALS = 64
STATES = ("running", "waiting", "verifying", "parked")

_READER = record(principal=nullable(TEXT), request=nullable(TEXT))
TRANSFER = record(
    digest=DIGEST,
    names=array(TEXT),
    image=IMAGE,
    part=PART,
    size_bytes=nullable(COUNT),
    here_bytes=COUNT,
    intervals=array(array(COUNT, minItems=2, maxItems=2), maxItems=MOST_INTERVALS),
    state=words(*STATES),
    rate_bytes_per_s=nullable(COUNT),
    host=nullable(TEXT),
    started=TIME,
    readers=array(_READER),
)
GET_TRANSFERS = ApiCall(
    method="GET",
    path="transfers",
    role=Role.READ,
    text="What comes in now, how fast, and for whom.",
    answer=record(
        in_bytes_per_s=nullable(COUNT),
        out_bytes_per_s=nullable(COUNT),
        items=array(TRANSFER),
        next=nullable(TEXT),
    ),
)
#: All of them.
CALLS = (GET_TRANSFERS,)


@dataclass(frozen=True, slots=True)
class TransferFacts:
    """One download.

    :ivar rate: bytes a second; None where that is not known yet.
    :ivar readers: accounts or addresses of those who wait for it, and the ids of their requests.
    """

    progress: Progress
    rate: int | None
    readers: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Traffic:
    """All that is under way.

    :ivar in_rate: bytes a second from all upstreams; None where that is not known yet.
    :ivar out_rate: bytes a second to all clients.
    """

    transfers: Sequence[TransferFacts]
    _: KW_ONLY
    in_rate: int | None
    out_rate: int | None


def transfer_routes(traffic: Callable[[], Traffic], images: ImageFinder) -> list[CallRoute]:
    """The call.

    :param images: finds the images that downloads belong to.
    """
    parts = _Parts(images)

    async def handle(asked: AskedCall) -> dict[str, Any]:
        found, caller = traffic(), asked.caller
        known = await parts.of([each.progress for each in found.transfers])
        return {
            "in_bytes_per_s": found.in_rate if caller.sees_all else None,
            "out_bytes_per_s": found.out_rate if caller.sees_all else None,
            "items": [
                _item(each, part, caller)
                for each, part in zip(found.transfers, known, strict=True)
                if _is_seen(each, caller)
            ],
            "next": None,
        }

    return [CallRoute(GET_TRANSFERS, handle)]


class _Parts:
    """The images of downloads, looked up once each: streams of events ask twice a second."""

    def __init__(self, images: ImageFinder) -> None:
        self._images = images
        self._known: dict[RepositoryContent, ImagePart] = {}

    async def of(self, downloads: Sequence[Progress]) -> list[ImagePart | None]:
        """The image of each, as far as it is known."""
        keys = [each.content for each in downloads]
        missing = [key for key in keys if key not in self._known]
        found = await self._images.find([AskedContent(key) for key in missing])
        more = {key: part for key, part in zip(missing, found, strict=True) if part is not None}
        known = self._known | more
        self._known = {key: known[key] for key in keys if key in known}
        return [self._known.get(key) for key in keys]


def _is_seen(facts: TransferFacts, caller: Caller) -> bool:
    repository = facts.progress.content.repository
    return caller.may_pull(repository.upstream.name, repository.name)


def _item(facts: TransferFacts, part: ImagePart | None, caller: Caller) -> dict[str, Any]:
    progress, name = facts.progress, str(facts.progress.content.repository)
    return {
        "digest": str(progress.content.digest),
        "names": [name],
        "image": image_of(name, part),
        "part": part_of(part),
        "size_bytes": progress.size,
        "here_bytes": progress.here,
        "intervals": _longest(progress.intervals),
        "state": progress.state,
        "rate_bytes_per_s": facts.rate,
        "host": urlsplit(progress.url).netloc or None,
        "started": time_text(progress.started),
        "readers": [_reader(*each, caller) for each in facts.readers],
    }


def _reader(principal: str, request: str, caller: Caller) -> dict[str, str | None]:
    """The reader of the answer; an account is told only of itself."""
    return {"principal": principal if caller.sees_who(principal) else None, "request": request}


def _longest(intervals: Sequence[tuple[int, int]]) -> list[list[int]]:
    by_length = sorted(intervals, key=lambda each: each[0] - each[1])
    return [list(each) for each in sorted(by_length[:MOST_INTERVALS])]
