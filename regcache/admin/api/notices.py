"""What an operator should know at once: the notices of GET status.

====================  =====  =====================================  ==========================
code                  level  when                                   params
====================  =====  =====================================  ==========================
upstream.down         bad    none of its URLs answers               upstream
upstream.limited      warn   it wants a pause                       upstream
upstream.slow         warn   half of its latest answers took long   upstream
credentials.refused   warn   a realm refuses our account            upstream
storage.closed        warn   nothing new is stored                  text
storage.refused       warn   the disk refused a write a moment ago
storage.full          warn   new content is passed through          since
storage.damaged       warn   stored content was damaged, and no     count, last
                             later verification found all right
certificate.ends      warn   it ends within 14 days                 chain, ends
certificate.ended     bad    it has ended                           chain, ends
config.refused        warn   the file as it is now is wrong         time, text
index.problem         bad    what is learnt is not kept             text
====================  =====  =====================================  ==========================
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, field
from typing import Any

from regcache.admin.api.upstream_calls import state_of
from regcache.light_dataclass import dataclass
from regcache.times import time_or_null, time_text
from regcache.upstream_health import UpstreamHealth

LEVELS = ("ok", "warn", "bad")
#: States of an upstream that are told, and how bad they are.
ILL = {"down": "bad", "limited": "warn", "slow": "warn"}
#: A certificate is told of when it ends within so many seconds.
ENDS_SOON = 14 * 86_400.0
_STORAGE, _UPSTREAMS = "#/storage", "#/upstreams"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that an operator should know.

    :ivar link: the page of the UI that has more; None for none.
    """

    level: str
    code: str
    params: Mapping[str, Any]
    link: str | None = None

    def told(self) -> dict[str, Any]:
        """As the API says it."""
        return {
            "level": self.level,
            "code": self.code,
            "params": dict(self.params),
            "link": self.link,
        }


@dataclass(frozen=True, slots=True)
class Troubles:
    """What may be wrong beside the upstreams. What is well is empty, or None.

    :ivar closed: why nothing is stored.
    :ivar refused: the disk refused a write a moment ago.
    :ivar relaying_since: since when what is new is passed through (Unix seconds).
    :ivar damaged: contents that were found damaged; the last one at ``damaged_at``.
    :ivar certificates: when those of the listeners end (Unix seconds), by their files.
    :ivar config: when the configuration file was refused (Unix seconds), and its errors.
    :ivar index: why what is learnt is not kept.
    """

    _: KW_ONLY
    closed: str = ""
    refused: bool = False
    relaying_since: float | None = None
    damaged: int = 0
    damaged_at: float | None = None
    certificates: Mapping[str, float] = field(default_factory=dict)
    config: tuple[float, Sequence[str]] | None = None
    index: str = ""


def notices(
    troubles: Troubles, upstreams: Sequence[UpstreamHealth], now: float, *, whole: bool
) -> list[Notice]:
    """All of them, the worst first.

    :param upstreams: those that may be seen.
    :param now: Unix seconds.
    :param whole: everything may be seen: what files are called, and what is in them.
    """
    found = [*_of_upstreams(upstreams), *_of_storage(troubles)]
    if whole:
        found += [*_of_files(troubles, now)]
    if troubles.index:
        found.append(Notice("bad", "index.problem", {"text": troubles.index}))
    return sorted(found, key=lambda each: -LEVELS.index(each.level))


def _of_upstreams(upstreams: Sequence[UpstreamHealth]) -> Iterator[Notice]:
    for each in upstreams:
        state, params = state_of(each), {"upstream": each.name}
        if state in ILL:
            yield Notice(ILL[state], f"upstream.{state}", params, _UPSTREAMS)
        if each.credentials_ok is False:
            yield Notice("warn", "credentials.refused", params, _UPSTREAMS)


def _of_storage(troubles: Troubles) -> Iterator[Notice]:
    if troubles.closed:
        yield Notice("warn", "storage.closed", {"text": troubles.closed}, _STORAGE)
    if troubles.refused:
        yield Notice("warn", "storage.refused", {}, _STORAGE)
    if troubles.relaying_since is not None:
        params: dict[str, Any] = {"since": time_text(troubles.relaying_since)}
        yield Notice("warn", "storage.full", params, _STORAGE)
    if troubles.damaged:
        params = {"count": troubles.damaged, "last": time_or_null(troubles.damaged_at)}
        yield Notice("warn", "storage.damaged", params, _STORAGE)


def _of_files(troubles: Troubles, now: float) -> Iterator[Notice]:
    for chain, ends in sorted(troubles.certificates.items(), key=lambda each: each[1]):
        params = {"chain": chain, "ends": time_text(ends)}
        if ends <= now:
            yield Notice("bad", "certificate.ended", params)
        elif ends - now < ENDS_SOON:
            yield Notice("warn", "certificate.ends", params)
    if troubles.config is not None:
        at, errors = troubles.config
        yield Notice("warn", "config.refused", {"time": time_text(at), "text": "\n".join(errors)})
