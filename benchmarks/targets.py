"""What regcache has to reach, as ratios to its peers in the same run."""

from dataclasses import dataclass
from enum import Enum

from benchmarks.figures import DIRECT, Figures


class Comparison(Enum):
    """How two figures become one."""

    RATIO = "÷"
    DIFFERENCE = "-"
    ALONE = ""


@dataclass(frozen=True)
class Target:
    """One figure of regcache, alone or against another, and its bound.

    :ivar other: server and metric to compare with.
    :ivar least: whether the bound is the least that will do; else it is the most.
    """

    workload: str
    text: str
    metric: str
    bound: float
    least: bool
    comparison: Comparison = Comparison.ALONE
    other: tuple[str, str] = ("", "")

    def value(self, figures: Figures) -> float | None:
        """What was reached; None where something was not measured."""
        own = figures.median(self.workload, "R", self.metric)
        if own is None or self.comparison is Comparison.ALONE:
            return own
        other = figures.median(self.workload, *self.other)
        if other is None or (self.comparison is Comparison.RATIO and not other):
            return None
        return own / other if self.comparison is Comparison.RATIO else own - other

    def met(self, value: float) -> bool:
        """Whether a value will do."""
        return value >= self.bound if self.least else value <= self.bound

    @property
    def wanted(self) -> str:
        """The bound as text."""
        return f"{'≥' if self.least else '≤'} {self.bound:g}"


def _ratio(
    workload: str, text: str, metric: str, server: str, *, least: float = 0, most: float = 0
) -> Target:
    bound = least or most
    other = (server, metric)
    return Target(workload, text, metric, bound, bool(least), Comparison.RATIO, other)


def _most(workload: str, text: str, metric: str, bound: float) -> Target:
    return Target(workload, text, metric, bound, least=False)


_LATE = Target(
    "paced",
    "first byte, ms after direct",
    "first_byte_ms",
    10,
    False,
    Comparison.DIFFERENCE,
    (DIRECT, "first_byte_ms"),
)


def _beside_open(who: str, text: str) -> Target:
    """Requests per second beside those of a daemon without accounts."""
    other = ("R", "open_requests_s")
    text = f"requests/s {text} ÷ without accounts"
    return Target("access", text, f"{who}_requests_s", 0.8, True, Comparison.RATIO, other)


def _kept(kind: str, text: str) -> Target:
    """Requests per second beside those that are not kept for the API."""
    other = ("R", f"{kind}_unrecorded_requests_s")
    metric = f"{kind}_requests_s"
    return Target("recording", f"{text} ÷ not kept", metric, 0.97, True, Comparison.RATIO, other)


def _added_ms(text: str, metric: str, calm: str) -> Target:
    return Target("wrong-logins", text, metric, 100, False, Comparison.DIFFERENCE, ("R", calm))


def _requests(workload: str, least: float) -> list[Target]:
    tail = ("D", "p50_ms")
    return [
        _ratio(workload, "requests/s ÷ D", "requests_s", "D", least=least),
        Target(workload, "p99 ÷ D's p50", "p99_ms", 1, False, Comparison.RATIO, tail),
    ]


def _limited(workload: str) -> list[Target]:
    open_daemon = ("R", "open_cpu_s_gib")
    cost = Comparison.RATIO
    return [
        Target(workload, "of the rate, at least", "of_rate", 0.95, least=True),
        Target(workload, "of the rate, at most", "of_rate", 1.05, least=False),
        Target(workload, "longest gap, ms", "gap_ms", 250, least=False),
        Target(workload, "CPU per GiB ÷ without limit", "cpu_s_gib", 1.1, False, cost, open_daemon),
    ]


TARGETS: list[Target] = [
    _ratio("warm-plain", "MB/s ÷ D", "mb_s", "D", least=1.3),
    _ratio("warm-plain", "MB/s ÷ N", "mb_s", "N", least=0.55),
    _ratio("warm-plain", "CPU per GiB ÷ D", "cpu_s_gib", "D", most=0.65),
    _ratio("warm-tls", "MB/s ÷ D", "mb_s", "D", least=1.15),
    _ratio("warm-tls", "MB/s ÷ N", "mb_s", "N", least=0.9),
    _ratio("warm16-plain", "MB/s ÷ D", "mb_s", "D", least=0.9),
    _ratio("warm16-tls", "MB/s ÷ D", "mb_s", "D", least=0.75),
    *_requests("digest", 6),
    *_requests("tag", 15),
    _most("tag", "upstream requests per request", "upstream_requests_each", 0),
    _beside_open("anonymous", "of nobody"),
    _beside_open("basic", "by password"),
    _beside_open("token", "by token"),
    _added_ms("a pull, ms more than before", "attacked_ms", "calm_ms"),
    _added_ms("the slowest, ms more than before", "attacked_slowest_ms", "calm_slowest_ms"),
    _ratio("cold", "MB/s ÷ D", "mb_s", "D", least=1.3),
    _ratio("cold", "MB/s ÷ N", "mb_s", "N", least=0.9),
    _ratio("cold", "CPU per GiB ÷ D", "cpu_s_gib", "D", most=0.8),
    _ratio("cold-tls", "MB/s ÷ D", "mb_s", "D", least=1.5),
    _ratio("cold-tls", "CPU per GiB ÷ D", "cpu_s_gib", "D", most=0.6),
    _ratio("cold-tls", "CPU per GiB ÷ N", "cpu_s_gib", "N", most=1.4),
    _ratio("cold-tls-both", "MB/s ÷ D", "mb_s", "D", least=1.3),
    _ratio("cold-tls-both", "CPU per GiB ÷ D", "cpu_s_gib", "D", most=0.65),
    _ratio("cold-layers-tls", "MB/s ÷ D", "mb_s", "D", least=1.4),
    _ratio("cold-layers-tls", "MB/s ÷ N", "mb_s", "N", least=0.75),
    _ratio("cold-layers-tls", "CPU per GiB ÷ D", "cpu_s_gib", "D", most=0.6),
    _ratio("cold-layers-tls", "CPU per GiB ÷ N", "cpu_s_gib", "N", most=1.6),
    _ratio("cold-layers-one-core", "MB/s ÷ D", "mb_s", "D", least=1.4),
    _ratio("paced", "time ÷ direct", "seconds", DIRECT, most=1.03),
    _LATE,
    _most("crowd", "upstream GETs", "upstream_gets", 1),
    _ratio("crowd", "time ÷ N", "seconds", "N", most=1.15),
    _most("crowd", "slowest first byte, ms", "slowest_first_byte_ms", 100),
    _most("crowd-paced", "upstream GETs", "upstream_gets", 1),
    _ratio("crowd-paced", "time ÷ N", "seconds", "N", most=0.6),
    _ratio("crowd-paced", "time ÷ direct", "seconds", DIRECT, most=1.15),
    _most("slow-plain", "peak RSS, MiB", "peak_rss_mib", 90),
    _ratio("slow-plain", "kernel memory ÷ N", "socket_mib", "N", most=0.25),
    _most("slow-tls", "peak RSS, MiB", "peak_rss_mib", 130),
    _ratio("slow-tls", "kernel memory ÷ N", "socket_mib", "N", most=0.25),
    _ratio("long-link", "MB/s ÷ N", "mb_s", "N", least=0.9),
    _ratio("long-link", "8 together, MB/s ÷ N", "together_mb_s", "N", least=0.9),
    _ratio("long-link-tls", "MB/s ÷ N", "mb_s", "N", least=0.9),
    _ratio("long-link-tls", "8 together, MB/s ÷ N", "together_mb_s", "N", least=0.9),
    *_limited("rate-plain"),
    *_limited("rate-tls"),
    *_limited("rate-h2"),
    *_limited("rate-seat"),
    Target("rate-fair", "part of 1 connection beside 10, at least", "share", 0.45, least=True),
    Target("rate-fair", "part of 1 connection beside 10, at most", "share", 0.55, least=False),
    _most("rate-fair", "longest gap, ms", "gap_ms", 250),
    _ratio("tiny", "fills/s ÷ D", "fills_s", "D", least=4),
    _ratio("tiny-tls", "fills/s ÷ D", "fills_s", "D", least=3),
    _most("tiny", "upstream requests each", "upstream_requests_each", 1),
    _most("start", "seconds until /v2/ answers", "seconds", 0.8),
    _most("start", "idle RSS, MiB", "idle_rss_mib", 70),
    _most("growth", "seconds until /v2/ answers", "seconds", 1.5),
    _most("growth", "idle RSS, MiB", "idle_rss_mib", 130),
    _most("operating", "status, ms", "status_ms", 200),
    _most("operating", "first page of repositories by last use, ms", "by_use_ms", 200),
    _most("operating", "a search, ms", "search_ms", 200),
    _most("operating", "the plan of a purge, ms", "plan_ms", 200),
    _kept("manifest", "manifests/s"),
    _kept("blob", "4 KiB blobs/s"),
    _most("usage", "all accounts of a month, ms", "month_ms", 200),
    _most("usage", "a year of one account, ms", "account_ms", 200),
]


def missed(figures: Figures) -> list[str]:
    """The workloads that do not reach what they have to, each once."""
    found = {}
    for target in TARGETS:
        value = target.value(figures)
        if value is not None and not target.met(value):
            found[target.workload] = None
    return list(found)
