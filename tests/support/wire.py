"""HTTP/1.1 on plain blocking sockets, with the faults of :mod:`tests.support.faults`."""

import re
import socket
import struct
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import Parser
from http import HTTPStatus
from typing import BinaryIO

from tests.support.faults import Fault
from tests.support.generated import Content, StoredContent

_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


@dataclass
class Request:
    """One request as it came, and how many bytes of body it was sent.

    :ivar port: of the client, by which the requests of one connection are known.
    """

    method: str
    target: str
    headers: Message
    origin: str
    started: float = field(default_factory=time.monotonic)
    status: int = 0
    sent: int = 0
    port: int = 0

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters of the query."""
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.target).query)

    @property
    def range(self) -> str | None:
        """The Range header."""
        return self.headers["Range"]


@dataclass
class Reply:
    """What an upstream in good health would answer."""

    status: int
    headers: dict[str, str]
    body: Content

    @classmethod
    def of(cls, status: int, data: bytes, content_type: str, **headers: str) -> "Reply":
        """A reply with these bytes; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, {"Content-Type": content_type, **named}, StoredContent(data))


def read_request(stream: BinaryIO, origin: str) -> Request | None:
    """The next request of a connection (bodies are not expected); None at its end."""
    first = stream.readline(65536).decode("latin-1")
    if not first.strip():
        return None
    head = ""
    while (line := stream.readline(65536).decode("latin-1")) not in ("\r\n", ""):
        head += line
    method, target, _ = first.split(" ", 2)
    return Request(method, target, Parser().parsestr(head), origin)


def reset(connection: socket.socket) -> None:
    """Let the close that follows send RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _range(text: str, size: int) -> tuple[int, int] | None:
    """The bytes [start, end) of a single range; None when it cannot be satisfied."""
    found = _RANGE.match(text)
    if found is None or text == "bytes=-":
        return (0, size)
    if not found[1]:
        return (max(0, size - int(found[2])), size)
    start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
    return (start, min(end, size)) if start < min(end, size) else None


class Answer:
    """Sends one reply with one fault.

    ``pause`` waits for so many seconds, and tells whether the upstream was closed meanwhile.
    """

    def __init__(
        self,
        connection: socket.socket,
        request: Request,
        reply: Reply,
        fault: Fault,
        rate: float | None,
        pause: Callable[[float], bool],
    ) -> None:
        self._connection, self._request, self._pause = connection, request, pause
        self._reply, self._fault = reply, fault
        self._rate = fault.rate or rate
        self._start, self._end = 0, reply.body.size

    def send(self) -> bool:
        """Send all that the fault lets through; whether the connection may be used again."""
        self._apply_range()
        self._apply_overrides()
        fault = self._fault
        self._request.status = self._reply.status
        self._send_head()
        if self._request.method == "HEAD":
            return fault.framing != "close"
        if not self._send_body():
            return False
        if fault.framing == "chunked":
            self._connection.sendall(b"0\r\n\r\n")
        return fault.framing != "close" and fault.declared_length is None

    def _apply_range(self) -> None:
        wanted, reply = self._request.range, self._reply
        if wanted is None or reply.status != 200 or self._fault.ignore_range:
            return
        size = reply.body.size
        part = _range(wanted, size)
        if part is None:
            self._reply = Reply.of(416, b"", "text/plain", Content_Range=f"bytes */{size}")
            self._start = self._end = 0
        elif "Accept-Ranges" in reply.headers:
            reply.status = 206
            self._start, self._end = part
            reply.headers["Content-Range"] = f"bytes {part[0]}-{part[1] - 1}/{size}"

    def _apply_overrides(self) -> None:
        fault, reply = self._fault, self._reply
        if fault.body is not None:
            reply.body = StoredContent(fault.body)
            self._start, self._end = 0, reply.body.size
        overrides = {
            "Content-Type": fault.content_type,
            "ETag": fault.etag,
            "Content-Range": fault.content_range if reply.status == 206 else None,
        }
        reply.headers.update({name: value for name, value in overrides.items() if value})
        reply.headers.update(fault.headers)

    def _head(self) -> bytes:
        fault, reply = self._fault, self._reply
        if fault.framing == "length":
            declared = fault.declared_length
            length = self._end - self._start if declared is None else declared
            reply.headers["Content-Length"] = str(length)
        elif fault.framing == "chunked":
            reply.headers["Transfer-Encoding"] = "chunked"
        else:
            reply.headers["Connection"] = "close"
        phrase = HTTPStatus(reply.status).phrase
        lines = [f"HTTP/1.1 {reply.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _send_head(self) -> None:
        head, rate = self._head(), self._fault.head_rate
        if rate is None:
            self._connection.sendall(head)
            return
        for place in range(len(head)):
            self._connection.sendall(head[place : place + 1])
            self._pause(1 / rate)

    def _send_body(self) -> bool:
        """Send the body up to the first fault; whether it went out whole."""
        started = time.monotonic()
        for piece in self._pieces():
            chunked = self._fault.framing == "chunked"
            whole = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
            self._count_and_send(whole, len(piece))
            if self._rate:
                due = started + self._request.sent / self._rate
                self._pause(max(0.0, due - time.monotonic()))
        if self._fault.reset_at is not None:
            reset(self._connection)
            return False
        if self._fault.stall_at is not None:
            self._pause(3600)
            return False
        return self._fault.cut_at is None

    def _count_and_send(self, data: memoryview | bytes, count: int) -> None:
        """Count bytes before anybody can have them, and not those that could not be sent."""
        self._request.sent += count
        try:
            self._connection.sendall(data)
        except OSError:
            self._request.sent -= count
            raise

    def _pieces(self) -> Iterator[memoryview | bytes]:
        """The body in pieces: small ones under a low rate, with the wrong byte in its place."""
        fault = self._fault
        stops = (fault.cut_at, fault.reset_at, fault.stall_at)
        end = min([self._end, *(self._start + stop for stop in stops if stop is not None)])
        most = 1 << 20 if self._rate is None else max(1, min(1 << 20, int(self._rate / 50)))
        wrong = None if fault.wrong_byte_at is None else self._start + fault.wrong_byte_at
        place, hold = self._start, self._start + (fault.hold_at or 0)
        while place < end:
            if fault.hold_at is not None and place == hold:
                self._wait_for_release()
            stop = min(place + most, hold if place < hold else end, end)
            for chunk in self._reply.body.chunks(place, stop):
                yield _spoilt(chunk, place, wrong)
                place += len(chunk)

    def _wait_for_release(self) -> None:
        while not self._fault.release.is_set() and not self._pause(0.01):
            pass


def _spoilt(chunk: memoryview, place: int, wrong: int | None) -> memoryview | bytes:
    if wrong is None or not place <= wrong < place + len(chunk):
        return chunk
    changed = bytearray(chunk)
    changed[wrong - place] ^= 1
    return bytes(changed)
