"""Runs tests with trial and ends with one plain line: ``N passed, N failed, N skipped``.

    python tests/run.py [--unit | --integration] [--tally FILE] [NAME ...]
    python tests/run.py --closing FILE
    python tests/run.py --lanes N [--oldest PYTHON]

A NAME is a package, module, class or method, as trial takes it (default: ``tests``). ``--unit``
leaves ``tests.integration`` out, and ``--integration`` all else. ``--tally`` appends the counts
to FILE instead of printing the line, and ``--closing`` prints what failed in all the runs of such
a file, and their line. ``--lanes`` runs everything, N modules of the integration tests side by
side, and the unit tests also with the interpreter PYTHON. The exit status is 0 only if something
passed and nothing failed.
"""

import argparse
import os
import signal
import sys
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

from tests.support.lanes import serve  # noqa: E402
from tests.support.outcomes import (  # noqa: E402
    Outcome,
    is_good,
    keep,
    kept,
    lines,
    outcome,
    total,
)
from tests.support.timed_reporter import TimedReporter, interrupt  # noqa: E402
from tests.support.whole_suite import run_whole  # noqa: E402


def _part(suite: TestSuite, integration: bool) -> TestSuite:
    """Only what belongs to ``tests.integration``, or only what does not."""
    kept: list[TestCase | TestSuite] = []
    for test in suite:
        if isinstance(test, TestSuite):
            kept.append(_part(test, integration))
        elif test.id().startswith("tests.integration.") == integration:
            kept.append(test)
    return type(suite)(kept)


def run(names: list[str], directory: str, integration: bool | None = None) -> Outcome:
    """Run the named tests; how many passed, failed and were skipped, and which failed why.

    :param integration: only these tests, or only others; None: all.
    """
    suite: TestSuite = TestLoader().loadByNames(names, recurse=True)
    if integration is not None:
        suite = _part(suite, integration)
    result = TrialRunner(TimedReporter, workingDirectory=directory).run(suite)
    assert isinstance(result, TimedReporter)
    if result.shouldStop:
        sys.exit("interrupted")
    return outcome(result)


def closing(one: Outcome) -> int:
    """Print what was slow, what failed and the closing line; the exit status that it stands for."""
    print("\n".join(lines(one)), flush=True)
    return 0 if is_good(one) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--unit", action="store_true", help="leave tests.integration out")
    part.add_argument("--integration", action="store_true", help="only tests.integration")
    parser.add_argument("--tally", type=Path, help="append the counts to this file")
    parser.add_argument("--closing", type=Path, help="print the sum of a tally file")
    parser.add_argument("--lanes", type=int, help="run everything, so much of it side by side")
    parser.add_argument("--oldest", help="the interpreter with the oldest libraries")
    parser.add_argument("--lane", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--temp-directory", default="_trial_temp", help="trial's own folder")
    parser.add_argument("names", nargs="*", default=["tests"])
    return parser.parse_args()


def main() -> int:
    """Parse the command line and do what it says."""
    options = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # nothing is left behind
        signal.signal(number, interrupt)
    if options.closing:
        return closing(total(kept(options.closing)))
    if options.lanes:
        return closing(run_whole(options.lanes, options.oldest))
    if options.lane is not None:
        serve(options.lane, lambda name: run([name], options.temp_directory))
        return 0
    integration = options.integration if options.unit or options.integration else None
    one = run(options.names, options.temp_directory, integration)
    if options.tally is None:
        return closing(one)
    keep(options.tally, one)
    return 0 if is_good(one) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
