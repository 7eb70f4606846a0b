"""tests.support.lanes and whole_suite: everything is run, side by side, and nothing left behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from twisted.python.modules import getModule
from twisted.trial.unittest import SynchronousTestCase

from tests.support.lanes import Done, Lane, Part, longest_first, run_all
from tests.support.outcomes import Outcome, total
from tests.support.processes import CHECKOUT, given_ports, wait_until
from tests.support.whole_suite import parts

#: The process of a lane; what becomes of a module stands in its name.
_PROCESS = f"""
import os, sys, time
sys.path.insert(0, {str(CHECKOUT)!r})
from tests.support.lanes import serve

def run(name):
    print("module", name)
    if name == "dies":
        os._exit(3)
    counts = {{"passed": int(name != "empty"), "failed": 0, "skipped": 0}}
    try:
        with open(name + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(name + ".new", name)  # who waits for it finds it written
        if name.startswith("endless"):
            time.sleep(3600)
    except KeyboardInterrupt:
        open(name + ".closed", "w").close()
        raise
    return {{"counts": counts, "failures": [], "modules": {{}}, "tests": {{}}}}

serve(int(sys.argv[1]), run)
"""

#: Keeps an outcome where it is told to, as a run of tests does.
_COMMAND = """
import json, os, sys
counts = {"passed": 7, "failed": 0, "skipped": 0}
one = {"counts": counts, "failures": [], "modules": {}, "tests": {}}
open(sys.argv[1], "w").write(json.dumps(one) + chr(10))
"""


class LaneCase(SynchronousTestCase):
    """Has lanes with a folder."""

    def setUp(self) -> None:
        """Processes run in the folder."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        before = Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        self.told: list[Done] = []

    def lane(self, number: int) -> Lane:
        """One of them."""
        command = (sys.executable, "-c", _PROCESS)
        return Lane(number, command, {"LANE": str(number)}, self.folder)

    def run_parts(self, lanes: int, *given: str | Part) -> Outcome:
        """Run modules, and what else there is."""
        made = [each if isinstance(each, Part) else Part(each) for each in given]
        numbered = [self.lane(number) for number in range(lanes)]
        return total(run_all(made, numbered, self.told.append))


class RunAllTests(LaneCase):
    """run_all."""

    def test_each_part_once(self) -> None:
        """Every part is run by one of the lanes."""
        names = [f"module{count}" for count in range(6)]
        found = self.run_parts(2, *names)
        self.assertEqual(found["counts"], {"passed": 6, "failed": 0, "skipped": 0})
        self.assertEqual(sorted(done.part.name for done in self.told), names)
        self.assertTrue(all(done.lane in (0, 1) for done in self.told))

    def test_one_process(self) -> None:
        """The modules of a lane share one process, and what each prints is told."""
        self.run_parts(1, "first", "second")
        pids = {(self.folder / name).read_text() for name in ("first", "second")}
        self.assertEqual(len(pids), 1)
        self.assertEqual(
            [done.printed for done in self.told], ["module first\n", "module second\n"]
        )

    def test_command(self) -> None:
        """A part with a command is that command, also between modules."""
        command = (sys.executable, "-c", _COMMAND)
        found = self.run_parts(1, "first", Part("units", command), "second")
        self.assertEqual(found["counts"]["passed"], 1 + 7 + 1)

    def test_command_that_fails(self) -> None:
        """A command that ends without an outcome is a failure."""
        found = self.run_parts(1, Part("units", (sys.executable, "-c", "raise SystemExit(4)")))
        self.assertEqual(found["failures"], ["units: its process died, with status 4"])

    def test_death(self) -> None:
        """A module in which its process dies is a failure, and all the others are run."""
        found = self.run_parts(1, "first", "dies", "second")
        self.assertEqual(found["counts"], {"passed": 2, "failed": 1, "skipped": 0})
        self.assertEqual(found["failures"], ["dies: its process died, with status 3"])

    def test_no_tests(self) -> None:
        """A module without a test is a failure."""
        found = self.run_parts(1, "empty")
        self.assertEqual(found["failures"], ["empty: it has no tests"])

    def test_not_run(self) -> None:
        """What no lane has run is a failure."""
        found = self.run_parts(0, "first")
        self.assertEqual(found["failures"], ["first: it was not run"])

    def test_environment(self) -> None:
        """All in a lane have its environment."""
        script = "import os; print(os.environ['LANE'])"
        self.run_parts(1, Part("units", (sys.executable, "-c", script)))
        self.assertEqual(self.told[0].printed, "0\n")


class InterruptTests(LaneCase):
    """What an interrupted run leaves."""

    def gone(self, name: str) -> None:
        """Wait until the process of a module is no more."""
        pid = int((self.folder / name).read_text())
        wait_until(lambda: not Path(f"/proc/{pid}/cmdline").exists(), "the process has ended")

    def test_interrupt(self) -> None:
        """Modules that run are interrupted and clean up, and none begins any more."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        main = threading.main_thread().ident or 0
        self.addCleanup(signal.signal, signal.SIGINT, before)

        def told(done: Done) -> None:
            if done.part.name != "first":
                return
            wait_until((self.folder / "endless").exists, "the other one has begun")
            signal.pthread_kill(main, signal.SIGINT)
            wait_until((self.folder / "endless.closed").exists, "the other one was interrupted")

        made = [Part("endless"), Part("first"), Part("second")]
        lanes = [self.lane(0), self.lane(1)]
        with self.assertRaises(KeyboardInterrupt):
            run_all(made, lanes, told)
        self.gone("endless")
        self.assertFalse((self.folder / "second").exists())

    def test_killed(self) -> None:
        """What runs is interrupted by the kernel if the run of all is killed."""
        script = (
            "import sys; from pathlib import Path\n"
            f"sys.path.insert(0, {str(CHECKOUT)!r})\n"
            "from tests.support.lanes import Lane, Part, run_all\n"
            f"lane = Lane(1, (sys.executable, '-c', {_PROCESS!r}), {{}}, Path.cwd())\n"
            "run_all([Part('endless')], [lane], print)"
        )
        with subprocess.Popen([sys.executable, "-c", script]) as process:
            begun = self.folder / "endless"
            wait_until(lambda: begun.exists() and begun.read_text() != "", "it has begun")
            process.kill()
        wait_until((self.folder / "endless.closed").exists, "it was interrupted")
        self.gone("endless")


class PartsTests(SynchronousTestCase):
    """What there is to run."""

    def test_order(self) -> None:
        """The longest is first, and what nobody knows is taken for long."""
        given = [Part("short"), Part("unknown"), Part("long")]
        found = longest_first(given, {"short": 1.0, "long": 100.0})
        self.assertEqual([each.name for each in found], ["long", "unknown", "short"])

    def test_whole(self) -> None:
        """The unit tests twice, and every module of the integration tests that trial finds."""
        found = parts("python-of-old")
        commands = [part.command[0] for part in found if part.command]
        self.assertEqual(commands, [sys.executable, "python-of-old"])
        self.assertEqual(
            sorted(part.name for part in found if not part.command), _trials("tests.integration")
        )

    def test_without_the_oldest(self) -> None:
        """The unit tests once if there is no other interpreter."""
        self.assertEqual(sum(1 for part in parts(None) if part.command), 1)


def _trials(package: str) -> Sequence[str]:
    """The modules that trial finds."""
    names = (each.name for each in getModule(package).walkModules())
    return sorted(name for name in names if name.rpartition(".")[2].startswith("test_"))


class PortsTests(SynchronousTestCase):
    """processes.given_ports."""

    def test_given(self) -> None:
        """One number stands for 6000 ports, and two for those between them."""
        for text, expected in (
            ("24000", range(24000, 30000)),
            ("20000-20002", range(20000, 20003)),
        ):
            self.patch(os, "environ", {"REGCACHE_TEST_PORTS": text})
            self.assertEqual(given_ports(), expected)
