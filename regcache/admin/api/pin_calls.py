"""GET pins, POST pin and unpin: what is kept by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from regcache.admin.api.call_problems import InvalidProblem, UnknownUpstreamProblem
from regcache.admin.api.callers import Caller, Role
from regcache.admin.api.calls import ApiCall, AskedCall, CallRoute
from regcache.admin.api.kinds import ArrayOf, Fields, Parameter, RepositoryName, Text
from regcache.admin.api.schemas import COUNT, DIGEST, TEXT, TIME, nullable, page, record
from regcache.digests import Digest, InvalidDigestError, is_digest
from regcache.identity import Repository, UpstreamIdentity
from regcache.pins import Pin
from regcache.plans import PlanItem
from regcache.references import is_tag
from regcache.times import time_text

PINNED = record(
    name=TEXT,
    reference=TEXT,
    digest=nullable(DIGEST),
    own_bytes=nullable(COUNT),
    by=nullable(TEXT),
    since=TIME,
)
_TARGETS = Parameter(
    "targets",
    ArrayOf(
        Fields(
            (
                Parameter("name", RepositoryName(), "Of the repository.", required=True),
                Parameter("reference", Text(256, 1), "A tag or a digest.", required=True),
            )
        )
    ),
    "What is meant.",
    required=True,
)
_CHANGED = record(changed=COUNT)
GET_PINS = ApiCall(
    method="GET",
    path="pins",
    role=Role.READ,
    text="What was pinned by hand, by name.",
    answer=page(PINNED),
    paged=True,
)
PIN = ApiCall(
    method="POST",
    path="pin",
    role=Role.ADMIN,
    text="Pins tags, which takes all along that they name now and later, or manifests by digest.",
    parameters=(_TARGETS,),
    answer=_CHANGED,
)
UNPIN = ApiCall(
    method="POST",
    path="unpin",
    role=Role.ADMIN,
    text="Takes pins back that were set by hand.",
    parameters=(_TARGETS,),
    answer=_CHANGED,
)
#: All of them.
CALLS = (GET_PINS, PIN, UNPIN)


class PinService(Protocol):
    """Pins (:class:`regcache.interfaces.IPins`)."""

    def pin(self, repository: Repository, reference: str, pin: Pin) -> "Deferred[None]":
        """Pin something."""

    def unpin(self, repository: Repository, reference: str) -> "Deferred[None]":
        """Take a pin back."""

    def is_pinned(self, repository: Repository, reference: str) -> "Deferred[bool]":
        """Whether something is pinned by hand."""

    def pins(self, after: tuple[str, str, str], limit: int) -> "Deferred[list[Pin]]":
        """A page of the pins."""

    def settle(self) -> "Deferred[None]":
        """Find what is covered no more."""


class PinCalls:
    """The calls.

    :param image: describes an image by its digest.
    :param upstreams: those of the configuration in force, by name.
    :param seconds: the time.
    """

    def __init__(
        self,
        pins: PinService,
        image: "Callable[[Digest], Deferred[PlanItem | None]]",
        *,
        upstreams: Callable[[], Mapping[str, UpstreamIdentity]],
        seconds: Callable[[], float],
    ) -> None:
        self._pins = pins
        self._image = image
        self._upstreams = upstreams
        self._seconds = seconds

    def routes(self) -> list[CallRoute]:
        """With their handlers."""
        return [
            CallRoute(GET_PINS, self._list),
            CallRoute(PIN, self._pin),
            CallRoute(UNPIN, self._unpin),
        ]

    async def _list(self, asked: AskedCall) -> dict[str, Any]:
        position = asked.position
        assert position is not None, "it has pages"
        upstream, name, reference = position.after or ("", "", "")
        found = await self._pins.pins((upstream, name, reference), position.limit)
        seen = [each for each in found if asked.caller.may_pull(each.upstream, each.repository)]
        items = [await self._told(each, asked.caller) for each in seen]
        after = None
        if len(found) == position.limit:
            after = (found[-1].upstream, found[-1].repository, found[-1].reference)
        return asked.page(items, after)

    async def _told(self, pin: Pin, caller: Caller) -> dict[str, Any]:
        image = None
        if pin.digest is not None and caller.sees_all:  # it tells what others share
            image = await self._image(pin.digest)
        return {
            "name": f"{pin.upstream}/{pin.repository}",
            "reference": pin.reference,
            "digest": None if pin.digest is None else str(pin.digest),
            "own_bytes": None if image is None else image.frees,
            "by": pin.by if pin.by and caller.sees_who(pin.by) else None,
            "since": time_text(pin.since),
        }

    async def _pin(self, asked: AskedCall) -> dict[str, Any]:
        changed = 0
        pin = Pin(asked.caller.account, self._seconds())
        for repository, reference in self._targets(asked):
            if not await self._pins.is_pinned(repository, reference):
                await self._pins.pin(repository, reference, pin)
                changed += 1
        return {"changed": changed}

    async def _unpin(self, asked: AskedCall) -> dict[str, Any]:
        changed = 0
        for repository, reference in self._targets(asked):
            if await self._pins.is_pinned(repository, reference):
                await self._pins.unpin(repository, reference)
                changed += 1
        if changed:
            await self._pins.settle()
        return {"changed": changed}

    def _targets(self, asked: AskedCall) -> Sequence[tuple[Repository, str]]:
        upstreams, found = self._upstreams(), []
        for number, each in enumerate(asked.values["targets"]):
            name, reference = each["name"], each["reference"]
            upstream = upstreams.get(name.upstream)
            if upstream is None:
                raise UnknownUpstreamProblem(name.upstream)
            if not (_is_digest(reference) if is_digest(reference) else is_tag(reference)):
                field = f"targets[{number}].reference"
                raise InvalidProblem(field, "a tag or a digest is needed")
            found.append((Repository(upstream, name.repository), reference))
        return found


def _is_digest(text: str) -> bool:
    try:
        Digest.parse(text)
    except InvalidDigestError:
        return False
    return True
