"""Writes log lines to a stream, as text or JSON: one line for each event, with any text in it."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from regcache.errors import RegistryError, UpstreamFailure

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OWN_KEYS = frozenset({"time", "level", "logger", "message", "traceback"})
_SCALARS = (str, int, float, bool, type(None))
#: What Twisted says of each port that is opened or closed; the listeners say more.
_PRINTED = "log_legacy"
_OF_PORTS = re.compile(r"\w+ starting on |\((TCP|UNIX) Port .* Closed\)\Z")
#: And of each connection that its own client of HTTP makes.
_OF_CLIENTS = "twisted.web.client."
#: Lines that may wait to be written together.
MOST_WAITING = 256


def escape_text(text: str) -> str:
    """A text that stays on its line: control characters become ``\\xNN`` or ``\\uNNNN``."""
    return _CONTROL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class LineWriter:
    """Writes lines with a time to a text stream; a stream that fails costs the lines only.

    Lines may be put to wait for the next flush or write: they keep their order.
    May be used in any thread.

    :ivar is_json: whether lines are JSON objects.
    :ivar lost: how many lines could not be written.
    """

    def __init__(
        self, stream: TextIO, log_format: str = "text", clock: Callable[[], float] = time.time
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._stamped = (-1, "")
        self.is_json = log_format == "json"
        self.lost = 0

    def put_text(self, level: str, logger: str, message: str) -> None:
        """Add ``time level logger message``; the message is escaped already."""
        self._put(f"{self._time()} {level} {logger} {message}\n")

    def put_fields(self, level: str, logger: str, fields: Mapping[str, object]) -> None:
        """Add a JSON object of the time, level, logger and these fields."""
        head = {"time": self._time(), "level": level, "logger": logger}
        self._put(json.dumps({**head, **fields}, default=str) + "\n")

    def write_text(self, level: str, logger: str, message: str) -> None:
        """Write ``time level logger message`` now, and what waits before it."""
        self.put_text(level, logger, message)
        self.flush()

    def write_fields(self, level: str, logger: str, fields: Mapping[str, object]) -> None:
        """Write a JSON object now, and what waits before it."""
        self.put_fields(level, logger, fields)
        self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            lines, self._waiting = self._waiting, []
            try:
                self._stream.write(self._encodable("".join(lines)))
                self._stream.flush()
            except (OSError, ValueError):
                # A full disk or closed pipe behind the stream must not fail a request.
                self.lost += len(lines)

    def _encodable(self, text: str) -> str:
        """A sign that the stream's encoding does not have is escaped: it would cost all lines."""
        if text.isascii():
            return text
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _put(self, line: str) -> None:
        with self._lock:
            self._waiting.append(line)
            full = len(self._waiting) >= MOST_WAITING
        if full:
            self.flush()

    def _time(self) -> str:
        now = self._clock()
        second = int(now)
        known, stamp = self._stamped  # as a pair: threads have no lock here
        if second != known:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._stamped = (second, stamp)
        return f"{stamp}.{int((now - second) * 1000):03d}Z"


@implementer(ILogObserver)
class LineObserver:
    """Writes the events of :mod:`twisted.logger`.

    An expected fault (an :class:`UpstreamFailure` or :class:`RegistryError`) is told in one
    line. An unexpected one brings its traceback: text lines behind the event's own, each
    begun with ``|``, or a field of the JSON object.
    """

    def __init__(self, writer: LineWriter, threshold: Any = LogLevel.info) -> None:
        self._writer = writer
        self._threshold = threshold

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level") or LogLevel.info
        if level < self._threshold:
            return
        logger = event.get("log_namespace") or "-"
        message, traceback = describe_event(event)
        if logger == _PRINTED and _OF_PORTS.match(message):
            return
        if level is LogLevel.info and logger.startswith(_OF_CLIENTS):
            return
        if self._writer.is_json:
            fields: dict[str, object] = {"message": message, **plain_fields(event)}
            if traceback:
                fields["traceback"] = traceback
            self._writer.write_fields(level.name, logger, fields)
            return
        self._writer.write_text(level.name, logger, escape_text(message))
        for line in traceback.splitlines():
            self._writer.write_text(level.name, logger, "| " + escape_text(line))


def describe_event(event: LogEvent) -> tuple[str, str]:
    """The message of an event, and the traceback of its failure where that was not expected."""
    message = formatEvent(event)
    failure = event.get("log_failure")
    if not isinstance(failure, Failure):
        return message, ""
    if isinstance(failure.value, UpstreamFailure | RegistryError):
        return f"{message}: {failure.value}".removeprefix(": "), ""
    summary = f"{message}: {failure.type.__name__ if failure.type else 'failure'}"
    return summary.removeprefix(": "), failure.getTraceback()


def plain_fields(event: LogEvent) -> dict[str, object]:
    """The fields that the caller of the logger gave, where they are plain values."""
    return {
        key: value
        for key, value in event.items()
        if not key.startswith(("log_", "_"))
        and key not in _OWN_KEYS
        and isinstance(value, _SCALARS)
    }
