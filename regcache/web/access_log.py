"""The access log, with one line per request, and the metrics of requests."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from regcache.logs import LineWriter, escape_text
from regcache.metrics import Metrics
from regcache.web.records import RequestRecord

#: Values of nothing else are written without quotes or escapes.
_PLAIN = bytes(sign for sign in range(0x21, 0x7F) if sign not in b'"=\\')
#: What many lines have in common is made once: so many of them, unless they are longer.
MOST_KNOWN, LONGEST_KNOWN = 1024, 256


class AccessLog:
    """Writes a line per request, as text or JSON. A :data:`Recorder`.

    :ivar enabled: whether it does.
    """

    def __init__(
        self, writer: LineWriter, later: Callable[[Callable[[], None]], object] | None = None
    ) -> None:
        """
        :param later: calls a function at the end of a turn of the reactor, so that the lines of
            requests that arrived together are one write. By default each is written at once.
        """
        self._writer = writer
        self._later = later
        self.enabled = True
        self._is_due = False

    def __call__(self, record: RequestRecord) -> None:
        if not self.enabled:
            return
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
    """A record as ``key=value`` words. Values are escaped, so that clients cannot fake words."""
    method, upstream, repository = record.method, record.upstream, record.repository
    account, host = record.account, record.host
    size = len(method) + len(upstream) + len(repository) + len(account) + len(host)
    who, where, status, outcome = (_make_common if size > LONGEST_KNOWN else _known_common)(
        record.peer,
        account,
        method,
        record.kind,
        upstream,
        repository,
        host,
        record.listener,
        record.status,
        record.outcome,
    )
    first = "-" if record.first_byte is None else f"{record.first_byte:.4f}"
    line = (
        f"{who}{_make_word(record.reference)}{where}{_make_word(record.path.decode('latin-1'))}"
        f"{status}{record.body_bytes}{outcome}{first} duration={record.seconds:.4f}"
    )
    for name in ("cache_status", "error", "ended_early"):
        if text := getattr(record, name):
            line += f" {name}={_quoted(text) if len(text) > LONGEST_KNOWN else _known_text(text)}"
    return line


def _make_common(*values: Any) -> tuple[str, str, str, str]:
    """What stands before, between and behind what differs from line to line."""
    *texts, status, outcome = values
    peer, account, method, kind, upstream, repository, host, listener = map(_make_word, texts)
    return (
        f"peer={peer} account={account} method={method} kind={kind} "
        f"upstream={upstream} repository={repository} reference=",
        f" host={host} path=",
        f" listener={listener} status={status} bytes=",
        f" outcome={_make_word(outcome)} first_byte=",
    )


def _make_word(text: str) -> str:
    """A value: as it is if it has no spaces or quotes, else quoted; a dash if it is empty."""
    if not text:
        return "-"
    if text.isascii() and not text.encode("ascii").translate(None, _PLAIN):
        return text
    return _quoted(text) if any(sign in text for sign in ' "=\\') else escape_text(text)


def _quoted(text: str) -> str:
    escaped = escape_text(text.replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{escaped}"'


_known_common = lru_cache(MOST_KNOWN)(_make_common)
_known_text = lru_cache(MOST_KNOWN)(_quoted)
