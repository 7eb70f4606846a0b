"""Runs tests with trial and ends with one plain line: ``N passed, N failed, N skipped``.

    python tests/run.py [--unit | --integration [--thirds N ...]] [--tally FILE] [NAME ...]
    python tests/run.py --closing FILE

A NAME is a package, module, class or method, as trial takes it (default: ``tests``). ``--unit``
leaves ``tests.integration`` out, and ``--integration`` all else. ``--thirds 1 2`` runs two thirds
of its modules, for two runs side by side. ``--tally`` appends the counts to FILE instead of
printing the line, and ``--closing`` prints what failed in all the runs of such a file, and their
line. The exit status is 0 only if something passed and nothing failed.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict
from unittest import TestCase, TestSuite

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[0] = str(CHECKOUT)

from twisted.python.failure import Failure  # noqa: E402
from twisted.trial.reporter import TreeReporter  # noqa: E402
from twisted.trial.runner import TestLoader, TrialRunner  # noqa: E402

Counts = dict[str, int]

#: How many lines of each failure the end of a run shows again.
LAST_LINES = 12


class Outcome(TypedDict):
    """What one run ended with: its counts, and what failed, each as text with its name."""

    counts: Counts
    failures: list[str]


def _part(suite: TestSuite, integration: bool) -> TestSuite:
    """Only what belongs to ``tests.integration``, or only what does not."""
    kept: list[TestCase | TestSuite] = []
    for test in suite:
        if isinstance(test, TestSuite):
            kept.append(_part(test, integration))
        elif test.id().startswith("tests.integration.") == integration:
            kept.append(test)
    return type(suite)(kept)


def _module(test: TestCase) -> str:
    return type(test).__module__


def _modules(suite: TestSuite) -> Iterator[str]:
    for test in suite:
        if isinstance(test, TestSuite):
            yield from _modules(test)
        else:
            yield _module(test)


def _of_modules(suite: TestSuite, chosen: frozenset[str]) -> TestSuite:
    kept: list[TestCase | TestSuite] = []
    for test in suite:
        if isinstance(test, TestSuite):
            kept.append(_of_modules(test, chosen))
        elif _module(test) in chosen:
            kept.append(test)
    return type(suite)(kept)


def _thirds(suite: TestSuite, thirds: Sequence[int]) -> TestSuite:
    """Only these thirds of the modules: each third one, in the order of their names."""
    ordered = sorted(set(_modules(suite)))
    chosen = frozenset(name for third in thirds for name in ordered[third - 1 :: 3])
    return _of_modules(suite, chosen)


def run(
    names: list[str], directory: str, *, integration: bool | None, thirds: Sequence[int]
) -> Outcome:
    """Run the named tests; how many passed, failed and were skipped, and which failed why.

    :param integration: only these tests, or only others; None: all.
    :param thirds: which thirds of the modules, of 1, 2 and 3.
    """
    suite: TestSuite = TestLoader().loadByNames(names, recurse=True)
    if integration is not None:
        suite = _thirds(_part(suite, integration), thirds)
    result = TrialRunner(TreeReporter, workingDirectory=directory).run(suite)
    assert isinstance(result, TreeReporter)
    if result.shouldStop:
        sys.exit("interrupted")
    counts = {
        "passed": result.successes + len(result.expectedFailures),
        "failed": len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses),
        "skipped": len(result.skips),
    }
    return {"counts": counts, "failures": _failures(result)}


def _failures(result: TreeReporter) -> list[str]:
    texts = [
        f"{test.id()}:\n" + "\n".join(f"    {line}" for line in _last_lines(reason))
        for test, reason in [*result.failures, *result.errors]
    ]
    return texts + [f"{test.id()}: passed unexpectedly" for test, _ in result.unexpectedSuccesses]


def _last_lines(reason: object) -> list[str]:
    text = reason.getTraceback() if isinstance(reason, Failure) else str(reason)
    return text.rstrip().splitlines()[-LAST_LINES:]


def closing(outcome: Outcome) -> int:
    """Print what failed, then the closing line; the exit status that it stands for."""
    for failure in outcome["failures"]:
        print(f"failed: {failure}")
    counts = outcome["counts"]
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"{counts['passed']} passed, {counts['failed']} failed{skipped}", flush=True)
    return 0 if counts["passed"] and not counts["failed"] else 1


def total(tally: Path) -> Outcome:
    """The sum of the runs in a tally file."""
    runs: list[Outcome] = [json.loads(line) for line in tally.read_text().splitlines()]
    return {
        "counts": {
            key: sum(one["counts"][key] for one in runs) for key in ("passed", "failed", "skipped")
        },
        "failures": [failure for one in runs for failure in one["failures"]],
    }


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--unit", action="store_true", help="leave tests.integration out")
    part.add_argument("--integration", action="store_true", help="only tests.integration")
    parser.add_argument(
        "--thirds", type=int, nargs="+", choices=(1, 2, 3), default=[1, 2, 3], help="of the modules"
    )
    parser.add_argument("--tally", type=Path, help="append the counts to this file")
    parser.add_argument("--closing", type=Path, help="print the sum of a tally file")
    parser.add_argument("--temp-directory", default="_trial_temp", help="trial's own folder")
    parser.add_argument("names", nargs="*", default=["tests"])
    options = parser.parse_args()
    if options.closing:
        return closing(total(options.closing))
    integration = options.integration if options.unit or options.integration else None
    outcome = run(
        options.names, options.temp_directory, integration=integration, thirds=options.thirds
    )
    if options.tally is None:
        return closing(outcome)
    options.tally.parent.mkdir(parents=True, exist_ok=True)
    with options.tally.open("a") as tally:
        tally.write(json.dumps(outcome) + "\n")
    counts = outcome["counts"]
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
