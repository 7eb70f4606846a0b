"""Values of the configuration that are neither numbers nor texts."""

from dataclasses import field
from typing import Literal

from regcache.facts import CronLine, Percentage
from regcache.light_dataclass import dataclass

#: What is written where a secret would stand.
REDACTED = "***"

KIB = 1024
GIB = 1024**3
HOUR = 3600.0
DAY = 24 * HOUR


Size = int | Percentage


Cron = CronLine


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """An outgoing HTTP proxy."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NameServerAddress:
    """A name server for the names of upstreams."""

    protocol: Literal["udp", "tcp"]
    address: str
    port: int = 53
