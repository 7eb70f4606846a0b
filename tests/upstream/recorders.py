"""Who remembers what an upstream client counts and delivers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from zope.interface import implementer

from regcache.interfaces import IBodyConsumer, IUpstreamMeter


@implementer(IUpstreamMeter)
@dataclass
class Meter:
    """Remembers what was counted."""

    requests: int = 0
    sent: int = 0
    states: list[bool] = field(default_factory=list)
    credentials: list[bool] = field(default_factory=list)
    remaining: list[int] = field(default_factory=list)

    def upstream_requested(self, upstream: str) -> None:
        self.requests += 1

    def upstream_sent(self, upstream: str, count: int) -> None:
        self.sent += count

    def upstream_state(self, upstream: str, up: bool) -> None:
        self.states.append(up)

    def credentials_state(self, upstream: str, accepted: bool) -> None:
        self.credentials.append(accepted)

    def ratelimit_remaining(self, upstream: str, remaining: int) -> None:
        self.remaining.append(remaining)


@implementer(IBodyConsumer)
class Consumer:
    """Remembers a body and how it ended."""

    def __init__(self) -> None:
        self.content = b""
        self.ended = 0
        self.failures: list[Exception] = []
        self.on_chunk: Callable[[], None] = lambda: None

    def body_chunk(self, data: bytes) -> None:
        self.content += data
        self.on_chunk()

    def body_ended(self) -> None:
        self.ended += 1

    def body_failed(self, failure: Exception) -> None:
        self.failures.append(failure)
