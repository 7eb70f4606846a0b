"""Collects the facts about a request while it is answered, and makes its record at the end."""

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
"""The status that is recorded if the client left before the answer had one."""

#: The reason that is recorded for an answer that ended early because its client left.
LEFT = "the client closed the connection"
#: At most this much of the User-Agent of a client is kept (bytes).
LONGEST_AGENT = 200
#: At most this much of the path of a target is kept (bytes).
LONGEST_PATH = 256
#: Matches the beginning of paths whose rest is a secret.
_SECRET_PATH = re.compile(rb"/+knock/", re.IGNORECASE)
_ADDRESSES = (IPv4Address, IPv6Address)
#: At most so many values of User-Agent are shared. Clients use few different ones.
MOST_AGENTS = 256
_agents: dict[bytes, bytes] = {}
#: Gives the next number of a request. Requests are numbered in the order in which they arrive.
next_serial = count(1).__next__


class RequestRecord(NamedTuple):
    """Holds all facts about a request that has ended, or about one that is still open.

    :ivar peer: the client's address without its port.
    :ivar account: the name of the authenticated account, or "".
    :ivar status: the status that was sent; 499 if the client left before an answer began.
    :ivar body_bytes: how many bytes of the body were handed to the connection.
    :ivar first_byte: seconds from the request to the headers of its answer; None without one.
    :ivar seconds: from the arrival of the whole request to the end of its answer.
    :ivar ended_early: the reason if only a part of the answer was sent, or "".
    :ivar error: the error that the client was told, or "".
    :ivar host: the Host that was asked for, normalised, or "".
    :ivar path: of the target, as it came, without its query; see :func:`told_path`.
    :ivar listener: the endpoint at which the client came in, as it is configured.
    :ivar principal: the client's identity, if it was needed. No log has this or what follows.
    :ivar serial: the number of the request in this process; 0 if it was refused before it was
        read.
    :ivar arrived: when the whole request was there, or was refused (Unix seconds).
    :ivar agent: the User-Agent of the client, as it came.
    :ivar digest: of the content that was sent, if the reference is a tag.
    :ivar cause: why the request failed, was refused, or was answered less well than usual.
    :ivar is_distribution: whether it was for the distribution API.
    :ivar shows_login: whether it had credentials.
    :ivar is_open: whether it is still being answered.
    :ivar timings: how long each phase took until an upstream answered; None if none was asked.
    :ivar flow: how fast the answer was, and what it waited for; None if it was soon over.
    :ivar verdict: the verdict at its end, if there was one.
    :ivar is_pull: whether it began a pull of an image, and was answered.
    """

    # What is counted lies together: it takes three lines of the processor's cache, not six.
    method: str
    reference: str
    cache_status: str
    seconds: float
    first_byte: float | None
    body_bytes: int
    kind: str
    peer: str
    account: str
    upstream: str
    repository: str
    outcome: str
    status: int
    ended_early: str
    is_distribution: bool = False
    shows_login: bool = True
    is_pull: bool = False
    timings: FetchTimings | None = None
    flow: Flow | None = None
    arrived: float = 0.0
    error: str = ""
    host: str = ""
    path: bytes = b""
    listener: str = ""
    principal: Principal | None = None
    serial: int = 0
    agent: bytes = b""
    digest: Digest | None = None
    cause: Cause | None = None
    is_open: bool = False
    verdict: Cause | None = None

    def as_fields(self) -> dict[str, object]:
        """Return the fields of its line in a log in JSON."""
        fields: dict[str, Any] = dict(zip(_LOGGED, _logged(self), strict=True))
        fields["bytes"] = fields.pop("body_bytes")
        fields["path"] = self.path.decode("latin-1")
        fields["duration"] = round(fields.pop("seconds"), 6)
        if self.first_byte is not None:
            fields["first_byte"] = round(self.first_byte, 6)
        return fields


def fields_of(*names: str) -> Callable[[RequestRecord], Any]:
    """Make a function that returns some fields of a record.

    It returns the value of a single name, and a tuple for several. To read several fields one by
    one takes three times as long.
    """
    return itemgetter(*map(RequestRecord._fields.index, names))


#: What is logged, in this order.
_LOGGED = (
    "peer",
    "account",
    "method",
    "kind",
    "upstream",
    "repository",
    "reference",
    "status",
    "body_bytes",
    "outcome",
    "cache_status",
    "first_byte",
    "seconds",
    "ended_early",
    "error",
    "host",
    "path",
    "listener",
)
_logged = fields_of(*_LOGGED)


@dataclass(slots=True, kw_only=True)
class RequestFacts:
    """Holds what handlers find out about a request, for the access log and the metrics.

    :ivar kind: manifest, blob, tags, referrers, catalog, ping or other.
    :ivar upstream: the configured name, or "".
    :ivar outcome: hit, revalidated, stale, miss, collapsed, relay, denied or error; if it is left
        "", it becomes none or error by the status.
    :ivar principal: the client's identity; None if it was not needed, or not yet.
    :ivar limits: the limits of what is sent to the principal.
    :ivar ended_early: the reason if only a part of the answer was sent, or "".
    :ivar error: the error that the client was told, or "".
    :ivar host: the part of the Host that may be recorded; "" if all of it may.
    :ivar digest: of the content that is sent, if the reference is a tag.
    :ivar cause: why the request failed, was refused, or was answered less well than usual.
    :ivar timings: how long each phase took until an upstream answered.
    :ivar flow: how fast the answer is, and what it waits for.
    :ivar is_pull: whether it begins a pull of an image.
    :ivar unless_not_modified: the error that is sent instead of a body.
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
        """Note the client's identity, and the limits that apply to it."""
        self.principal, self.limits = decision.principal, decision.limits
        self.account = decision.principal.name


Recorder = Callable[[RequestRecord], None]
"""Gets the record of every request when it has ended."""


def agent_of(headers: Headers) -> bytes:
    """Return the User-Agent. Equal ones are the same object, since many records keep it."""
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
    """Return an address without its port; IPv4 mapped into IPv6 as IPv4; else ``unix``."""
    if isinstance(address, _ADDRESSES):
        return str(address.host).removeprefix("::ffff:")
    return "unix"


def told_path(path: bytes) -> bytes:
    """Return the part of a path that may be recorded: its beginning, without a secret.

    Nothing of a target in absolute form is recorded, since it may have a password in it. It becomes
    a path only when it was found to be valid.
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
    """Make the record of something that was refused before it was a whole request.

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
