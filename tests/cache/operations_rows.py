"""The rows of the tables in docs/operations.md, which tests run one by one."""

from dataclasses import dataclass

HEADER = (
    "| what the upstream does | copy younger than `stale_if_error` | next upstream request "
    "| older copy | next upstream request | nothing cached | next upstream request |"
)
FAILURE_HEADER = "| what goes wrong upstream | a tag that is cached | a tag that is not cached |"

TTL = "when `tag_ttl` is over"
NOW = "at the next request"
NEGATIVE = "when `negative_ttl` is over"
RETRY = "when `Retry-After` is over"
PROBE = "as the probe of the breaker"
NONE = "none while the question is open"
NOTHING = "-"


@dataclass(frozen=True)
class Row:
    """What a client gets for a tag, and when the upstream is asked again.

    :ivar situation: what the upstream does.
    :ivar cells: pairs of answer and next request: young copy, old copy, nothing cached.
    """

    situation: str
    cells: tuple[tuple[str, str], tuple[str, str], tuple[str, str]]

    def markdown(self) -> str:
        """The row as the documentation prints it."""
        parts = [self.situation]
        for answer, following in self.cells:
            parts += [shown(answer), following]
        return "| " + " | ".join(parts) + " |"


@dataclass(frozen=True)
class FailureRow:
    """What a client gets while something is wrong, and within what time."""

    situation: str
    cached: tuple[str, str]
    cold: tuple[str, str]

    def markdown(self) -> str:
        """The row as the documentation prints it."""
        cells = [f"{shown(answer)}, {time}" for answer, time in (self.cached, self.cold)]
        return f"| {self.situation} | " + " | ".join(cells) + " |"


def shown(answer: str) -> str:
    """Cache-Status is shown as it is sent, statuses as words."""
    return answer if answer[0].isdigit() or answer == NOTHING else f"`{answer}`"


_HIT = ("hit", f"HEAD {TTL}")
_SAME = ("hit; detail=revalidated", f"HEAD {TTL}")
_STORED = ("fwd=uri-miss; stored", f"HEAD {TTL}")
_NEVER = (NOTHING, NOTHING)
_UNASKED = "hit; ttl=-90; detail=stale"
_LIMITED = "429 with `Retry-After`"
_RESTING = "503 with `Retry-After`"

ROWS = (
    Row("not asked: the copy is younger than `tag_ttl`", (_HIT, _NEVER, _NEVER)),
    Row("names the same digest", (_SAME, _SAME, _STORED)),
    Row("names another digest", (_STORED, _STORED, _STORED)),
    Row(
        "does not answer within `deadline`",
        (("fwd=stale; detail=deadline", NONE), ("504", f"HEAD {NOW}"), ("504", f"GET {NOW}")),
    ),
    Row(
        "not asked: its breaker is open",
        ((_UNASKED, f"HEAD {PROBE}"), (_RESTING, f"HEAD {PROBE}"), (_RESTING, f"GET {PROBE}")),
    ),
    Row(
        "not asked: `Retry-After` still runs",
        ((_UNASKED, f"HEAD {RETRY}"), (_LIMITED, f"HEAD {RETRY}"), (_LIMITED, f"GET {RETRY}")),
    ),
    Row(
        "answers 429",
        (
            ("fwd=stale; fwd-status=429", f"HEAD {RETRY}"),
            (_LIMITED, f"HEAD {RETRY}"),
            (_LIMITED, f"GET {RETRY}"),
        ),
    ),
    Row(
        "answers 5xx",
        (
            ("fwd=stale; fwd-status=503", f"HEAD {NOW}"),
            ("502", f"HEAD {NOW}"),
            ("502", f"GET {NOW}"),
        ),
    ),
    Row(
        "times out before `deadline`",
        (
            ("fwd=stale; detail=timeout", f"HEAD {NOW}"),
            ("504", f"HEAD {NOW}"),
            ("504", f"GET {NOW}"),
        ),
    ),
    Row(
        "cannot be reached",
        (
            ("fwd=stale; detail=unreachable", f"HEAD {NOW}"),
            ("502", f"HEAD {NOW}"),
            ("502", f"GET {NOW}"),
        ),
    ),
    Row(
        "answers nonsense",
        (
            ("fwd=stale; detail=invalid", f"HEAD {NOW}"),
            ("502", f"HEAD {NOW}"),
            ("502", f"GET {NOW}"),
        ),
    ),
    Row(
        "answers 404, `on_missing: gone`",
        (("404", f"GET {NEGATIVE}"), ("404", f"GET {NEGATIVE}"), ("404", f"GET {NEGATIVE}")),
    ),
    Row(
        "answers 404, `on_missing: stale`",
        (
            ("fwd=stale; fwd-status=404", f"HEAD {NEGATIVE}"),
            ("404", f"HEAD {NEGATIVE}"),
            ("404", f"GET {NEGATIVE}"),
        ),
    ),
    Row(
        "answers 401 or 403 without credentials, `on_missing: gone`",
        (("403", f"GET {NEGATIVE}"), ("403", f"GET {NEGATIVE}"), ("403", f"GET {NEGATIVE}")),
    ),
    Row(
        "answers 401 or 403 without credentials, `on_missing: stale`",
        (
            ("fwd=stale; fwd-status=403", f"HEAD {NEGATIVE}"),
            ("403", f"HEAD {NEGATIVE}"),
            ("403", f"GET {NEGATIVE}"),
        ),
    ),
    Row(
        "refuses good credentials for this tag alone, `on_missing: gone`",
        (("403", f"GET {NEGATIVE}"), ("403", f"GET {NEGATIVE}"), ("403", f"GET {NEGATIVE}")),
    ),
    Row(
        "refuses good credentials for this tag alone, `on_missing: stale`",
        (
            ("fwd=stale; fwd-status=403", f"HEAD {NEGATIVE}"),
            ("403", f"HEAD {NEGATIVE}"),
            ("403", f"GET {NEGATIVE}"),
        ),
    ),
    Row(
        "refuses good credentials for all: the repository is closed",
        (("403", f"HEAD {NEGATIVE}"), ("403", f"HEAD {NEGATIVE}"), ("403", f"GET {NEGATIVE}")),
    ),
)

AT_ONCE = "at once"
DEADLINE = "within `deadline` (2 s)"
CONNECT = "within `connect_timeout` (10 s)"
FIRST_BYTE = "within `first_byte_timeout` (20 s)"
STALL = "within `stall_timeout` (30 s)"

FAILURES = (
    FailureRow(
        "its name cannot be resolved",
        ("fwd=stale; detail=unreachable", AT_ONCE),
        ("502", AT_ONCE),
    ),
    FailureRow(
        "it refuses connections",
        ("fwd=stale; detail=unreachable", AT_ONCE),
        ("502", AT_ONCE),
    ),
    FailureRow(
        "packets to it are lost",
        ("fwd=stale; detail=deadline", DEADLINE),
        ("504", CONNECT),
    ),
    FailureRow(
        "it accepts connections and never answers",
        ("fwd=stale; detail=deadline", DEADLINE),
        ("504", FIRST_BYTE),
    ),
    FailureRow(
        "it answers after 5 s",
        ("fwd=stale; detail=deadline", DEADLINE),
        ("fwd=uri-miss; stored", FIRST_BYTE),
    ),
    FailureRow(
        "it begins the manifest and does not end it",
        ("fwd=stale; detail=deadline", DEADLINE),
        ("504", STALL),
    ),
    FailureRow("it answers 5xx", ("fwd=stale; fwd-status=503", AT_ONCE), ("502", AT_ONCE)),
    FailureRow("it failed three times in a row", (_UNASKED, AT_ONCE), (_RESTING, AT_ONCE)),
    FailureRow("it answers 429", ("fwd=stale; fwd-status=429", AT_ONCE), (_LIMITED, AT_ONCE)),
    FailureRow("it answered 429 a moment ago", (_UNASKED, AT_ONCE), (_LIMITED, AT_ONCE)),
    FailureRow(
        "it gives what is no manifest",
        ("fwd=stale; detail=invalid", AT_ONCE),
        ("502", AT_ONCE),
    ),
    FailureRow(
        "it gives a manifest of more than 4 MiB, or of more than 4,096 descriptors",
        ("fwd=stale; detail=invalid", AT_ONCE),
        ("502", AT_ONCE),
    ),
    FailureRow(
        "it gives a manifest that fails its digest",
        ("fwd=stale; detail=invalid", AT_ONCE),
        ("502", AT_ONCE),
    ),
    FailureRow("it has no such tag any more", ("404", AT_ONCE), ("404", AT_ONCE)),
    FailureRow("it gives no access without credentials", ("403", AT_ONCE), ("403", AT_ONCE)),
    FailureRow(
        "it refuses good credentials for this tag alone", ("403", AT_ONCE), ("403", AT_ONCE)
    ),
    FailureRow("it refuses good credentials for all", ("403", AT_ONCE), ("403", AT_ONCE)),
    FailureRow(
        "its token realm refuses our credentials",
        ("hit; detail=revalidated", AT_ONCE),
        ("fwd=uri-miss; stored", AT_ONCE),
    ),
)
