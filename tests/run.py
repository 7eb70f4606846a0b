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
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import TestCase, TestSuite

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[0] = str(CHECKOUT)
# What is compiled is kept, for the many programs in Python that the tests start; wherever
# the checkout is, and whatever the environment says of it.
BYTECODE = CHECKOUT / "build" / "bytecode"
sys.dont_write_bytecode, sys.pycache_prefix = False, str(BYTECODE)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PYTHONPYCACHEPREFIX"] = str(BYTECODE)

from twisted.trial.runner import TestLoader, TrialRunner  # noqa: E402

from tests.support.outcomes import (  # noqa: E402
    Outcome,
    is_good,
    keep,
    kept,
    lines,
    outcome,
    total,
)
from tests.support.timed_reporter import TimedReporter  # noqa: E402


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
    result = TrialRunner(TimedReporter, workingDirectory=directory).run(suite)
    assert isinstance(result, TimedReporter)
    if result.shouldStop:
        sys.exit("interrupted")
    return outcome(result)


def closing(one: Outcome) -> int:
    """Print what was slow, what failed and the closing line; the exit status that it stands for."""
    print("\n".join(lines(one)), flush=True)
    return 0 if is_good(one) else 1


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
        return closing(total(kept(options.closing)))
    integration = options.integration if options.unit or options.integration else None
    one = run(options.names, options.temp_directory, integration=integration, thirds=options.thirds)
    if options.tally is None:
        return closing(one)
    keep(options.tally, one)
    return 0 if is_good(one) else 1


if __name__ == "__main__":
    sys.exit(main())
