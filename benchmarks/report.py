"""The results as Markdown and as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.figures import DIRECT, Figures
from benchmarks.gaps import LIMIT as MOST_HELD_MS
from benchmarks.gaps import Gaps
from benchmarks.peers import NAMES
from benchmarks.targets import TARGETS
from benchmarks.timings import Timings

_SERVERS = (DIRECT, *NAMES)

#: What the table of figures shows, with a factor and the number of decimals.
_METRICS = {
    "mb_s": ("MB/s", 0),
    "together_mb_s": ("MB/s of 8 together", 0),
    "requests_s": ("requests/s", 0),
    "open_requests_s": ("requests/s without accounts", 0),
    "anonymous_requests_s": ("requests/s of nobody beside accounts", 0),
    "basic_requests_s": ("requests/s by password", 0),
    "token_requests_s": ("requests/s by token", 0),
    "calm_ms": ("a pull, ms", 1),
    "calm_slowest_ms": ("the slowest pull, ms", 1),
    "attacked_ms": ("a pull meanwhile, ms", 1),
    "attacked_slowest_ms": ("the slowest meanwhile, ms", 1),
    "fills_s": ("fills/s", 0),
    "seconds": ("seconds", 3),
    "start_cpu_s": ("CPU s until then", 2),
    "cpu_s_gib": ("CPU s/GiB", 2),
    "of_rate": ("of the rate", 3),
    "gap_ms": ("longest gap, ms", 0),
    "open_cpu_s_gib": ("CPU s/GiB without a limit, at that speed", 2),
    "fastest_cpu_s_gib": ("CPU s/GiB without a limit, at full speed", 2),
    "p50_ms": ("p50, ms", 2),
    "p99_ms": ("p99, ms", 2),
    "first_byte_ms": ("first byte, ms", 1),
    "slowest_first_byte_ms": ("slowest first byte, ms", 1),
    "upstream_gets": ("upstream blob GETs", 0),
    "upstream_requests": ("upstream requests", 0),
    "upstream_requests_each": ("upstream requests each", 3),
    "upstream_mib": ("upstream MiB", 0),
    "peak_rss_mib": ("peak RSS, MiB", 0),
    "idle_rss_mib": ("idle RSS, MiB", 0),
    "taken": ("of what the clients would take", 2),
    "socket_mib": ("unsent in the kernel, MiB", 1),
    "all_socket_mib": ("all TCP memory, MiB", 1),
    "client_busy": ("cores that the client used", 2),
    "hit_ms": ("a hit, ms", 2),
    "miss_ms": ("a miss, ms", 2),
    "listing_ms": ("first page of a listing, ms", 2),
    "status_ms": ("status, ms", 0),
    "by_use_ms": ("repositories by last use, ms", 0),
    "search_ms": ("a search, ms", 0),
    "plan_ms": ("the plan of a purge, ms", 0),
    "manifest_requests_s": ("manifests/s", 0),
    "manifest_cpu_us": ("CPU of each, µs", 1),
    "manifest_unrecorded_requests_s": ("manifests/s, none kept", 0),
    "manifest_unrecorded_cpu_us": ("CPU of each, none kept, µs", 1),
    "blob_requests_s": ("4 KiB blobs/s", 0),
    "blob_cpu_us": ("CPU of each blob, µs", 1),
    "blob_unrecorded_requests_s": ("4 KiB blobs/s, none kept", 0),
    "blob_unrecorded_cpu_us": ("CPU of each blob, none kept, µs", 1),
    "oldest_hundred_ms": ("the hundred least recently used, ms", 2),
    "idle_connections_rss_mib": ("RSS with 2,000 idle connections, MiB", 0),
    "idle_connections_hit_ms": ("a hit meanwhile, ms", 2),
    "transfers_seconds": ("500 transfers of 4 MiB at 512 KiB/s, s", 2),
    "transfers_rss_mib": ("peak RSS with 500 transfers, MiB", 0),
}


class Report:
    """Everything that one run found.

    :param about: machine, date and command, as they are to be printed.
    :param titles: of the workloads that ran.
    :param client: what the load clients can do alone.
    :param failures: what could not be measured.
    :param profiles: files by workload.
    :param timings: where the time went.
    """

    def __init__(
        self,
        about: Mapping[str, str],
        titles: Mapping[str, str],
        figures: Figures,
        gaps: Mapping[str, Gaps],
        client: Mapping[str, float],
        failures: Sequence[str],
        profiles: Mapping[str, str],
        timings: Timings,
    ) -> None:
        self._about = about
        self._titles = titles
        self._figures = figures
        self._gaps = gaps
        self._client = client
        self._failures = failures
        self._profiles = profiles
        self._timings = timings

    def targets(self) -> list[dict[str, Any]]:
        """Every target of the workloads that ran."""
        rows = []
        for target in TARGETS:
            value = target.value(self._figures)
            if value is not None:
                rows.append(
                    {
                        "workload": target.workload,
                        "what": target.text,
                        "wanted": target.wanted,
                        "bound": target.bound,
                        "least": target.least,
                        "value": value,
                        "met": target.met(value),
                    }
                )
        return rows + [self._held(name, gaps) for name, gaps in self._gaps.items()]

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "about": dict(self._about),
            "client_alone": dict(self._client),
            "failures": list(self._failures),
            "targets": self.targets(),
            "took_seconds": self._timings.seconds,
            "gaps": {name: vars(gaps) for name, gaps in self._gaps.items()},
            **self._figures.as_json(),
        }

    def markdown(self) -> str:
        """The tables."""
        other = any("O" in servers for servers in self._figures.samples.values())
        parts = [
            "# Benchmarks",
            "\n".join(f"- {name}: {value}" for name, value in self._about.items()),
            "## Targets",
            "Medians; ÷ is a ratio within this run.",
            self._target_table(),
            *(["## Not measured", *map(_quoted, self._failures)] if self._failures else []),
            *self._causes(),
            *self._profile_list(),
            "## Figures",
            "; ".join(f"{letter} {NAMES[letter]}" for letter in NAMES if letter != "O" or other)
            + "; direct: no cache between.",
            *(self._figure_table(name) for name in self._titles),
            "## What the load clients can do alone",
            table(
                ("load", "rate"), ((name, f"{rate:,.0f}") for name, rate in self._client.items())
            ),
        ]
        return "\n\n".join(parts) + "\n"

    def _causes(self) -> list[str]:
        """Where the reactor was while it was held for too long."""
        rows = [
            (self._titles[name], f"{spent:,.0f}", cause)
            for name, gaps in self._gaps.items()
            for cause, spent in gaps.top_causes()
        ]
        if not rows:
            return []
        text = (
            "Delays over the limit, shared out to where the reactor was found. Busy: it computed"
            " for at least half of the delay; waiting: for the disk, the interpreter's lock or a"
            " core."
        )
        return ["## What held the reactor", text, table(("work", "ms", "where"), rows)]

    def _profile_list(self) -> list[str]:
        rows = [f"- {self._titles[name]}: {file}" for name, file in self._profiles.items()]
        return ["## Profiles", "\n".join(rows)] if rows else []

    def _held(self, name: str, gaps: Gaps) -> dict[str, Any]:
        about = (
            f"of it busy {gaps.busy:.1f}; the longest busy time {gaps.longest_busy:.1f};"
            f" over the limit: {gaps.over}"
        )
        return {
            "workload": name,
            "what": f"reactor held, ms ({about})",
            "wanted": f"≤ {MOST_HELD_MS:g}",
            "bound": MOST_HELD_MS,
            "least": False,
            "value": gaps.longest,
            "met": gaps.longest <= MOST_HELD_MS,
        }

    def _target_table(self) -> str:
        rows = [
            (
                self._titles[row["workload"]],
                row["what"],
                number(row["value"]),
                row["wanted"],
                "met" if row["met"] else f"**missed** by {shortfall(row['value'], row['bound'])}",
            )
            for row in self.targets()
        ]
        return table(("work", "what", "reached", "target", ""), rows)

    def _figure_table(self, workload: str) -> str:
        servers = [name for name in _SERVERS if name in self._figures.samples.get(workload, {})]
        rows = []
        for metric, (text, decimals) in _METRICS.items():
            cells = [self._cell(workload, server, metric, decimals) for server in servers]
            if any(cells):
                rows.append((text, *cells, *self._beside_other(workload, metric, servers)))
        rows.extend(self._fractions(workload, servers))
        took = f"took {self._timings.line(workload)}"
        head = ("", *servers, *(["R ÷ O"] if "O" in servers else []))
        return f"### {self._titles[workload]}\n\n{table(head, rows)}\n\n{took}"

    def _beside_other(self, workload: str, metric: str, servers: Sequence[str]) -> list[str]:
        """A figure of regcache as a multiple of that of another checkout, where one took part."""
        if "O" not in servers:
            return []
        own, other = (self._figures.median(workload, server, metric) for server in "RO")
        return [f"{own / other:.3f}" if own is not None and other else ""]

    def _cell(self, workload: str, server: str, metric: str, decimals: int) -> str:
        value = self._figures.median(workload, server, metric)
        return "" if value is None else f"{value:,.{decimals}f}"

    def _fractions(self, workload: str, servers: Sequence[str]) -> list[tuple[str, ...]]:
        """Each server's speed as a part of a direct transfer's."""
        direct = self._figures.median(workload, DIRECT, "mb_s")
        if not direct:
            return []
        speeds = [self._figures.median(workload, server, "mb_s") or 0.0 for server in servers]
        cells = [f"{speed / direct:.2f}" for speed in speeds]
        return [("speed ÷ direct", *cells, *([""] if "O" in servers else []))]


def _quoted(failure: str) -> str:
    text = " ".join(failure.split())
    return f"- {text}" if len(text) <= 500 else f"- {text[:150]} ... {text[-350:]}"


def shortfall(value: float, bound: float) -> str:
    """How far a value is from its bound."""
    return f"{100 * abs(value - bound) / bound:.0f} %" if bound else number(abs(value))


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
