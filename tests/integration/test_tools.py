"""``make demo`` and the first configuration of ``make run``."""

import re
import sys
from pathlib import Path

import yaml

from tests.integration.base import PullThroughCase
from tests.support.processes import CHECKOUT, free_port, run
from tests.support.servers import Regcache

SIX = {"docker.io", "gcr.io", "registry.k8s.io", "quay.io", "ghcr.io", "mcr.microsoft.com"}


class DemoTests(PullThroughCase):
    """What ``make demo`` runs."""

    def test_the_demo_shows_misses_and_then_hits(self) -> None:
        """Every row of the first pull is a MISS, every row of the second a HIT; it ends with 0."""
        done = run(
            [sys.executable, str(CHECKOUT / "tools/demo.py")], environment={"DEMO_ONCE": "1"}
        )
        first, second = done.stdout.split("first pull")[1].split("second pull")
        self.assertEqual(re.findall(r"^ +(HIT|MISS) ", first, re.M), ["MISS"] * 5, done.stdout)
        self.assertEqual(re.findall(r"^ +(HIT|MISS) ", second, re.M), ["HIT"] * 5, done.stdout)
        self.assertRegex(done.stdout, r"GET requests to the upstream: 5, then 0")


class FirstRunTests(PullThroughCase):
    """What ``make run`` writes at its first start."""

    def _write(self, folder: Path) -> str:
        tool = str(CHECKOUT / "tools/first_run.py")
        return run([sys.executable, tool, str(folder)]).stdout

    def test_the_daemon_starts_with_the_first_configuration(self) -> None:
        """The six public registries are upstreams, and the daemon takes the file as it is."""
        folder = self.workspace().path / "a folder ${HOME}"
        self.assertIn("127.0.0.1:5000", self._write(folder))
        config = yaml.safe_load((folder / "regcache.yml").read_text())
        self.assertEqual(set(config["upstreams"]), SIX)
        daemon = Regcache(config)
        self.addCleanup(daemon.close)
        # The ports of the file may be in use on this machine; all else stays.
        daemon.config["listeners"] = [{"endpoint": f"tcp:{daemon.port}:interface=127.0.0.1"}]
        daemon.config["admin"] = {"endpoint": f"tcp:{free_port()}:interface=127.0.0.1"}
        self.assertEqual(daemon.start().stop(), 0, daemon.log())

    def test_a_configuration_that_is_there_is_kept(self) -> None:
        """A second ``make run`` never overwrites what somebody has changed."""
        folder = self.workspace().path
        self._write(folder)
        (folder / "regcache.yml").write_text("upstreams: {}\n")
        self._write(folder)
        self.assertEqual((folder / "regcache.yml").read_text(), "upstreams: {}\n")
