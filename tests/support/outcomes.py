"""What runs of tests ended with: counts, failures, the slowest; added up, kept in a file, told."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypedDict

from twisted.python.failure import Failure
from twisted.trial.reporter import TreeReporter

from tests.support.timed_reporter import Seconds, TimedReporter, added

#: How many lines of each failure the end of a run shows again.
LAST_LINES = 12
#: How many of the slowest modules and tests are listed.
LISTED = 10
#: A test that took less is not worth a line, in seconds.
SLOW_TEST = 3.0

Counts = dict[str, int]
Times = dict[str, Seconds]


class Outcome(TypedDict):
    """What runs ended with.

    :ivar counts: how many tests passed, failed and were skipped.
    :ivar failures: what failed, each as text with its name.
    :ivar modules: what each module took, by its name.
    :ivar tests: what each slow test took, by its name.
    """

    counts: Counts
    failures: list[str]
    modules: Times
    tests: Times


def outcome(result: TimedReporter) -> Outcome:
    """What a run ended with."""
    return {
        "counts": {
            "passed": result.successes + len(result.expectedFailures),
            "failed": len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses),
            "skipped": len(result.skips),
        },
        "failures": _failures(result),
        "modules": result.modules,
        "tests": {name: took for name, took in result.tests.items() if took["wall"] >= SLOW_TEST},
    }


def _failures(result: TreeReporter) -> list[str]:
    texts = [
        f"{test.id()}:\n" + "\n".join(f"    {line}" for line in _last_lines(reason))
        for test, reason in [*result.failures, *result.errors]
    ]
    return texts + [f"{test.id()}: passed unexpectedly" for test, _ in result.unexpectedSuccesses]


def _last_lines(reason: object) -> list[str]:
    text = reason.getTraceback() if isinstance(reason, Failure) else str(reason)
    return text.rstrip().splitlines()[-LAST_LINES:]


def failed(why: str) -> Outcome:
    """The outcome of what could not be run to its end."""
    counts = {"passed": 0, "failed": 1, "skipped": 0}
    return {"counts": counts, "failures": [why], "modules": {}, "tests": {}}


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """The sum of several."""
    runs = list(outcomes)
    return {
        "counts": {
            key: sum(one["counts"][key] for one in runs) for key in ("passed", "failed", "skipped")
        },
        "failures": [failure for one in runs for failure in one["failures"]],
        "modules": _sum(one["modules"] for one in runs),
        "tests": _sum(one["tests"] for one in runs),
    }


def _sum(times: Iterable[Times]) -> Times:
    found: Times = {}
    for each in times:
        for name, took in each.items():
            found[name] = added(found[name], took) if name in found else took
    return found


def keep(tally: Path, one: Outcome) -> None:
    """Append to a file."""
    tally.parent.mkdir(parents=True, exist_ok=True)
    with tally.open("a") as file:
        file.write(json.dumps(one) + "\n")


def kept(tally: Path) -> Iterator[Outcome]:
    """What such a file has."""
    return (json.loads(line) for line in tally.read_text().splitlines())


def is_good(one: Outcome) -> bool:
    """Something passed and nothing failed."""
    return one["counts"]["passed"] > 0 and one["counts"]["failed"] == 0


def lines(one: Outcome) -> Iterator[str]:
    """What a run tells at its end; the last line is ``N passed, N failed``."""
    if len(one["modules"]) > 1:
        yield from _slowest("module", one["modules"])
    yield from _slowest("test", one["tests"])
    for failure in one["failures"]:
        yield f"failed: {failure}"
    counts = one["counts"]
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    yield f"{counts['passed']} passed, {counts['failed']} failed{skipped}"


def _slowest(kind: str, times: Mapping[str, Seconds]) -> Iterator[str]:
    ordered = sorted(times, key=lambda name: times[name]["wall"], reverse=True)
    for name in ordered[:LISTED]:
        took = times[name]
        yield f"slow {kind}: {took['wall']:6.1f} s, CPU {took['cpu']:5.1f} s  {name}"
