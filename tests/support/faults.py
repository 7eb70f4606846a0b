"""What a faulty upstream can do wrong with one request, and the plan of what comes when."""

import fnmatch
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fault:
    """One departure from good manners; several fields may be set at once.

    Offsets (``cut_at``, ``reset_at``, ``stall_at``, ``hold_at``, ``wrong_byte_at``) count within
    the body of this answer, from 0; times are seconds, rates bytes per second.
    """

    silent: bool = False
    """Accept the request and never answer."""
    reset: bool = False
    """Reset the connection instead of answering."""
    first_byte_delay: float = 0.0
    """Wait so long before the status line."""
    status: int | None = None
    """Answer this status with an OCI error body."""
    authorised: bool = False
    """Only of requests that pass the challenge; the others are well, and challenged."""
    retry_after: int | str | None = None
    """The Retry-After header of that answer."""
    body: bytes | None = None
    """Send these bytes instead of the content."""
    content_type: str | None = None
    """Say this Content-Type."""
    cut_at: int | None = None
    """Close the connection cleanly after so many bytes."""
    reset_at: int | None = None
    """Reset the connection after so many bytes."""
    stall_at: int | None = None
    """Send nothing more after so many bytes, and keep the connection open."""
    held: bool = False
    """Answer only when ``release`` is set."""
    hold_at: int | None = None
    """Send nothing more after so many bytes until ``release`` is set."""
    release: threading.Event = field(default_factory=threading.Event, compare=False)
    """Ends what ``held`` or ``hold_at`` began."""
    rate: float | None = None
    """Send no faster than this."""
    wrong_byte_at: int | None = None
    """Flip one bit of this byte."""
    declared_length: int | None = None
    """Say this Content-Length, whatever is sent."""
    framing: str = "length"
    """How the body ends: ``length``, ``chunked``, or ``close`` (no length at all)."""
    ignore_range: bool = False
    """Answer a Range request with 200 and the whole."""
    content_range: str | None = None
    """Say this Content-Range in a 206."""
    etag: str | None = None
    """Say this ETag."""
    raw: bytes | None = None
    """Send these bytes instead of any HTTP, and close."""
    head_rate: float | None = None
    """Send the status line and the headers no faster than this, byte by byte."""
    redirect: bool | str = False
    """Redirect to the second origin with a signature that is good once, or to this URL."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers of the answer."""


GOOD = Fault()


class FaultPlan:
    """Which fault the next request meets, by method and path pattern (``*`` matches ``/``)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queued: list[tuple[str, str, deque[Fault]]] = []
        self._lasting: list[tuple[str, str, Fault]] = []

    def then(self, path: str, *faults: Fault, method: str = "*") -> None:
        """Let the next requests for ``path`` meet ``faults``, one each, in this order."""
        with self._lock:
            self._queued.append((method, path, deque(faults)))

    def always(self, path: str, fault: Fault, method: str = "*") -> None:
        """Let every request for ``path`` meet ``fault``, once nothing is queued for it."""
        with self._lock:
            self._lasting.insert(0, (method, path, fault))

    def clear(self) -> None:
        """Forget all faults: from now on the upstream is well."""
        with self._lock:
            self._queued.clear()
            self._lasting.clear()

    def next(self, method: str, path: str) -> Fault:
        """The fault of this request; it is taken from the queue."""
        with self._lock:
            for wanted, pattern, faults in self._queued:
                if faults and _matches(wanted, pattern, method, path):
                    return faults.popleft()
            for wanted, pattern, fault in self._lasting:
                if _matches(wanted, pattern, method, path):
                    return fault
        return GOOD


def _matches(wanted: str, pattern: str, method: str, path: str) -> bool:
    return wanted in ("*", method) and fnmatch.fnmatchcase(path, pattern)
