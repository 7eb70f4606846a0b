"""What the programs load at their start: it is most of what a start costs."""

import json
import subprocess
import sys
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.support.processes import CHECKOUT, Workspace

#: What the modules of a command need not wait for.
HEAVY = frozenset(
    {
        "OpenSSL",
        "asyncio",
        "bcrypt",
        "cryptography",
        "h2",
        "http.client",
        "prometheus_client",
        "regcache.client_setup.guide",
        "regcache.config.loading",
        "regcache.config.model",
        "rich",
        "ssl",
        "treq",
        "twisted",
        "unittest",
        "yaml",
    }
)
#: Of these, what asks the daemon; cryptography loads bcrypt itself, for keys of SSH.
ASKING = frozenset(
    {"OpenSSL", "asyncio", "bcrypt", "cryptography", "http.client", "ssl", "treq", "twisted"}
)
#: A configuration file of this machine is looked into.
LOCATING = frozenset({"yaml"})

_RUN = """
import sys
from regcache.ctl.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("\\n".join(sys.modules), file=sys.stderr)
"""


def printed(code: str, arguments: Sequence[str] = ()) -> list[str]:
    """The words that a program in Python says on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.split()


def loaded(code: str, arguments: Sequence[str] = ()) -> set[str]:
    """The modules that are there once a program in Python has ended."""
    return set(printed(code, arguments))


class LoadedModulesTests(SynchronousTestCase):
    """What is loaded though nobody needs it."""

    def test_help(self) -> None:
        """The help of regcachectl loads nothing that is heavy."""
        there = loaded(_RUN, ["--help"])
        self.assertIn("regcache.ctl.status_command", there)
        self.assertEqual(there & HEAVY, set())

    def test_status(self) -> None:
        """A command that asks the daemon loads what asks, and no rules of the configuration."""
        there = loaded(_RUN, ["status", "--socket", "/nonexistent/socket"])
        self.assertIn("regcache.ctl.daemon_client", there)
        self.assertEqual(there & (HEAVY - ASKING - LOCATING), set())

    def test_version(self) -> None:
        """Where twistd only reads its options, nothing of the daemon is loaded but these."""
        there = loaded('import sys, regcache.tap\nprint("\\n".join(sys.modules), file=sys.stderr)')
        self.assertIn("regcache.config.loading", there)
        self.assertEqual(there & {"prometheus_client", "regcache.service", "rich", "treq"}, set())


_MAKE = """
import gc, sys
from regcache.tap import Options, makeService
options = Options()
options.parseOptions(["-c", sys.argv[1]])
walks = []
gc.callbacks.append(lambda phase, info: walks.append(info))
makeService(options)
print(len(walks), len(gc.get_objects()), gc.isenabled(), *sys.modules, file=sys.stderr)
"""


class DaemonTests(SynchronousTestCase):
    """What is there once the daemon is made, of the smallest configuration."""

    def setUp(self) -> None:
        folder = Workspace()
        self.addCleanup(folder.remove)
        config = {
            "listeners": [{"endpoint": "tcp:0:interface=127.0.0.1"}],
            "admin": {"endpoint": None},
            "storage": {"directory": str(folder.path / "cache")},
            "upstreams": {"up.test": {"urls": ["http://127.0.0.1:1"]}},
        }
        self.file = str(folder.file("regcache.yml", json.dumps(config)))  # JSON is YAML

    def test_made(self) -> None:
        """The collector rests until then, and walks over nothing of it afterwards; and nothing is
        loaded of other programs, of tests, or of what is seldom asked for."""
        walks, remaining, is_enabled, *there = printed(_MAKE, [self.file])
        self.assertEqual((walks, is_enabled), ("0", "True"))
        self.assertLess(int(remaining), 1000)
        self.assertIn("regcache.service", there)
        foreign = {"difflib", "h2", "regcache.ctl", "rich", "tests", "treq", "unittest"}
        self.assertEqual(set(there) & foreign, set())
