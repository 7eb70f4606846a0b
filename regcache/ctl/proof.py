"""What a proof comes to: hit, miss or bypass, by the answers that a client got.

=========================================================  ==========
what happened                                              verdict
=========================================================  ==========
no connection, TLS that is not trusted, 401 that this      bypass
client does not get over, any other error, a redirect, no
``Cache-Status`` of regcache
bytes that are not those of their digest                   bypass
an answer that was fetched, or passed through              miss
all from the cache, also what is stale there since the     hit
upstream was asked in vain
=========================================================  ==========

Bypass means that the client goes to the registry itself, or fails where it cannot.
"""

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from regcache.light_dataclass import dataclass

_OURS = "regcache"


class BypassError(Exception):
    """The client would go elsewhere; the text says why, and what to change, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedPart:
    """One answer.

    :ivar kind: tag, manifest, config or layer.
    :ivar reference: a tag or digest.
    :ivar status: of HTTP.
    :ivar cache_status: as it came (RFC 9211); "" without one.
    :ivar size: bytes of the body.
    :ivar seconds: until its end.
    """

    kind: str
    reference: str
    status: int
    cache_status: str
    size: int
    seconds: float

    @property
    def is_ours(self) -> bool:
        """Whether regcache answered."""
        return self.cache_status.split(";", 1)[0].strip() == _OURS

    @property
    def was_fetched(self) -> bool:
        """Whether the upstream had to give something new for it."""
        words = [word.strip() for word in self.cache_status.split(";")]
        if "fwd=stale" in words and "fwd-status=200" not in words:
            return False  # it was asked and gave nothing: the answer is what was here
        return "hit" not in words and any(word.startswith("fwd=") for word in words)

    @property
    def was_passed_through(self) -> bool:
        """Whether it was not kept."""
        return "detail=relay" in self.cache_status

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "kind": self.kind,
            "reference": self.reference,
            "status": self.status,
            "cache_status": self.cache_status or None,
            "bytes": self.size,
            "duration_ms": round(self.seconds * 1000),
        }


@dataclass(slots=True)
class PullProof:
    """A pull, as far as it has come.

    :ivar notes: what is worth knowing besides.
    """

    parts: list[ProvedPart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bypass: str = ""

    @property
    def verdict(self) -> str:
        """Hit, miss or bypass."""
        if self.bypass:
            return "bypass"
        return "miss" if any(each.was_fetched for each in self.parts) else "hit"

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        if self.bypass:
            return self.bypass
        fetched = [each for each in self.parts if each.was_fetched]
        if not fetched:
            return f"all {len(self.parts)} answers came from the cache"
        passed = [each for each in fetched if each.was_passed_through]
        text = f"{len(fetched)} of {len(self.parts)} answers had to be fetched: {_kinds(fetched)}"
        if passed:
            return f"{text}; not kept: {_kinds(passed)}, see the log for why"
        return f"{text}; the next pull finds them"


def _kinds(parts: Sequence[ProvedPart]) -> str:
    names = [each.kind for each in parts]
    counts = {name: names.count(name) for name in names}
    return ", ".join(f"{count} {name}" for name, count in counts.items())
