"""One line and one count per request."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

from regcache.logs import LineWriter, escape_text
from regcache.metrics import Metrics

if TYPE_CHECKING:
    from regcache.web.request import Request

CLIENT_LEFT = 499
"""Recorded as the status where the client left before there was one."""

#: What needs neither quotes nor escapes.
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+\Z")


class RequestRecord(NamedTuple):
    """All that is known of one request when it has ended.

    :ivar peer: the client's address without its port.
    :ivar account: who was authenticated, or "".
    :ivar status: as sent; 499 where the client left before there was one.
    :ivar body_bytes: bytes of the body handed to the connection.
    :ivar first_byte: seconds from the request to the headers of its answer; None without one.
    :ivar seconds: from the whole request to its end.
    :ivar ended_early: why the answer was not sent whole, or "".
    :ivar error: what the client was told went wrong, or "".
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

    def as_fields(self) -> dict[str, object]:
        """The fields of a line in JSON."""
        fields: dict[str, Any] = self._asdict()
        fields["bytes"] = fields.pop("body_bytes")
        fields["duration"] = round(fields.pop("seconds"), 6)
        if self.first_byte is not None:
            fields["first_byte"] = round(self.first_byte, 6)
        return fields


@dataclass(slots=True)
class RequestFacts:
    """What handlers learn about a request, for the access log and the metrics.

    :ivar kind: manifest, blob, tags, referrers, catalog, ping or other.
    :ivar upstream: the configured name, or "".
    :ivar outcome: hit, revalidated, stale, miss, collapsed, relay, denied or error; left ""
        it becomes hit or error by the status.
    :ivar ended_early: why the answer was not sent whole, or "".
    :ivar error: what the client was told went wrong, or "".
    """

    kind: str = "other"
    upstream: str = ""
    repository: str = ""
    reference: str = ""
    account: str = ""
    outcome: str = ""
    cache_status: str = ""
    ended_early: str = ""
    error: str = ""


def make_record(request: "Request", now: float) -> "RequestRecord":
    """The record of a request that ends now."""
    facts = request.facts
    begun = request.first_byte_at
    status = CLIENT_LEFT if begun is None else int(request.code)
    return RequestRecord(
        peer=describe_peer(request.client),
        account=facts.account,
        method=request.method.decode("ascii", "replace"),
        kind=facts.kind,
        upstream=facts.upstream,
        repository=facts.repository,
        reference=facts.reference,
        status=status,
        body_bytes=0 if request.method == b"HEAD" else request.body_bytes_sent,
        outcome=facts.outcome or ("hit" if status < 400 else "error"),
        cache_status=facts.cache_status,
        first_byte=None if begun is None else begun - request.arrived_at,
        seconds=now - request.arrived_at,
        ended_early=facts.ended_early,
        error=facts.error,
    )


Recorder = Callable[[RequestRecord], None]


class AccessLog:
    """Writes a line per request, as text or JSON. A :data:`Recorder`."""

    def __init__(
        self, writer: LineWriter, later: Callable[[Callable[[], None]], object] | None = None
    ) -> None:
        """
        :param later: calls a function very soon, when the requests that have arrived together
            are answered: their lines are written together. By default each is written at once.
        """
        self._writer = writer
        self._later = later
        self._is_due = False

    @classmethod
    def to_stream(cls, stream: TextIO, log_format: str, clock: Callable[[], float]) -> "AccessLog":
        """An access log on a text stream; ``log_format`` is ``text`` or ``json``."""
        return cls(LineWriter(stream, log_format, clock))

    def __call__(self, record: RequestRecord) -> None:
        if self._writer.is_json:
            self._writer.put_fields("info", "regcache.access", record.as_fields())
        else:
            self._writer.put_text("info", "regcache.access", format_record(record))
        if self._later is None:
            self._writer.flush()
        elif not self._is_due:
            self._is_due = True
            self._later(self._flush)

    def _flush(self) -> None:
        self._is_due = False
        self._writer.flush()


class MetricsRecorder:
    """Counts every request. A :data:`Recorder`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def __call__(self, record: RequestRecord) -> None:
        self._metrics.request(
            upstream=record.upstream,
            kind=record.kind,
            outcome=record.outcome,
            status=record.status,
            seconds=record.seconds,
            first_byte=record.first_byte,
            body_bytes=record.body_bytes,
        )


def format_record(record: RequestRecord) -> str:
    """A record as ``key=value`` words; values from clients are escaped and cannot fake others."""
    first = "-" if record.first_byte is None else f"{record.first_byte:.4f}"
    line = (
        f"peer={_word(record.peer)} account={_word(record.account)} "
        f"method={_word(record.method)} kind={_word(record.kind)} "
        f"upstream={_word(record.upstream)} repository={_word(record.repository)} "
        f"reference={_word(record.reference)} status={record.status} "
        f"bytes={record.body_bytes} outcome={_word(record.outcome)} "
        f"first_byte={first} duration={record.seconds:.4f}"
    )
    for name in ("cache_status", "error", "ended_early"):
        if text := getattr(record, name):
            line += f" {name}={_quoted(text)}"
    return line


def describe_peer(address: IAddress | None) -> str:
    """An address without its port; IPv4 mapped into IPv6 as IPv4; ``unix`` for a unix socket."""
    if isinstance(address, IPv4Address | IPv6Address):
        return str(address.host).removeprefix("::ffff:")
    return "unix"


def _word(text: str) -> str:
    """A value without spaces and quotes as it is, any other quoted, an empty one as a dash."""
    if not text:
        return "-"
    if _PLAIN.match(text):
        return text
    return _quoted(text) if any(sign in text for sign in ' "=\\') else escape_text(text)


def _quoted(text: str) -> str:
    escaped = escape_text(text.replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{escaped}"'
