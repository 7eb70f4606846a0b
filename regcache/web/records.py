"""The facts about a request, collected while it is answered, and its record at the end."""

import re
from collections.abc import Callable, Sequence
from itertools import count
from operator import itemgetter
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.web.http_headers import Headers

from regcache.access.principals import UNLIMITED, Decision, Principal, TransferLimits
from regcache.causes import Cause
from regcache.digests import Digest
from regcache.errors import RegistryError
from regcache.light_dataclass import dataclass
from regcache.timings import FetchTimings
from regcache.web.flow import Flow

CLIENT_LEFT = 499
"""Recorded as the status where the client left before there was one."""

#: Why an answer ended early whose client left.
LEFT = "the client closed the connection"
#: How much of what a client says it is is kept (bytes).
LONGEST_AGENT = 200
#: How much of the path of a target is kept (bytes).
LONGEST_PATH = 256
#: Paths of which the rest is a secret.
_SECRET_PATH = re.compile(rb"/+knock/", re.IGNORECASE)
_ADDRESSES = (IPv4Address, IPv6Address)
#: What clients say they are, of which there are few.
MOST_AGENTS = 256
_agents: dict[bytes, bytes] = {}
#: Numbers the requests of a process in the order in which they arrive.
next_serial = count(1).__next__


class RequestRecord(NamedTuple):
    """All facts about a request that has ended, or about one that goes on.

    :ivar peer: the client's address without its port.
    :ivar account: the name of the authenticated account, or "".
    :ivar status: as sent; 499 if the client left before an answer began.
    :ivar body_bytes: how many bytes of the body were handed to the connection.
    :ivar first_byte: seconds from the request to the headers of its answer; None without one.
    :ivar seconds: from the whole request to its end.
    :ivar ended_early: why the answer was not sent whole, or "".
    :ivar error: what the client was told went wrong, or "".
    :ivar host: the Host that was asked for, normalised, or "".
    :ivar path: of the target, as it came, without its query; see :func:`told_path`.
    :ivar listener: the endpoint at which the client came in, as it is configured.
    :ivar principal: who asked, where that was asked for; this and what follows is in no log.
    :ivar serial: numbers the requests of this process; 0 for what was refused before it was one.
    :ivar arrived: when the whole request was there, or was refused (Unix seconds).
    :ivar agent: what the client says it is, as it came.
    :ivar digest: of what was answered with, where the reference is a tag.
    :ivar cause: why the answer is not what was hoped for.
    :ivar is_distribution: it was for the distribution API.
    :ivar shows_login: it had credentials.
    :ivar is_open: it goes on.
    :ivar timings: what took how long until an upstream answered; None where none was asked.
    :ivar flow: how fast the answer was, and who was waited for; None where it was soon over.
    :ivar verdict: what was found of it when it ended, where that was looked for.
    :ivar is_pull: it began a pull of an image, and was answered.
    """

    peer: str
    account: str
    method: str
    kind: str
    upstream: str
    repository: str
    reference: str
    status: int
    body_bytes: int
    outcome: str
    cache_status: str
    first_byte: float | None
    seconds: float
    ended_early: str
    error: str = ""
    host: str = ""
    path: bytes = b""
    listener: str = ""
    principal: Principal | None = None
    serial: int = 0
    arrived: float = 0.0
    agent: bytes = b""
    digest: Digest | None = None
    cause: Cause | None = None
    is_distribution: bool = False
    shows_login: bool = True
    is_open: bool = False
    timings: FetchTimings | None = None
    flow: Flow | None = None
    verdict: Cause | None = None
    is_pull: bool = False

    def as_fields(self) -> dict[str, object]:
        """The fields of a line in JSON."""
        fields: dict[str, Any] = dict(zip(_LOGGED, self, strict=False))
        fields["bytes"] = fields.pop("body_bytes")
        fields["path"] = self.path.decode("latin-1")
        fields["duration"] = round(fields.pop("seconds"), 6)
        if self.first_byte is not None:
            fields["first_byte"] = round(self.first_byte, 6)
        return fields


_LOGGED = RequestRecord._fields[: RequestRecord._fields.index("principal")]


def fields_of(*names: str) -> Callable[[RequestRecord], Any]:
    """What gives some fields of a record at once: one by one takes three times as long.

    Of a single name it gives the value, of several a tuple.
    """
    return itemgetter(*map(RequestRecord._fields.index, names))


@dataclass(slots=True)
class RequestFacts:
    """The facts that handlers find out about a request, for the access log and the metrics.

    :ivar kind: manifest, blob, tags, referrers, catalog, ping or other.
    :ivar upstream: the configured name, or "".
    :ivar outcome: hit, revalidated, stale, miss, collapsed, relay, denied or error; if it is left
        "", it becomes none or error by the status.
    :ivar principal: who asks; None if nobody asked for that, or not yet.
    :ivar limits: of what is sent to the principal.
    :ivar ended_early: why the answer was not sent whole, or "".
    :ivar error: what the client was told went wrong, or "".
    :ivar host: what is told of the Host, where that may not be told whole; "" where it may.
    :ivar digest: of what is answered with, where the reference is a tag.
    :ivar cause: why the answer is not what was hoped for.
    :ivar timings: what took how long until an upstream answered.
    :ivar flow: how fast the answer is, and who is waited for.
    :ivar is_pull: it begins a pull of an image.
    :ivar unless_not_modified: what is to be answered instead of a body.
    """

    kind: str = "other"
    upstream: str = ""
    repository: str = ""
    reference: str = ""
    account: str = ""
    principal: Principal | None = None
    limits: TransferLimits = UNLIMITED
    outcome: str = ""
    cache_status: str = ""
    ended_early: str = ""
    error: str = ""
    host: str = ""
    digest: Digest | None = None
    cause: Cause | None = None
    timings: FetchTimings | None = None
    flow: Flow | None = None
    is_pull: bool = False
    unless_not_modified: RegistryError | None = None

    def decided(self, decision: Decision) -> None:
        """It is known who asks."""
        self.principal, self.limits = decision.principal, decision.limits
        self.account = decision.principal.name


Recorder = Callable[[RequestRecord], None]
"""Is told of every request when it has ended."""


def agent_of(headers: Headers) -> bytes:
    """What a client says it is. Equal ones are one object, since many records keep it."""
    lines: Sequence[bytes] = headers.getRawHeaders(b"user-agent", ())
    if not lines:
        return b""
    agent = _agents.get(lines[0])
    if agent is None:
        agent = lines[0][:LONGEST_AGENT]
        if len(_agents) >= MOST_AGENTS:
            _agents.clear()
        _agents[agent] = agent
    return agent


def describe_peer(address: IAddress | None) -> str:
    """An address without its port; IPv4 mapped into IPv6 as IPv4; ``unix`` for a unix socket."""
    if isinstance(address, _ADDRESSES):
        return str(address.host).removeprefix("::ffff:")
    return "unix"


def told_path(path: bytes) -> bytes:
    """What is told of a path: its beginning, and nothing of a secret in it.

    A target in absolute form is a path only once it was found to be right; before that it may
    have a password.
    """
    if path.startswith(b"/v2/"):
        return path[:LONGEST_PATH]
    if path[:1] != b"/":
        return b""
    plain = unquote_to_bytes(path) if b"%" in path else path
    return b"/knock/-" if _SECRET_PATH.match(plain) else path[:LONGEST_PATH]


def refused_record(
    peer: IAddress | None, reason: str, status: int, *, listener: str, now: float
) -> RequestRecord:
    """The record of something that was refused before it was a whole request.

    :param now: Unix seconds.
    """
    return RequestRecord(
        peer=describe_peer(peer),
        account="",
        method="",
        kind="other",
        upstream="",
        repository="",
        reference="",
        status=status,
        body_bytes=0,
        outcome="error",
        cache_status="",
        first_byte=None,
        seconds=0.0,
        ended_early=reason,
        listener=listener,
        arrived=now,
    )
