"""All the tests side by side: of what parts they consist, and how long these may take."""

import json
import shutil
import sys

from tests.support.lanes import Done, Lane, Part, longest_first, run_all
from tests.support.outcomes import Outcome, total
from tests.support.processes import CHECKOUT, given_ports

RUN = str(CHECKOUT / "tests" / "run.py")
#: What each part took once, in seconds; only the order depends on it.
ESTIMATES = CHECKOUT / "tests" / "seconds.json"
#: Logs, and :data:`TAKEN`.
FOLDER = CHECKOUT / "build" / "tests"
#: What each part took, to be copied over :data:`ESTIMATES` now and then.
TAKEN = FOLDER / "seconds.json"


def parts(oldest: str | None) -> list[Part]:
    """The unit tests, once or twice, and each module of the integration tests.

    :param oldest: the interpreter for the second time.
    """
    pythons = {"newest": sys.executable} | ({"oldest": oldest} if oldest else {})
    return [*(_unit(*each) for each in pythons.items()), *map(Part, _modules("integration"))]


def _unit(libraries: str, python: str) -> Part:
    options = ("--unit", "--temp-directory", f"_trial_temp_{libraries}", "--tally")
    return Part(f"unit tests, {libraries} libraries", (python, RUN, *options))


def _modules(package: str) -> list[str]:
    tests = CHECKOUT / "tests"
    files = (tests / package).rglob("test_*.py")
    return sorted(".".join(each.relative_to(CHECKOUT).with_suffix("").parts) for each in files)


def _lane(number: int, count: int) -> Lane:
    """Each one has a share of the ports."""
    ports = given_ports()
    share = len(ports) // count
    own = ports[number * share : (number + 1) * share]
    directory = f"_trial_temp_{number + 1}"
    command = (sys.executable, RUN, "--temp-directory", directory, "--lane")
    environment = {"REGCACHE_TEST_PORTS": f"{own[0]}-{own[-1]}"}
    return Lane(number + 1, command, environment, FOLDER)


def run_whole(count: int, oldest: str | None) -> Outcome:
    """Run everything, and print what each part prints once it has ended.

    :param count: of lanes.
    :param oldest: the interpreter with which the unit tests run once more.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    estimates = json.loads(ESTIMATES.read_text()) if ESTIMATES.exists() else {}
    taken: dict[str, float] = {}

    def tell(done: Done) -> None:
        taken[done.part.name] = round(done.seconds, 1)
        print(f"{done.printed}\n{_last_line(done)}\n", flush=True)

    lanes = [_lane(number, count) for number in range(count)]
    outcomes = run_all(longest_first(parts(oldest), estimates), lanes, tell)
    TAKEN.write_text(json.dumps(dict(sorted(taken.items())), indent=1) + "\n")
    return total(outcomes)


def _last_line(done: Done) -> str:
    """One line about a part that has ended."""
    counts = ", ".join(f"{count} {word}" for word, count in done.outcome["counts"].items())
    return f"--- {done.part.name}: {counts}; {done.seconds:.1f} s in lane {done.lane}"
